"""Traces from a model: what is asked, read, accepted, kept apart, cached, paid for, and gone on with."""

import argparse
import json
import re
import time

import httpx2
import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source, read_episodes
from data_builders.__main__ import main
from data_builders.errors import BuildError
from data_builders.pipeline.quality import Bounds
from data_builders.tools import teacher
from data_builders.tools.endpoint import Endpoint, EndpointSettings
from support.building import BOAT, CUSTOM, manifest, write_rows

GOOD = "1: Ann owns the boat\n2: <skip>\ndeep: <skip>\nanswer: Ann"
EPISODE = Episode(
    "a", "a", "Whose is the boat?", ("It is Ann's.", " Bob rows it."), "Ann", AnswerType.TEXT,
    Source("s", "1", "MIT", "train"),
)  # fmt: skip


class Server:
    """Answers every request with what ``reply`` makes of its prompt and its number; notes them all."""

    def __init__(self, reply, status=200, headers=None):
        self.reply, self.status, self.headers = reply, status, headers or {}
        self.requests = []

    def __call__(self, request):
        body = json.loads(request.content)
        self.requests.append((request, body))
        text = self.reply(body) if callable(self.reply) else self.reply
        if isinstance(text, httpx2.Response):
            return text
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        return httpx2.Response(
            self.status, json={"choices": [choice], "usage": usage}, headers=self.headers
        )


@pytest.fixture
def boats(tmp_path):
    """Twelve episodes without traces."""
    rows = [{**BOAT, "story": f"It is Ann's {i}th boat. Bob rows it."} for i in range(12)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    flags = ["--answer-type", "text", "--test-count", "3", "--out", str(tmp_path / "boats")]
    assert main([*CUSTOM, "--input", str(path), *flags]) == 0
    return tmp_path / "boats"


def teach(directory, out, server, *more):
    parser = argparse.ArgumentParser()
    teacher.add_options(parser)
    given = ["--endpoint", "http://teacher/v1", "--model", "m", "--out", str(out), *more]
    options = parser.parse_args([str(directory), *given])
    return teacher.run(options, transport=httpx2.MockTransport(server))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waiting takes no time, but is noted."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("data_builders.tools.endpoint.asyncio.sleep", sleep)
    return waited


# ---- the request and the reply


def test_the_prompt_names_the_question_and_numbers_the_pieces():
    template = teacher._read_prompt(teacher.PROMPT)
    text = teacher.render_prompt(template, EPISODE)
    assert "Whose is the boat?" in text
    assert "1: It is Ann's.\n2: Bob rows it." in text
    assert "Ann" not in text.replace("Ann's", "")  # the gold answer is not told
    assert "$" not in text


def test_text_of_a_data_set_is_no_placeholder():
    from dataclasses import replace

    untrusted = replace(EPISODE, question="What is $chunks or ${answer_form}?")
    text = teacher.render_prompt(teacher._read_prompt(teacher.PROMPT), untrusted)
    assert "What is $chunks or ${answer_form}?" in text


def test_a_reply_is_read_line_by_line():
    written = teacher.read_reply(
        "Sure.\n1: first\nand more\n2: <skip>\n\n[3]: 2. item\nDeep: so\nanswer: $4"
    )
    assert written.thoughts == ("first and more", "", "2. item")
    assert (written.deep, written.answer) == ("so", "$4")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (GOOD, None),
        ("1: Ann owns it\ndeep: <skip>\nanswer: Ann", "thoughts_do_not_fit"),
        ("1: Bob will row it\n2: <skip>\ndeep: <skip>\nanswer: Ann", "fact_from_future"),
        ("1: Ann owns it\n2: <skip>\ndeep: <skip>\nanswer: Bob", "wrong_answer"),
        ("1: Ann <EOT> owns it\n2: <skip>\ndeep: <skip>\nanswer: Ann", "marker_in_trace"),
        (f"1: {'very ' * 200}\n2: <skip>\ndeep: <skip>\nanswer: Ann", "thought_too_long"),
        ("I cannot help.", "wrong_answer"),
    ],
)
def test_only_a_reply_that_passes_every_check_is_taught_from(reply, reason):
    fault = teacher.fault_of_reply(EPISODE, teacher.read_reply(reply), Bounds())
    assert (fault and fault[0]) == reason


# ---- a run


def test_every_episode_gets_its_trace_in_the_order_of_the_file(boats, tmp_path):
    server = Server(GOOD)
    taught = teach(boats, tmp_path / "out", server, "--concurrency", "3")
    assert taught.traced == 12
    for name in ("train.jsonl", "test.jsonl"):
        before, after = (list(read_episodes(folder / name)) for folder in (boats, tmp_path / "out"))
        assert [e.id for e in after] == [e.id for e in before]
        assert {e.thoughts for e in after} == {("Ann owns the boat", "")}
    assert manifest(tmp_path / "out")["teacher"]["model"] == "m"


def test_what_fails_is_asked_again_and_kept_apart_with_its_reason(boats, tmp_path):
    bad = GOOD.replace("answer: Ann", "answer: Bob")
    taught = teach(boats, tmp_path / "out", Server(lambda b: bad if b["seed"] == 0 else GOOD))
    assert (taught.traced, dict(taught.reasons)) == (12, {"wrong_answer": 12})
    lines = (tmp_path / "out" / "rejected_traces.jsonl").read_text().splitlines()
    assert len(lines) == 12
    assert json.loads(lines[0])["detail"] == "answered 'Bob', gold is 'Ann'"


def test_an_episode_without_a_good_reply_is_left_out_or_kept_untraced(boats, tmp_path):
    def reply(body):
        return "no" if "Ann's 7th" in body["messages"][0]["content"] else GOOD

    assert sum(teach(boats, tmp_path / "out", Server(reply)).files.values()) == 11
    kept = teach(boats, tmp_path / "kept", Server(reply), "--keep-untraced")
    assert (sum(kept.files.values()), kept.traced) == (12, 11)


def test_a_second_run_asks_nothing_and_costs_nothing(boats, tmp_path):
    first = Server(GOOD)
    prices = ("--input-price", "10", "--output-price", "100")
    spent = teach(boats, tmp_path / "out", first, *prices).spent
    assert spent["requests"] == 12
    assert spent["dollars"] == pytest.approx(12 * (100 * 10 + 10 * 100) / 1e6)
    second = Server(GOOD)
    again = teach(boats, tmp_path / "out", second, *prices).spent
    assert (again["requests"], again["cached"], again["dollars"]) == (0, 12, 0)
    assert second.requests == []


def test_another_prompt_or_model_is_asked_anew(boats, tmp_path):
    teach(boats, tmp_path / "out", Server(GOOD))
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Think. $chunks")
    server = Server(GOOD)
    teach(boats, tmp_path / "out", server, "--prompt", str(prompt))
    assert len(server.requests) == 12
    assert server.requests[0][1]["messages"][0]["content"].startswith("Think. 1: It is")


def test_an_interrupted_run_goes_on_with_what_was_answered(boats, tmp_path):
    def fail_late(body):
        if len(server.requests) > 7:
            return httpx2.Response(401, text="no more")
        return GOOD

    server = Server(fail_late)
    with pytest.raises(BuildError, match="HTTP 401: no more"):
        teach(boats, tmp_path / "out", server, "--concurrency", "1")
    assert not (tmp_path / "out" / "train.jsonl").exists()
    server = Server(GOOD)
    assert teach(boats, tmp_path / "out", server).traced == 12
    assert len(server.requests) == 5


def test_it_stops_when_the_money_is_spent_and_goes_on_with_more(boats, tmp_path):
    price = ("--output-price", "100000", "--concurrency", "1")
    with pytest.raises(BuildError, match=r"--max-cost 3: \$3\.00 are spent"):
        teach(boats, tmp_path / "out", Server(GOOD), *price, "--max-cost", "3")
    server = Server(GOOD)
    teach(boats, tmp_path / "out", server, *price, "--max-cost", "30")
    assert len(server.requests) == 9


def test_a_full_server_is_waited_for_as_long_as_it_asks(boats, tmp_path, quick):
    def reply(body):
        if len(server.requests) == 1:
            return httpx2.Response(429, headers={"retry-after": "7"})
        if len(server.requests) == 2:
            return httpx2.Response(503)
        return GOOD

    server = Server(reply)
    teach(boats, tmp_path / "out", server, "--concurrency", "1", "--limit", "2")
    assert [seconds for seconds in quick if seconds] == [7.0, 1.0]


def test_a_server_that_never_answers_is_given_up(boats, tmp_path):
    def refuse(request):
        raise httpx2.ConnectError("refused")

    with pytest.raises(BuildError, match=r"no reply after 3 attempts \(refused\)"):
        teach(boats, tmp_path / "out", refuse, "--retries", "2")


def test_the_rate_is_limited(boats, tmp_path, monkeypatch):
    slots = []
    now = [0.0]

    async def sleep(seconds):
        slots.append(round(now[0] + seconds, 3))

    monkeypatch.setattr("data_builders.tools.endpoint.asyncio.sleep", sleep)
    monkeypatch.setattr("data_builders.tools.endpoint.time.monotonic", lambda: now[0])
    teach(boats, tmp_path / "out", Server(GOOD), "--requests-per-minute", "30")
    assert sorted(slots) == [2.0 * i for i in range(12)]


def test_no_more_requests_are_under_way_than_allowed(boats, tmp_path):
    import asyncio

    under_way, most = [0], [0]

    class Slow(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            for _ in range(5):
                await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.001)
            under_way[0] -= 1
            return Server(GOOD)(request)

    parser = argparse.ArgumentParser()
    teacher.add_options(parser)
    given = ["--endpoint", "http://t/v1", "--model", "m", "--out", str(tmp_path / "o")]
    options = parser.parse_args([str(boats), *given, "--concurrency", "3"])
    teacher.run(options, transport=Slow())
    assert most[0] == 3


def test_the_key_is_sent_but_written_nowhere(boats, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    server = Server(GOOD)
    teach(boats, tmp_path / "out", server, "--key-variable", "MY_KEY")
    assert server.requests[0][0].headers["authorization"] == "Bearer s3cret"
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"s3cret" not in path.read_bytes()


def test_a_reply_that_was_cut_off_is_not_taught_from(boats, tmp_path):
    def reply(body):
        choice = {
            "message": {"content": GOOD},
            "finish_reason": "length" if body["seed"] < 1 else "stop",
        }
        return httpx2.Response(200, json={"choices": [choice]})

    taught = teach(boats, tmp_path / "out", Server(reply))
    assert dict(taught.reasons) == {"cut_off": 12}


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (httpx2.Response(200, text="<html>"), "answered no JSON"),
        (httpx2.Response(200, json={"error": "x"}), "choices"),
        (httpx2.Response(404, text="unknown model"), "unknown model"),
    ],
)
def test_an_endpoint_that_is_none_is_named(boats, tmp_path, response, words):
    with pytest.raises(BuildError, match=re.escape("--endpoint http://teacher/v1")) as caught:
        teach(boats, tmp_path / "out", Server(lambda _: response))
    assert words in str(caught.value)


def test_a_prompt_without_the_text_is_refused(boats, tmp_path):
    prompt = tmp_path / "prompt.txt"
    for text in ("Think.", "Think $chunks and $tokens", "$"):
        prompt.write_text(text)
        with pytest.raises(BuildError, match=r"expected \$chunks"):
            teach(boats, tmp_path / "out", Server(GOOD), "--prompt", str(prompt))


def test_another_build_is_not_overwritten(boats, tmp_path):
    with pytest.raises(BuildError, match="holds another build"):
        teach(boats, boats, Server(GOOD))


def test_an_episode_that_has_a_trace_is_asked_for_only_on_demand(boats, tmp_path):
    teach(boats, tmp_path / "one", Server(GOOD))
    server = Server(GOOD)
    teach(tmp_path / "one", tmp_path / "two", server)
    assert server.requests == []
    teach(tmp_path / "one", tmp_path / "three", server, "--replace")
    assert len(server.requests) == 12


def test_a_damaged_reply_in_the_cache_is_asked_for_again(tmp_path):
    import asyncio

    server = Server("hello")
    settings = EndpointSettings("http://t/v1", "m", tmp_path / "cache")

    async def ask():
        async with Endpoint(settings, httpx2.MockTransport(server)) as endpoint:
            return await endpoint.ask("hi")

    assert asyncio.run(ask()).text == "hello"
    (kept,) = tmp_path.glob("cache/*/*.json")
    kept.write_text("{")
    assert asyncio.run(ask()).text == "hello"
    assert len(server.requests) == 2
