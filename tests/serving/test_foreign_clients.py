"""Habits of clients, proxies and browsers that public reports tell of, over real sockets."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed

from support.live_use import QUESTION, TEXT
from support.serving import get, send, serving, until

SYSTEM = {"role": "system", "content": QUESTION}
USER = {"role": "user", "content": TEXT}
FIRST, LAST = TEXT.partition(". ")[0] + ".", TEXT.partition(". ")[2]


@pytest.fixture(scope="module")
def served(reasoner):
    with serving(reasoner.pool(4)) as served:
        yield served


@pytest.fixture(scope="module")
def expected(reasoner):
    stream = reasoner.start(QUESTION)
    return (stream.feed(TEXT) + stream.finish())[-1].text


def chat(served, *messages, **fields):
    body = {"messages": list(messages or (SYSTEM, USER)), **fields}
    status, reply = get(f"{served.http}/v1/chat/completions", body)
    return status, json.loads(reply)


def asked(served, method, path, **headers):
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def has_streams(served, count):
    """Whether the pool comes to so many streams."""
    end = time.monotonic() + 10
    while len(served.service.thread.pool) != count and time.monotonic() < end:
        time.sleep(0.01)
    return len(served.service.thread.pool) == count


@pytest.mark.parametrize(
    "fields",
    [
        dict.fromkeys(("n", "stop", "tools", "stream", "stream_options", "max_tokens", "seed")),
        {"n": 1, "stop": [], "logit_bias": {}, "presence_penalty": 0, "tool_choice": "auto"},
        {"response_format": {"type": "text"}, "max_completion_tokens": 4096, "user": "x"},
        {"best_of": 1, "min_tokens": 0, "ignore_eos": False, "tool_choice": "none", "grammar": ""},
    ],
    ids=["nulls", "defaults", "caps", "other servers"],
)
def test_fields_that_clients_send_without_a_wish_change_nothing(served, expected, fields):
    status, reply = chat(served, **fields)
    assert (status, reply["choices"][0]["message"]["content"]) == (200, expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 2), ("stop", ["8"]), ("logprobs", True), ("frequency_penalty", 1.5), ("seed", 1.5),
     ("response_format", {"type": "json_object"}), ("stream", "true"), ("max_tokens", 0),
     ("tool_choice", "required"), ("tool_choice", {"type": "function"}), ("best_of", 2),
     ("min_tokens", 5), ("stop_token_ids", [8]), ("ignore_eos", True), ("guided_json", {}),
     ("structured_outputs", {"choice": ["5"]}), ("json_schema", {}), ("grammar", "root ::= [0-9]"),
     ("prompt_logprobs", 0), ("continue_final_message", True), ("stop", "\n")],
)  # fmt: skip
def test_a_wish_that_is_not_served_is_refused_by_its_name(served, field, value):
    status, reply = chat(served, **{field: value})
    assert (status, reply["error"]["param"]) == (400, field)
    assert "\n" not in reply["error"]["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("top_k", 20), ("min_p", 0.1), ("repetition_penalty", 1.1), ("repeat_penalty", 1.1)),
        *(("typical_p", 0.5), ("tfs_z", 0.5), ("mirostat", 2)),
    ],
)
def test_a_wish_for_sampling_is_refused_where_it_would_matter(served, expected, field, value):
    status, reply = chat(served, temperature=1.0, **{field: value})
    assert (status, reply["error"]["param"]) == (400, field)
    status, reply = chat(served, **{field: value})  # greedy
    assert (status, reply["choices"][0]["message"]["content"]) == (200, expected)


def test_addresses_as_people_type_them_say_what_is_there(served, expected):
    body = {"messages": [SYSTEM, USER]}
    status, reply = get(f"{served.http}/v1/chat/completions/", body)
    assert (status, json.loads(reply)["choices"][0]["message"]["content"]) == (200, expected)
    status, reply = get(f"{served.http}/v1/realtime")
    assert (status, json.loads(reply)["error"]["code"]) == (426, "websocket_only")
    status, reply = chat(served, USER)
    assert status == 400
    assert "give a system message or session.instructions" in reply["error"]["message"]


@pytest.mark.parametrize(
    "messages",
    [
        (SYSTEM, {"role": "user", "content": [{"type": "text", "text": FIRST}, LAST]}),
        ({**SYSTEM, "role": "developer"}, USER),
        (SYSTEM, {"role": "user", "content": FIRST}, {"role": "assistant", "content": "5"},
         {"role": "user", "content": LAST}),
        (SYSTEM, USER, {"role": "assistant", "content": None}),
    ],
    ids=["parts", "developer", "earlier answer", "empty answer"],
)  # fmt: skip
def test_messages_in_the_forms_of_clients_are_read(served, expected, messages):
    status, reply = chat(served, *messages)
    assert (status, reply["choices"][0]["message"]["content"]) == (200, expected)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"role": "tool", "content": "x"}, "unsupported_role"),
        ({"role": "assistant", "content": None, "tool_calls": [{}]}, "unsupported_role"),
        ({"role": "user", "content": [{"type": "image_url", "text": "x"}]}, "unsupported_content"),
        ({"role": "user", "content": [3]}, "unsupported_content"),
        ({"role": "user", "content": []}, "invalid_value"),
    ],
)
def test_what_is_no_text_is_refused_and_leaves_no_stream_behind(served, message, code):
    status, reply = chat(served, SYSTEM, USER, message)
    assert (status, reply["error"]["code"]) == (400, code)
    assert has_streams(served, 0)


@pytest.mark.parametrize(
    "messages", [(SYSTEM,), (SYSTEM, USER, {"role": "user", "content": "x" * 200_000})]
)
def test_a_refusal_behind_an_open_stream_frees_its_seat(served, messages):
    for _ in range(5):  # more than there are seats
        assert chat(served, *messages)[0] == 400
    assert has_streams(served, 0)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_tokens_that_a_client_allows_are_the_most_that_are_written(served, expected, name):
    whole = chat(served)[1]["usage"]["completion_tokens"]
    assert chat(served, **{name: whole})[1]["choices"][0]["message"]["content"] == expected
    for most in (1, whole - 1):
        _, reply = chat(served, **{name: most})
        assert reply["choices"][0]["finish_reason"] == "length"
        assert reply["usage"]["completion_tokens"] == most
    assert has_streams(served, 0)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_has_nothing_written_for_it(served, streamed):
    body = json.dumps({"messages": [SYSTEM, USER], "stream": streamed}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}"
    stop = served.service.thread.pool.step
    served.service.thread.pool.step = lambda: False  # an endless answer
    try:
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(head.encode() + b"\r\n\r\n" + body)
            assert has_streams(served, 1)
        assert has_streams(served, 0)
    finally:
        served.service.thread.pool.step = stop


def test_a_failing_step_ends_completions_with_the_servers_fault(served, monkeypatch):
    pool = served.service.thread.pool

    def broken():
        if not len(pool):  # behind a call that an earlier request left
            return False
        monkeypatch.undo()
        raise ValueError("a bad step")

    monkeypatch.setattr(pool, "step", broken)
    status, reply = chat(served)
    assert (status, reply["error"]["code"]) == (500, "server_failed")


def test_a_step_that_fails_before_the_request_hears_of_its_stream_ends_it_too(served, monkeypatch):
    thread, ask = served.service.thread, served.service.thread.ask

    async def slow(call):  # the failing step runs before the event loop goes on
        stream = await ask(call)
        failed = threading.Event()
        thread.post(lambda: (_ for _ in ()).throw(ValueError("a bad step")))
        thread.post(failed.set)
        failed.wait(10)
        return stream

    monkeypatch.setattr(thread, "ask", slow)
    status, reply = chat(served)
    assert (status, reply["error"]["code"]) == (500, "server_failed")


def test_parts_of_an_answer_pass_proxies_at_once(served):
    body = json.dumps({"messages": [SYSTEM, USER], "stream": True})
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("POST", "/v1/chat/completions", body)
    reply = connection.getresponse()
    assert (reply.headers["X-Accel-Buffering"], reply.headers["Cache-Control"]) == (
        "no",
        "no-cache",
    )
    connection.close()


def test_a_byte_order_mark_in_front_of_a_body_is_left_out(served):
    body = b"\xef\xbb\xbf" + json.dumps({"messages": [SYSTEM, USER]}).encode()
    assert get(f"{served.http}/v1/chat/completions", body)[0] == 200


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("br", 415), ("identity", 200)])
def test_a_compressed_body_is_refused_by_its_encoding(served, encoding, status):
    body = json.dumps({"messages": [SYSTEM, USER]}).encode()
    data = gzip.compress(body) if encoding == "gzip" else body
    headers = {"Content-Encoding": encoding}
    found, reply = get(f"{served.http}/v1/chat/completions", data, **headers)
    assert found == status
    if status == 415:
        assert json.loads(reply)["error"]["code"] == "unsupported_encoding"
        assert "without compression" in reply


def test_probes_lists_and_wrong_addresses_get_what_they_can_read(served):
    assert asked(served, "HEAD", "/health")[0] == 200
    assert json.loads(asked(served, "GET", "/v1/models/tiny")[2])["id"] == "tiny"
    for method, path, status, code in (
        ("GET", "/v1/models/other", 404, "model_not_found"),
        ("POST", "/v1/responses", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
    ):
        found, _, body = asked(served, method, path)
        assert (found, json.loads(body)["error"]["code"]) == (status, code)
    _, headers, _ = asked(served, "GET", "/metrics", Accept="application/openmetrics-text")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("origin", ["http://[", "null", "https://127.0.0.1.example"])
def test_an_origin_that_is_none_of_ours_is_refused(served, origin):
    assert asked(served, "GET", "/v1/models", Origin=origin)[0] == 403


def test_pages_of_other_sites_may_ask_with_a_key_alone(served, reasoner):
    wish = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    wish["Access-Control-Request-Headers"] = "authorization,content-type,x-stainless-os"
    assert asked(served, "OPTIONS", "/v1/chat/completions", **wish)[0] == 405
    with serving(reasoner.pool(1), key="secret-key") as keyed:
        status, headers, _ = asked(keyed, "OPTIONS", "/v1/chat/completions", **wish)
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert "x-stainless-os" in headers["Access-Control-Allow-Headers"]
        assert asked(keyed, "GET", "/v1/models", Origin="https://app.example")[0] == 401


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"OpenAI-Beta": "realtime=v1"}},
        {"subprotocols": ["realtime", "openai-beta.realtime-v1"]},
    ],
)
def test_a_client_of_the_beta_is_told_and_closed_as_openai_does(served, options):
    with served.connect(**options) as socket:
        assert until(socket, "error")[-1]["error"]["code"] == "beta_api_shape_disabled"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=60)
    assert closed.value.rcvd.code == 4000


def test_a_character_cut_in_half_between_two_frames_is_whole_again(served):
    with served.connect() as socket:
        send(socket, "session.update", session={"type": None, "instructions": QUESTION})
        send(socket, "input_text.append", text="Tom \ud83d")
        send(socket, "input_text.append", text="\ude00 has 5 coins. He")
        assert until(socket, "input_text.read")[-1]["text"] == "Tom \U0001f600 has 5 coins."
        send(socket, "input_text.append", text=" sings\ud83d")
        send(socket, "response.create")
        assert until(socket, "error")[-1]["error"]["message"] == "text: ended in half a character."
        send(socket, "response.create")
        assert until(socket, "response.done")
