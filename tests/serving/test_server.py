"""The server over real sockets: frames, keys, limits, completions, figures, draining."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.serving.limits import Limits, RefusalError
from support.live_use import QUESTION, TEXT, pieces, reasoner_of, threads_left
from support.loopback_completions import CompletionServer
from support.serving import get, send, serving, until
from support.settings import STREAMING


@pytest.fixture(scope="module")
def served(reasoner):
    with serving(reasoner.pool(8)) as served:
        yield served
    assert threads_left() == []


def answer(reasoner, text=TEXT):
    stream = reasoner.start(QUESTION)
    return (stream.feed(text) + stream.finish())[-1].text


def ask(socket, text=TEXT, size=9):
    send(socket, "session.update", session={"type": "realtime", "instructions": QUESTION})
    for piece in pieces(text, size):
        send(socket, "input_text.append", text=piece)
    send(socket, "response.create")
    return until(socket, "response.done")


def requests_left():
    return [each.name for each in threading.enumerate() if each.name.startswith("adasr-request")]


def test_a_session_over_a_socket_thinks_while_text_arrives_and_answers(served, reasoner):
    with served.connect() as socket:
        events = ask(socket)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == answer(reasoner)
    assert sum(each["type"] == "response.thought.done" for each in events) >= 4


def test_many_sessions_at_once_get_their_own_answers(served, reasoner):
    texts = [f"Tom has {n} coins. He sings. Tom finds 3 coins." for n in range(2, 8)]
    found = {}

    def one(text):
        with served.connect() as socket:
            found[text] = ask(socket, text, 5)[-1]["response"]["output"][0]["content"][0]["text"]

    threads = [threading.Thread(target=one, args=(text,)) for text in texts]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    assert found == {text: answer(reasoner, text) for text in texts}


def test_completions_whole_and_streamed_and_their_refusals(served, reasoner):
    url = f"{served.http}/v1/chat/completions"
    messages = [{"role": "system", "content": QUESTION}, {"role": "user", "content": TEXT}]
    status, body = get(url, {"model": "tiny", "messages": messages})
    whole = json.loads(body)
    assert status == 200
    assert whole["choices"][0]["message"]["content"] == answer(reasoner)
    assert whole["choices"][0]["message"]["reasoning_content"]
    assert whole["usage"]["completion_tokens"] > 0
    body = {"messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    _, lines = get(url, body)
    *parts, done = [line[6:] for line in lines.split("\n\n") if line]
    assert done == "[DONE]"
    parts = [json.loads(part) for part in parts]
    deltas = [part["choices"][0]["delta"] for part in parts[:-1]]
    assert "".join(each.get("content", "") for each in deltas) == answer(reasoner)
    assert parts[-1]["usage"] == whole["usage"]
    for wrong, code in (
        ({}, "invalid_value"),
        ({"messages": messages[:1]}, "no_input"),
        ({"messages": messages[1:]}, "no_question"),
        ({"messages": messages, "tools": [1]}, "unsupported_value"),
        ({"messages": messages, "temperature": "hot"}, "invalid_value"),
        ({"messages": messages, "temperature": 1e-30}, "invalid_value"),
        ([], "invalid_event"),
    ):
        status, body = get(url, wrong)
        assert (status, json.loads(body)["error"]["code"]) == (400, code)
    status, body = get(url, {"messages": ["x" * 300_000]})
    assert (status, json.loads(body)["error"]["code"]) == (413, "body_too_large")


def test_health_models_figures_and_the_page(served):
    assert json.loads(get(f"{served.http}/health")[1])["status"] == "ok"
    assert json.loads(get(f"{served.http}/v1/models")[1])["data"][0]["id"] == "tiny"
    with served.connect() as socket:
        ask(socket)
        figures = get(f"{served.http}/metrics")[1]
    lines = dict(line.rsplit(" ", 1) for line in figures.splitlines() if line[0] != "#")
    assert float(lines["adasr_open_sessions"]) >= 1
    assert float(lines["adasr_written_tokens_total"]) > 10
    assert float(lines["adasr_answer_seconds_count"]) >= 0
    assert float(lines["adasr_cache_bytes"]) > 0
    status, page = get(f"{served.http}/")
    assert status == 200
    assert "http://" not in page.replace("ws://", "")
    assert get(f"{served.http}/nothing")[0] == 404


def test_a_wrong_key_gets_nothing_and_the_right_one_comes_as_header_or_subprotocol(reasoner):
    with serving(reasoner.pool(2), key="secret-key") as served:
        for headers in ({}, {"Authorization": "Bearer secret"}, {"Authorization": "secret-key"}):
            with pytest.raises(InvalidStatus) as refused:
                served.connect(additional_headers=headers)
            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_api_key"
        for path in ("metrics", "v1/models"):
            assert get(f"{served.http}/{path}", key="ä")[0] == 401
            assert get(f"{served.http}/{path}", key="secret-key")[0] == 200
        body = {"messages": []}
        assert get(f"{served.http}/v1/chat/completions", body)[0] == 401
        assert get(f"{served.http}/health")[0] == 200
        assert served.service.thread.pool.engine.counts.steps == 0
        with served.connect(additional_headers={"Authorization": "Bearer secret-key"}) as socket:
            assert until(socket, "session.created")
        protocols = ["realtime", "openai-insecure-api-key.secret-key"]
        with served.connect(subprotocols=protocols) as socket:
            assert socket.subprotocol == "realtime"
            assert until(socket, "session.created")


def test_without_a_key_other_sites_and_bent_names_are_refused(served):
    for headers in ({"Origin": "https://elsewhere.example"}, {"Host": "bent.example"}):
        status, body = get(f"{served.http}/v1/models", **headers)
        assert status == 403
        assert json.loads(body)["error"]["code"] in ("origin_not_allowed", "host_not_allowed")
    with pytest.raises(InvalidStatus):
        served.connect(origin="https://elsewhere.example")
    with served.connect(origin=served.http) as socket:
        assert until(socket, "session.created")


def test_limits_are_refusals_with_a_code(reasoner):
    limits = Limits(max_frame_bytes=300, events_per_second=1e-3, event_burst=6, idle_seconds=0.5)
    with serving(reasoner.pool(1), limits=limits) as served, served.connect() as socket:
        until(socket, "session.created")
        with served.connect() as second:
            (refused,) = until(second, "error")
            assert refused["error"]["code"] == "too_many_sessions"
            with pytest.raises(ConnectionClosed):
                second.recv(timeout=60)
        for frame in ("x" * 301, b"{}", "{", "[]", '{"type": NaN}', "{}", "{}"):
            socket.send(frame)
        codes = [until(socket, "error")[-1]["error"]["code"] for _ in range(8)]
        assert codes == [
            *("frame_too_large", "binary_frame", "invalid_json", "invalid_event", "invalid_json"),
            *("invalid_event", "rate_limit_exceeded", "session_idle"),
        ]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)


def test_a_client_that_reads_too_slowly_is_closed(reasoner):
    limits = Limits(max_unsent_events=4)
    with serving(reasoner.pool(1), limits=limits) as served, served.connect() as socket:
        until(socket, "session.created")
        (session,) = [each.session for each in served.service.sessions]
        error = RefusalError("test", "many events at once")
        served.service.thread.post(lambda: [session.refuse(error) for _ in range(9)])
        with pytest.raises(ConnectionClosed) as closed:
            until(socket, "never")
        assert closed.value.rcvd.code == 1013


def test_sigterm_finishes_the_response_in_progress_and_refuses_what_is_new(reasoner):
    pool = reasoner.pool(2)
    with serving(pool) as served, served.connect() as idle, served.connect() as socket:
        until(idle, "session.created")
        send(socket, "session.update", session={"instructions": QUESTION})
        send(socket, "input_text.append", text=TEXT)
        send(socket, "response.create")
        until(socket, "response.created")
        loop = served.server._service.thread._loop
        loop.call_soon_threadsafe(served.server.handle_exit, signal.SIGTERM, None)
        assert until(idle, "error")[-1]["error"]["code"] == "server_draining"
        events = until(socket, "error")
        assert events[-1]["error"]["code"] == "server_draining"
        (done,) = [each for each in events if each["type"] == "response.done"]
        assert done["response"]["output"][0]["content"][0]["text"] == answer(reasoner)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=60)
        assert closed.value.rcvd.code == 1001


def test_sigterm_ends_within_its_bound_while_a_backend_says_nothing(tokenizer, answering, tmp_path):
    answering.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    save_streaming(tmp_path, STREAMING)
    with CompletionServer(answering, tokenizer) as backend:
        reasoner = StreamingReasoner.from_server(backend.url, tmp_path)
    silent = socket.create_server(("127.0.0.1", 0))
    reasoner._engine._server._url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
    limits = Limits(drain_seconds=0.2)
    with silent, serving(reasoner.pool(2), limits=limits) as served, served.connect() as client:
        send(client, "session.update", session={"instructions": QUESTION})
        send(client, "input_text.append", text=TEXT)
        send(client, "response.create")
        until(client, "response.created")
        start = time.monotonic()
        loop = served.server._service.thread._loop
        loop.call_soon_threadsafe(served.server.handle_exit, signal.SIGTERM, None)
        assert until(client, "response.done")[-1]["response"]["status"] == "failed"
        assert until(client, "error")[-1]["error"]["code"] == "server_draining"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
        assert closed.value.rcvd.code == 1001
    assert time.monotonic() - start < 8
    assert requests_left() == []


def test_a_failing_step_is_told_and_the_server_goes_on(reasoner, monkeypatch):
    pool = reasoner.pool(2)
    feed = pool.engine._runner.feed

    def broken(*_arguments):
        monkeypatch.setattr(pool.engine._runner, "feed", feed)
        raise ValueError("a bad step")

    with serving(pool) as served, served.connect() as socket:
        monkeypatch.setattr(pool.engine._runner, "feed", broken)
        send(socket, "session.update", session={"instructions": QUESTION})
        send(socket, "input_text.append", text=TEXT)
        error = until(socket, "error")[-1]["error"]
        assert (error["type"], error["code"]) == ("server_error", "server_failed")
        send(socket, "input_text.clear")
        assert ask(socket)[-1]["response"]["output"][0]["content"][0]["text"] == answer(reasoner)


FRAMES = (
    "", "{", "[]", "null", "3", '"x"', '{"type": 3}', '{"type": "input_text.append", "text": null}',
    '{"type": "session.update", "session": 7}', '{"type": "response.create", "response": []}',
    '{"type": "conversation.item.create", "item": {"content": [[]], "role": "user"}}',
    '{"type": "input_text.append", "text": "\\ud800"}', "[" * 5000, '{"type": "x", "type": []}',
    '{"type": "conversation.item.delete", "item_id": {}}', '{"type": "response.cancel", "response_id": 4}',
)  # fmt: skip


@pytest.mark.parametrize(
    "count", [pytest.param(300, id="some"), pytest.param(10_000, id="all", marks=pytest.mark.slow)]
)
def test_malformed_frames_are_errors_and_nothing_breaks(served, reasoner, count):
    rng = random.Random(0)
    with served.connect() as socket:
        until(socket, "session.created")
        for _ in range(count):
            frame = rng.choice(FRAMES)
            if rng.random() < 0.5:  # anything else
                frame = "".join(chr(rng.randrange(1, 0x2FF)) for _ in range(rng.randrange(40)))
            socket.send(frame)
            assert until(socket, "error")[-1]["error"]["code"]
        time.sleep(0.2)  # a fast machine has used up the rate
        assert ask(socket)[-1]["response"]["output"][0]["content"][0]["text"] == answer(reasoner)


def test_with_a_backend_many_sessions_are_requests_in_flight(tokenizer, answering, tmp_path):
    answering.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    save_streaming(tmp_path, STREAMING)
    texts = (TEXT, "Tom has 2 coins. Tom finds 3 coins.")
    local = reasoner_of(answering, tokenizer, STREAMING)
    answers = [answer(local, text) for text in texts]
    with CompletionServer(answering, tokenizer, tells_ids=True) as backend:
        pool = StreamingReasoner.from_server(backend.url, tmp_path).pool(3)
        with serving(pool) as served, served.connect() as first, served.connect() as second:
            for socket, text, expected in zip((first, second), texts, answers, strict=True):
                answered = ask(socket, text)[-1]["response"]
                assert answered["output"][0]["content"][0]["text"] == expected
                assert answered["usage"]["output_tokens"] > 0
            backend.breaks = True
            send(first, "response.create")
            events = until(first, "response.done")
            assert [e["error"]["code"] for e in events if e["type"] == "error"] == ["failed"]
            assert events[-1]["response"]["status"] == "failed"
    assert requests_left() == []
