"""Live use gives what a rollout of the whole episode gives, however the text arrives."""

from __future__ import annotations

import dataclasses

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode, thought_text
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.live.reasoner import EventKind, StreamingReasoner
from adasr_trl.live.stream import LiveStream
from support.families import lean_towards
from support.live_use import EPISODE, QUESTION, TEXT, pieces
from support.settings import PARALLEL, STREAMING


def in_layout_order(stream):
    """The token ids of a live stream, the source before the target."""
    log = stream._sequence._log
    tokens = zip(log.token_ids, log.visibility, strict=True)
    return tuple(token_id for token_id, _ in sorted(tokens, key=lambda token: token[1] < 0))


@pytest.fixture(params=["interleaved", "parallel"])
def parts(request, model, tokenizer):
    streaming = STREAMING if request.param == "interleaved" else PARALLEL
    codec = Codec(tokenizer, streaming.markers)
    layout = build_layout(streaming, codec)
    ends = [codec.marker(role)[-1] for role in ("thought_end", "skip", "reasoning_end")]
    lean_towards(model.eval(), [*ends, codec.eos_id], 5.0)
    return HFEngine(model, codec, layout, streaming), layout


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_live_stream_writes_what_a_rollout_of_the_whole_text_writes(parts, size, seed):
    engine, layout = parts
    stream = StreamingReasoner(engine, layout, Sampling(1.0)).start(QUESTION, seed=seed)
    events = [event for piece in pieces(TEXT, size) for event in stream.feed(piece)]
    events += stream.finish()
    (whole,) = engine.rollout([Request(EPISODE, seed)], Sampling(1.0))
    assert [e.text for e in events if e.kind is EventKind.READ] == list(EPISODE.chunks)
    assert [e.text for e in events if e.kind is EventKind.THOUGHT] == list(whole.thoughts)
    assert [e.ending for e in events if e.kind is EventKind.THOUGHT] == list(whole.thought_endings)
    assert events[-1].kind is EventKind.ANSWER
    assert events[-1].text == thought_text(whole.answer or "", STREAMING.markers)
    assert in_layout_order(stream) == whole.token_ids


def test_thoughts_come_as_soon_as_the_next_sentence_has_begun(parts):
    engine, layout = parts
    stream = StreamingReasoner(engine, layout).start(QUESTION)
    assert stream.feed("Tom has 5 coins.") == []
    kinds = [event.kind for event in stream.feed(" He sings")]
    assert kinds == [EventKind.READ, EventKind.THOUGHT]


def test_all_that_has_arrived_is_read_before_the_first_thought_in_the_parallel_layout(parts):
    engine, layout = parts
    stream = StreamingReasoner(engine, layout).start(QUESTION)
    stream.feed(TEXT + " And")
    rollout = stream.rollout
    written = next(i for i, phase in enumerate(rollout.phases) if phase.name == "STREAM")
    read = {c for c, p in zip(rollout.chunk_of_token[:written], rollout.phases, strict=False)}
    assert read == ({-1, 0} if layout.__class__.__name__ == "Interleaved" else {-1, 0, 1, 2})


def test_a_stream_without_text_or_question_and_one_that_is_finished_are_refused(parts):
    reasoner = StreamingReasoner(*parts)
    with pytest.raises(UserError, match="question: got nothing"):
        reasoner.start("  ")
    empty = reasoner.start(QUESTION)
    with pytest.raises(UserError, match="without any text"):
        empty.finish()
    stream = reasoner.start(QUESTION)
    stream.feed(TEXT)
    stream.finish()
    for again in (stream.finish, lambda: stream.feed("More.")):
        with pytest.raises(UserError, match="is finished"):
            again()


@pytest.mark.parametrize("value", [None, 7, b"Tom has 5 hens."])
def test_what_is_no_text_is_refused_by_name_and_leaves_the_stream_as_it_was(parts, value):
    engine, layout = parts
    reasoner = StreamingReasoner(engine, layout, Sampling(1.0))
    kind = type(value).__name__
    with pytest.raises(UserError, match=f"question: got {kind}; expected text"):
        reasoner.start(value)
    with pytest.raises(UserError, match=f"chunks: got {kind}; expected text"):
        reasoner.read_then_think(QUESTION, [value])
    stream, plain = reasoner.start(QUESTION), reasoner.start(QUESTION)
    for call, name in ((stream.feed, "feed"), (stream.read, "read")):
        with pytest.raises(UserError, match=f"{name}: got {kind}; expected text"):
            call(value)
    for each in (stream, plain):
        each.feed(TEXT)
        each.finish()
    assert stream.rollout.token_ids == plain.rollout.token_ids


def test_a_stream_longer_than_the_models_positions_ends_by_name(parts, model):
    engine, layout = parts
    model.config.max_position_embeddings = 60
    stream = StreamingReasoner(engine, layout).start(QUESTION)
    fed = [event for _ in range(20) for event in stream.feed(" Tom finds 3 coins.")]
    assert [event.kind for event in fed].count(EventKind.OUT_OF_POSITIONS) == 1
    assert fed[-1].kind is EventKind.OUT_OF_POSITIONS
    assert stream.ended_early
    events = stream.finish()
    assert events[-1].ending is Ending.OUT_OF_TOKENS
    assert events[-1].text == ""


def test_a_finished_run_is_loaded_with_its_protocol(tmp_path, model, tokenizer):
    from adasr_trl.artifacts.saved_config import save_streaming

    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    save_streaming(tmp_path, dataclasses.replace(PARALLEL, max_thought_tokens=5))
    stream = StreamingReasoner.from_pretrained(tmp_path).start(QUESTION)
    stream.feed(TEXT)
    stream.finish()
    assert max(stream.rollout.thought_tokens()) <= 5
    assert StreamingReasoner.from_pretrained(tmp_path, layout="parallel").layout_name == "parallel"
    with pytest.raises(UserError, match=r"got interleaved, but .* was taught the parallel layout"):
        StreamingReasoner.from_pretrained(tmp_path, layout="interleaved")


def test_chunks_whose_end_is_known_are_read_at_once_and_as_they_are(parts):
    engine, layout = parts
    stream = StreamingReasoner(engine, layout, Sampling(1.0)).start(QUESTION, seed=3)
    events = [event for chunk in EPISODE.chunks for event in stream.read(chunk)]
    assert [event.kind for event in events] == [EventKind.READ, EventKind.THOUGHT] * 3
    assert [event.chunk for event in events] == [0, 0, 1, 1, 2, 2]
    stream.finish()
    (whole,) = engine.rollout([Request(EPISODE, 3)], Sampling(1.0))
    assert in_layout_order(stream) == whole.token_ids


def test_a_pause_hands_on_a_sentence_at_its_stop_and_nothing_else(parts):
    stream = StreamingReasoner(*parts).start(QUESTION)
    stream.feed("Tom has 5 coins.")
    assert next(event.text for event in stream.pause()) == "Tom has 5 coins."
    stream.feed(" He met Dr.")
    assert stream.pause() == []
    stream.feed(" Lee")
    assert stream.pause() == []
    assert stream.finish()[0].text == " He met Dr. Lee"


def test_the_open_text_is_the_input_behind_the_last_chunk(parts):
    stream = StreamingReasoner(*parts).start(QUESTION)
    stream.feed("Tom has 5 coins. Tom finds")
    assert stream.open_text == " Tom finds"
    stream.feed("\n\n")
    assert stream.pause()[0].text == " Tom finds"  # an empty line ends a sentence
    assert stream.open_text == "\n\n"
    stream.feed("Tom sings. ")
    assert stream.cut()[0].text == "\n\nTom sings."


@pytest.mark.parametrize(
    ("deep", "answer", "shown", "failure"),
    [
        ("Tom 5", "3 Ann 3<EOR>", ("Tom 5", "3 Ann 3"), "malformed: a marker inside the answer"),
        ("Tom<EOT>", None, ("Tom", ""), "malformed: a marker inside the reasoning"),
        ("Tom 5", None, ("Tom 5", ""), "malformed: no answer behind the reasoning"),
        ("Tom 5", "", ("Tom 5", ""), "malformed: no answer behind the reasoning"),
    ],
)
def test_no_marker_reaches_an_event_and_a_malformed_ending_is_named(
    parts, monkeypatch, deep, answer, shown, failure
):
    stream = StreamingReasoner(*parts).start(QUESTION)
    stream.feed(TEXT)
    changes = {"ending": Ending.MALFORMED, "deep": deep, "answer": answer}
    malformed = dataclasses.replace(stream.rollout, **changes)
    monkeypatch.setattr(LiveStream, "rollout", malformed)
    assert tuple(event.text for event in stream.finish()[-2:]) == shown
    assert stream.failure == failure


@pytest.mark.parametrize("seed", range(6))
def test_sampled_markers_never_reach_an_event(model, tokenizer, seed):
    codec = Codec(tokenizer, STREAMING.markers)
    layout = build_layout(STREAMING, codec)
    markers = STREAMING.markers.all()
    roles = ("thought_end", "skip", "reasoning_end", "chunk_end", "stream_end")
    lean_towards(model.eval(), [codec.marker(role)[-1] for role in roles], 8.0)
    reasoner = StreamingReasoner(HFEngine(model, codec, layout, STREAMING), layout, Sampling(1.0))
    stream = reasoner.start(QUESTION, seed=seed)
    events = stream.feed(TEXT) + stream.finish()
    assert not [event for event in events if any(marker in event.text for marker in markers)]


def test_events_carry_their_tokens_and_times(parts):
    stream = StreamingReasoner(*parts).start(QUESTION)
    events = stream.feed(TEXT) + stream.finish()
    thoughts = [event for event in events if event.kind is EventKind.THOUGHT]
    assert [event.tokens for event in thoughts] == list(stream.rollout.thought_tokens())
    times = [event.at for event in events]
    assert times == sorted(times)
    assert times[-1] == stream.token_seconds[-1]
    assert len(stream.token_seconds) == sum(phase.name != "READ" for phase in stream.rollout.phases)


@pytest.mark.parametrize("seed", [1, 50])  # malformed, answered
def test_read_then_think_writes_what_its_rollout_writes(parts, monkeypatch, seed):
    engine, layout = parts
    seen = []
    advance = HFEngine.advance
    monkeypatch.setattr(
        HFEngine, "advance", lambda self, row, *rest: (advance(self, row, *rest), seen.append(row))
    )
    found = StreamingReasoner(engine, layout, Sampling(1.0)).read_then_think(
        QUESTION, EPISODE.chunks, seed=seed
    )
    (whole,) = engine.rollout([Request(EPISODE, seed, Mode.READ_THEN_THINK)], Sampling(1.0))
    (row,) = seen
    assert row.rollout().token_ids == whole.token_ids
    assert (found is not None) == (whole.ending is Ending.ANSWERED)
    assert found is None or (0 < found.seconds < 10 and found.answer == whole.answer)


def test_a_cancelled_stream_writes_no_more(parts):
    stream = StreamingReasoner(*parts).start(QUESTION)
    stream.feed(TEXT)
    stream.cancel()
    written = len(stream.token_seconds)
    assert stream.feed(" He sings. He") == []
    assert len(stream.token_seconds) == written
