"""Live use from a thread, and with a completion server that writes: the same words as ``LiveStream`` alone."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
import torch

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import thought_text
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.live.background import BackgroundStream
from adasr_trl.live.reasoner import EventKind, StreamingReasoner
from support.live_use import EPISODE, QUESTION, TEXT, pieces, reasoner_of
from support.loopback_completions import CompletionServer
from support.settings import PARALLEL, STREAMING


@pytest.fixture(params=[STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def reasoner(request, taught, tokenizer):
    return reasoner_of(taught, tokenizer, request.param)


@pytest.fixture
def saved(tmp_path, taught, tokenizer):
    """A whole model's directory."""
    taught.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    save_streaming(tmp_path / "model", STREAMING)
    return tmp_path / "model"


def live(reasoner, text=TEXT):
    stream = reasoner.start(QUESTION)
    return stream.feed(text) + stream.finish(), stream.rollout


@pytest.mark.parametrize("size", [1, 9, 100])
def test_a_stream_in_the_background_writes_what_a_rollout_of_the_whole_text_writes(reasoner, size):
    (whole,) = reasoner._engine.rollout([Request(EPISODE, 0)], Sampling(0.0))
    with BackgroundStream(reasoner, QUESTION) as stream:
        for piece in pieces(TEXT, size):
            stream.feed(piece)
        stream.finish()
        events = list(stream)
    assert [e.text for e in events if e.kind is EventKind.READ] == list(EPISODE.chunks)
    assert [e.text for e in events if e.kind is EventKind.THOUGHT] == list(whole.thoughts)
    words = [thought_text(text, STREAMING.markers) for text in (whole.deep, whole.answer or "")]
    assert [event.text for event in events[-2:]] == words
    assert events == live(reasoner)[0]


def test_feeding_returns_while_a_thought_is_being_written_and_what_is_fed_is_read_in_order(
    reasoner, monkeypatch
):
    writing, release = threading.Event(), threading.Event()
    advance = HFEngine.advance

    def slow(self, *arguments):
        writing.set()
        assert release.wait(10)
        advance(self, *arguments)

    monkeypatch.setattr(HFEngine, "advance", slow)
    with BackgroundStream(reasoner, QUESTION) as stream:
        stream.feed("Tom has 5 coins. He")
        assert writing.wait(10)
        started = time.monotonic()
        stream.feed(" sings. Tom finds 3")
        stream.feed(" coins.")
        stream.finish()
        assert time.monotonic() - started < 0.5
        release.set()
        events = list(stream)
    assert events == live(reasoner)[0]
    assert threading.active_count() == 1 or not any(
        each.name == "adasr-stream" for each in threading.enumerate()
    )


def test_two_streams_of_one_reasoner_do_not_disturb_each_other(reasoner):
    other = "Ada has 12 books. Ben gives her 3 more books."
    with BackgroundStream(reasoner, QUESTION) as first, BackgroundStream(reasoner, QUESTION) as two:
        for a, b in zip(pieces(TEXT, 5), pieces(other, 5), strict=True):
            first.feed(a)
            two.feed(b)
        first.finish()
        two.finish()
        found = list(first), list(two)
    assert found == (live(reasoner)[0], live(reasoner, other)[0])


def test_an_error_in_the_background_is_raised_where_the_events_are_taken(reasoner):
    with BackgroundStream(reasoner, QUESTION) as stream:
        stream.finish()
        for _ in range(2):
            with pytest.raises(UserError, match="without any text"):
                list(stream)
        with pytest.raises(UserError, match="is finished"):
            stream.feed("More.")


def test_a_stream_that_is_closed_early_ends(reasoner):
    with BackgroundStream(reasoner, QUESTION) as stream:
        stream.feed("Tom has 5 coins. He sings.")
    assert [event.kind for event in stream] in (
        [],
        [EventKind.READ],
        [EventKind.READ, EventKind.THOUGHT],
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("tells_ids", [False, True])
@pytest.mark.parametrize("size", [8, 100])
def test_a_completion_server_writes_what_the_reasoner_writes(
    saved, taught, tokenizer, tells_ids, strict, size
):
    expected, rollout = live(reasoner_of(taught, tokenizer, STREAMING))
    with CompletionServer(taught, tokenizer, tells_ids=tells_ids, strict=strict) as server:
        served = StreamingReasoner.from_server(server.url, saved)
        stream = served.start(QUESTION)
        events = [event for piece in pieces(TEXT, size) for event in stream.feed(piece)]
        assert events + stream.finish() == expected
    assert stream.rollout.token_ids == rollout.token_ids
    assert len(server.asked) == 4  # three thoughts and the deep part: one request each
    assert all(each["temperature"] == 0.0 for each in server.asked)
    assert all("stop" not in each for each in server.asked)
    assert ("return_token_ids" in server.asked[0]) != strict


@pytest.mark.parametrize("tells_ids", [False, True])
def test_many_streams_of_a_pool_are_requests_in_flight_together(
    saved, taught, tokenizer, tells_ids
):
    reasoner = reasoner_of(taught, tokenizer, STREAMING)
    texts = [TEXT, "Ada has 12 books. Ben gives her 3 more books.", "Tom has 2 coins."]
    expected = [live(reasoner, text) for text in texts]  # the server runs the same model
    with CompletionServer(taught, tokenizer, tells_ids=tells_ids) as server:
        pool = StreamingReasoner.from_server(server.url, saved).pool(3)
        events = [[], [], []]
        streams = [pool.open(QUESTION, on_event=each.append) for each in events]
        ready = threading.Event()
        pool.engine.on_ready = ready.set
        for stream, text in zip(streams, texts, strict=True):
            stream.feed(text + " And what is never said")
            stream.rewind(len(stream.chunks))
            stream.finish()
        while not all(stream.answered for stream in streams):
            pool.step()
            assert ready.wait(10)
            ready.clear()
            pool.step()
        assert [e[-1] for e in events] == [alone[-1] for alone, _ in expected]
        assert [s.rollout.token_ids for s in streams] == [whole.token_ids for _, whole in expected]
        server.breaks = True
        streams[0].rewind(1)
        streams[0].finish()
        while not streams[0].answered:
            pool.step()
            ready.wait(0.05)
        ends = [event.kind for event in events[0][-3:]]
        assert ends == [EventKind.FAILED, EventKind.DEEP, EventKind.ANSWER]
        assert "connection ended" in streams[0].ended_early
        pool.engine.close()


def test_a_model_that_never_ends_a_thought_is_cut_at_the_caps_by_the_server_too(
    saved, model, tokenizer
):
    expected, rollout = live(reasoner_of(model.eval(), tokenizer, STREAMING))  # untaught
    with CompletionServer(model, tokenizer) as server:
        stream = StreamingReasoner.from_server(server.url, saved).start(QUESTION)
        assert [e.ending for e in stream.feed(TEXT) + stream.finish()] == [
            e.ending for e in expected
        ]
    assert len(stream.rollout.token_ids) == len(rollout.token_ids)


def test_a_served_model_can_be_used_in_the_background_with_a_key(saved, taught, tokenizer):
    expected, _ = live(reasoner_of(taught, tokenizer, STREAMING))
    with CompletionServer(taught, tokenizer) as server:
        served = StreamingReasoner.from_server(server.url + "/", saved, model="tiny", api_key="key")
        with BackgroundStream(served, QUESTION) as stream:
            stream.feed(TEXT)
            stream.finish()
            assert list(stream) == expected
    assert server.keys == ["Bearer key"]


def test_a_server_that_is_away_or_breaks_off_or_lacks_the_model_is_said(saved, taught, tokenizer):
    with pytest.raises(UserError, match="start a server"):
        StreamingReasoner.from_server("http://127.0.0.1:9/v1", saved)
    with CompletionServer(taught, tokenizer) as server:
        with pytest.raises(UserError, match="serves tiny; expected other"):
            StreamingReasoner.from_server(server.url, saved, model="other")
        server.breaks = True
        stream = StreamingReasoner.from_server(server.url, saved).start(QUESTION)
        with pytest.raises(UserError, match="connection ended while it wrote"):
            stream.feed(TEXT)


def test_a_model_of_the_parallel_layout_cannot_be_served_by_a_completion_server(
    saved, taught, tokenizer
):
    save_streaming(saved, dataclasses.replace(STREAMING, layout="parallel"))
    with (
        CompletionServer(taught, tokenizer) as server,
        pytest.raises(UserError, match="attends causally"),
    ):
        StreamingReasoner.from_server(server.url, saved)


def test_a_reasoner_is_loaded_onto_the_device_that_is_asked_for(saved):
    reasoner = StreamingReasoner.from_pretrained(saved, device="cpu")
    assert reasoner._engine._model.device == torch.device("cpu")
    with pytest.raises(UserError, match="no such directory, and no Hub id"):
        StreamingReasoner.from_pretrained(saved / "nothing" / "here")
