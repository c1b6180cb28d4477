"""The modes that take a part of a streaming model away: what is given, what is written, in both layouts."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.evaluation.outcome import first_answer_token
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.parallel_layout import full_logps
from support.scripted import play
from support.settings import STREAMING

LAYOUTS = ("interleaved", "parallel")


@pytest.fixture(params=LAYOUTS)
def parts(request, tokenizer):
    streaming = dataclasses.replace(STREAMING, layout=request.param)
    codec = Codec(tokenizer, streaming.markers)
    return codec, build_layout(streaming, codec), streaming


def row_of(episode, mode, parts):
    codec, layout, streaming = parts
    return SequenceState(Request(episode, 0, mode), layout, codec, streaming)


def final(codec, deep, answer):
    end = codec.marker("reasoning_end") if deep is not None else ()
    return (*codec.encode_text(deep or ""), *end, *codec.encode_text(answer), codec.eos_id)


def columns(rollout):
    return zip(rollout.token_ids, rollout.phases, rollout.chunk_of_token, strict=True)


def given(rollout, chunk):
    return tuple(t for t, phase, c in columns(rollout) if c == chunk and phase is Phase.READ)


def test_with_forced_skips_a_skip_marker_is_given_behind_each_chunk(parts, episodes):
    codec, layout, _ = parts
    episode = episodes[0]
    count = len(episode.chunks)
    rollout = play(row_of(episode, Mode.FORCED_SKIP, parts), [final(codec, "all at once", "8")])
    assert rollout.ending is Ending.ANSWERED
    assert rollout.tokens_in(Phase.STREAM) == 0
    assert (rollout.thought_endings, rollout.thoughts, rollout.skip_rate) == ((), (), 0.0)
    for k, chunk in enumerate(episode.chunks):
        read = codec.encode_data(chunk) + codec.marker("chunk_end")
        assert given(rollout, k) == read + codec.marker("skip")
    assert given(rollout, count) == codec.marker("stream_end")
    # The very tokens of a rollout that skips of its own accord; only the phases differ.
    skips = [codec.marker("skip")] * count
    own = play(row_of(episode, Mode.STREAMING, parts), [*skips, final(codec, "all at once", "8")])
    assert own.token_ids == rollout.token_ids
    assert own.chunk_of_token == rollout.chunk_of_token
    assert layout.visibility(own) == layout.visibility(rollout)
    assert own.tokens_in(Phase.DEEP) == rollout.tokens_in(Phase.DEEP)


def test_without_a_deep_part_the_reasoning_end_is_given_behind_the_last_thought(parts, episodes):
    codec, layout, _ = parts
    episode = episodes[0]
    count = len(episode.chunks)
    thoughts = [codec.encode_text("Tom 5") + codec.marker("thought_end")] * count
    rollout = play(row_of(episode, Mode.NO_DEEP, parts), [*thoughts, final(codec, None, "8")])
    assert (rollout.ending, rollout.deep, rollout.answer) == (Ending.ANSWERED, "", "8")
    assert given(rollout, count) == codec.marker("stream_end") + codec.marker("reasoning_end")
    assert rollout.tokens_in(Phase.DEEP) == len(codec.encode_text("8")) + 1
    assert rollout.answer_tokens == len(codec.encode_text("8"))
    assert first_answer_token(rollout, Mode.NO_DEEP, codec) == 1
    # The very tokens of a rollout that reasons no further of its own accord.
    own = play(row_of(episode, Mode.STREAMING, parts), [*thoughts, final(codec, "", "8")])
    assert own.token_ids == rollout.token_ids
    assert layout.visibility(own) == layout.visibility(rollout)
    assert (own.deep, own.answer) == (rollout.deep, rollout.answer)
    marker = len(codec.marker("reasoning_end"))
    assert own.answer_tokens == rollout.answer_tokens + marker
    assert first_answer_token(own, Mode.STREAMING, codec) == marker + 1


def test_a_second_reasoning_end_is_malformed(parts, episodes):
    codec = parts[0]
    skips = [codec.marker("skip")] * len(episodes[0].chunks)
    written = (*codec.encode_text("Tom"), *final(codec, "", "8"))
    rollout = play(row_of(episodes[0], Mode.NO_DEEP, parts), [*skips, written])
    assert rollout.ending is Ending.MALFORMED


def test_without_an_answer_the_first_token_of_it_is_the_last_of_all(parts, episodes):
    codec = parts[0]
    skips = [codec.marker("skip")] * len(episodes[0].chunks)
    words = (*codec.encode_text("well"), codec.eos_id)
    rollout = play(row_of(episodes[0], Mode.STREAMING, parts), [*skips, words])
    assert rollout.ending is Ending.MALFORMED
    assert first_answer_token(rollout, Mode.STREAMING, codec) == len(words)


def test_prefill_only_reads_all_and_is_given_the_end_of_the_reasoning(parts, episodes):
    codec, layout, _ = parts
    episode = episodes[0]
    count = len(episode.chunks)
    rollout = play(row_of(episode, Mode.PREFILL_ONLY, parts), [final(codec, None, "8")])
    assert (rollout.ending, rollout.deep, rollout.answer) == (Ending.ANSWERED, "", "8")
    assert (rollout.thoughts, rollout.thought_endings) == ((), ())
    assert rollout.tokens_in(Phase.STREAM) == 0
    assert rollout.tokens_in(Phase.DEEP) == len(codec.encode_text("8")) + 1
    for k, chunk in enumerate(episode.chunks):
        assert given(rollout, k) == codec.encode_data(chunk) + codec.marker("chunk_end")
    assert given(rollout, count)[-1:] == codec.marker("reasoning_end")
    assert (rollout.reasoning_tokens, first_answer_token(rollout, Mode.PREFILL_ONLY)) == (0, 1)
    # The very tokens of read-then-think that reasons not at all of its own accord.
    own = play(row_of(episode, Mode.READ_THEN_THINK, parts), [final(codec, "", "8")])
    assert own.token_ids == rollout.token_ids
    assert layout.visibility(own) == layout.visibility(rollout)


def test_prefill_only_is_taught_by_the_answer_alone_and_needs_no_trace(parts, episodes):
    codec, layout, _ = parts
    episode = dataclasses.replace(episodes[0], thoughts=None, deep=None)
    encoded = layout.encode(episode, Mode.PREFILL_ONLY)
    answer = (*codec.encode_text(episode.answer), codec.eos_id)
    written = [t for t, phase, _ in columns(encoded) if phase is not Phase.READ]
    assert tuple(written) == answer
    assert encoded.token_ids[-len(answer) - 1 :] == codec.marker("reasoning_end") + answer
    with pytest.raises(UserError, match="has no trace"):
        layout.encode(episode, Mode.READ_THEN_THINK)


@pytest.mark.parametrize("mode", [Mode.FORCED_SKIP, Mode.NO_DEEP, Mode.SPECULATIVE])
def test_these_modes_cannot_be_taught(parts, episodes, mode):
    with pytest.raises(UserError, match=f"got {mode.value}, which models are measured in"):
        parts[1].encode(episodes[0], mode)


@pytest.mark.parametrize("boundary", ["fed", "written"])
@pytest.mark.parametrize("mode", [Mode.FORCED_SKIP, Mode.NO_DEEP, Mode.PREFILL_ONLY])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_incremental_decoding_equals_the_full_forward(
    taught, tokenizer, episodes, mode, layout, boundary
):
    streaming = dataclasses.replace(STREAMING, layout=layout, boundary=boundary)
    codec = Codec(tokenizer, streaming.markers)
    engine = HFEngine(taught, codec, build_layout(streaming, codec), streaming)
    requests = [Request(episode, i, mode) for i, episode in enumerate(episodes[:6])]
    for rollout in engine.rollout(requests, Sampling(1.0)):
        written = torch.tensor([phase is not Phase.READ for phase in rollout.phases])[1:]
        recorded = torch.tensor(rollout.logprobs)[1:]
        if layout == "parallel":
            logps, _ = full_logps(taught, rollout, boundary == "fed")
        else:
            ids = torch.tensor([rollout.token_ids])
            with torch.no_grad():
                logps = torch.log_softmax(taught(input_ids=ids).logits[0, :-1].float(), dim=-1)
            logps = logps.gather(1, ids[0, 1:, None])[:, 0]
        assert written.any()
        assert (logps - recorded)[written].abs().max() < 1e-4
