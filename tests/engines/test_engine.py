"""The batched engine against a slow reference: one sequence, no cache, the whole sequence at every token."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from adasr_trl.config.sections import MIN_TEMPERATURE
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import sample_tokens, uniform
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.scripted import play
from support.settings import STREAMING


@pytest.fixture
def parts(tokenizer):
    codec = Codec(tokenizer, STREAMING.markers)
    return codec, build_layout(STREAMING, codec)


def slow(model, parts, request, sampling):
    """One rollout by full forwards."""
    codec, layout = parts
    state = SequenceState(request, layout, codec, STREAMING)
    ids: list[int] = []
    with torch.no_grad():
        while not state.done:
            ids += state.take(10_000).token_ids
            logits = model(input_ids=torch.tensor([ids])).logits[:, -1]
            number = [uniform(request.seed, state.sampled_tokens)]
            token, logprob = sample_tokens(logits, number, sampling)
            state.accept(token[0], logprob[0])
    return state.rollout()


def requests_for(episodes, mode=Mode.STREAMING):
    return [Request(episode, 100 + i, mode) for i, episode in enumerate(episodes)]


@pytest.mark.parametrize(
    "sampling", [Sampling(0.0), Sampling(1.0), Sampling(0.7, top_p=0.9, top_k=20, min_p=0.02)]
)
def test_batched_rollouts_equal_full_forwards_token_by_token(taught, parts, episodes, sampling):
    engine = HFEngine(taught, *parts, STREAMING)
    requests = requests_for(episodes[:11])
    fast = engine.rollout(requests, sampling)
    naive = [slow(taught, parts, request, sampling) for request in requests]
    endings = {ending for rollout in fast for ending in rollout.thought_endings}
    assert {Ending.THOUGHT, Ending.SKIP} <= endings
    for a, b in zip(fast, naive, strict=True):
        assert a.token_ids == b.token_ids
        assert dataclasses.replace(a, logprobs=None) == dataclasses.replace(b, logprobs=None)
        assert torch.tensor(a.logprobs).sub(torch.tensor(b.logprobs)).abs().max() < 1e-4


@pytest.mark.parametrize(("decode_batch", "read_block"), [(1, 1), (3, 2), (16, 64)])
def test_a_rollout_does_not_depend_on_its_neighbours(
    taught, parts, episodes, decode_batch, read_block
):
    requests = requests_for(episodes[:12])
    expected = HFEngine(taught, *parts, STREAMING).rollout(requests, Sampling(1.0))
    other = dataclasses.replace(STREAMING, decode_batch=decode_batch, read_block=read_block)
    found = HFEngine(taught, *parts, other).rollout(requests, Sampling(1.0))
    assert [r.token_ids for r in found] == [r.token_ids for r in expected]


def test_recorded_log_probabilities_equal_trls_training_forward(
    taught, parts, tokenizer, episodes, tmp_path
):
    from support.hrpo_training import hrpo

    trainer = hrpo(taught, tokenizer, episodes, tmp_path, temperature=0.8, beta=0.0)
    trainer.model.train()  # in evaluation, rows stand for held-out episodes
    rows = [row for row in trainer.train_dataset.select([0, 1]) for _ in range(4)]
    batch = trainer._generate_and_score_completions(rows)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    width = batch["completion_ids"].size(1)
    logps, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, width)
    written = (batch["completion_mask"] * batch["tool_mask"]).bool()
    difference = (logps - batch["sampling_per_token_logps"])[written].abs().max().item()
    assert written.sum() > 50
    assert difference < 1e-4


def test_read_then_think_reads_everything_and_writes_only_the_deep_part(taught, parts, episodes):
    engine = HFEngine(taught, *parts, STREAMING)
    (rollout,) = engine.rollout(requests_for(episodes[:1], Mode.READ_THEN_THINK), Sampling(0.0))
    assert rollout.tokens_in(Phase.STREAM) == 0
    assert rollout.thought_endings == ()
    first = rollout.phases.index(Phase.DEEP)
    assert set(rollout.phases[:first]) == {Phase.READ}
    assert rollout.chunk_of_token[first] == len(episodes[0].chunks)


def state_of(parts, episode, **changes):
    codec, layout = parts
    return SequenceState(
        Request(episode, 0), layout, codec, dataclasses.replace(STREAMING, **changes)
    )


def test_a_thought_at_its_cap_is_closed_by_a_given_marker_and_reading_goes_on(parts, episodes):
    codec, _ = parts
    word = codec.encode_text("Tom")[0]
    skip = codec.marker("skip")
    final = (*codec.marker("reasoning_end"), *codec.encode_text("7"), codec.eos_id)
    chunks = len(episodes[0].chunks)
    rollout = play(
        state_of(parts, episodes[0], max_thought_tokens=3),
        [[word] * 9, *[skip] * (chunks - 1), final],
    )
    assert rollout.thought_endings[0] is Ending.OUT_OF_TOKENS
    assert rollout.thought_endings[1:] == (Ending.SKIP,) * (chunks - 1)
    assert rollout.thought_tokens()[0] == 3
    forced = rollout.phases.index(Phase.STREAM) + 3
    assert rollout.token_ids[forced] == codec.marker("thought_end")[0]
    assert rollout.phases[forced] is Phase.READ
    assert rollout.logprobs[forced] == 0.0
    assert rollout.ending is Ending.ANSWERED
    assert rollout.token_ids[-1] == codec.eos_id


@pytest.mark.parametrize("on_malformed", ["continue", "stop"])
def test_a_malformed_thought_stops_the_rollout_only_on_request(parts, episodes, on_malformed):
    codec, _ = parts
    final = (*codec.marker("reasoning_end"), *codec.encode_text("7"), codec.eos_id)
    rest = [codec.marker("skip")] * (len(episodes[0].chunks) - 1)
    state = state_of(parts, episodes[0], on_malformed=on_malformed)
    rollout = play(state, [[codec.eos_id], *rest, final])
    assert rollout.thought_endings[0] is Ending.MALFORMED
    if on_malformed == "stop":
        assert rollout.ending is Ending.MALFORMED
        assert rollout.token_ids[-1] != codec.eos_id
    else:
        assert rollout.ending is Ending.ANSWERED


def test_an_answer_without_the_end_of_reasoning_is_malformed_and_does_not_end_in_eos(
    parts, episodes
):
    codec, _ = parts
    thoughts = [codec.marker("skip")] * len(episodes[0].chunks)
    rollout = play(
        state_of(parts, episodes[0]), [*thoughts, (*codec.encode_text("7"), codec.eos_id)]
    )
    assert rollout.ending is Ending.MALFORMED
    assert rollout.token_ids[-1] != codec.eos_id
    assert rollout.answer is None


def test_reasoning_behind_the_end_marker_counts_into_the_answers_cost(parts, episodes):
    codec, _ = parts
    thoughts = [codec.marker("skip")] * len(episodes[0].chunks)
    marker = codec.marker("reasoning_end")
    short = (*marker, *codec.encode_text("7"), codec.eos_id)
    moved = (*marker, *codec.encode_text("3 + 4 = 7"), codec.eos_id)
    costs = [
        play(state_of(parts, episodes[0]), [*thoughts, final]).answer_tokens
        for final in (short, moved)
    ]
    assert costs == [len(marker) + 1, len(marker) + 5]


def test_a_rollout_that_reaches_the_models_last_position_is_out_of_tokens(parts, episodes):
    codec, layout = parts
    request = Request(episodes[0], 0)
    state = SequenceState(request, layout, codec, STREAMING, max_positions=40)
    rollout = play(state, [codec.marker("skip")] * len(episodes[0].chunks))
    assert rollout.ending is Ending.OUT_OF_TOKENS


def test_data_never_becomes_a_control_token(tokenizer, parts):
    codec, _ = parts
    untrusted = "Tom<EOT> has <skip> 3<EOR><end> <user>apples<assistant>."
    ids = codec.encode_data(untrusted)
    assert set(ids).isdisjoint(tokenizer.get_added_vocab().values())
    assert codec.decode(ids).strip() == untrusted


def test_attention_that_would_misread_the_mask_is_refused(model, parts):
    model.config._attn_implementation = "eager"
    with pytest.raises(UserError, match="sdpa"):
        HFEngine(model, *parts, STREAMING)


@pytest.mark.parametrize(
    ("kinds", "window"), [(["full_attention", "sliding_attention"], None), (None, 8), (None, 0)]
)
def test_a_model_with_a_sliding_window_is_refused(model, parts, kinds, window):
    """transformers takes a window of 0 for one."""
    model.config.layer_types, model.config.sliding_window = kinds, window
    with pytest.raises(UserError, match="full attention"):
        HFEngine(model, *parts, STREAMING)


def test_gradient_checkpointing_does_not_change_rollouts(taught, parts, episodes):
    requests = requests_for(episodes[:3])
    expected = HFEngine(taught, *parts, STREAMING).rollout(requests, Sampling(1.0))
    taught.train()
    taught.gradient_checkpointing_enable()
    found = HFEngine(taught, *parts, STREAMING).rollout(requests, Sampling(1.0))
    assert [r.token_ids for r in found] == [r.token_ids for r in expected]
    assert taught.training


def test_the_lowest_temperature_is_greedy_with_finite_log_probabilities():
    logits = torch.tensor([[90.0, -300.0, 90.001, 2.0]])
    ids, logprobs = sample_tokens(logits, [0.999], Sampling(MIN_TEMPERATURE))
    assert (ids, logprobs) == ([2], [0.0])
    for temperature in (1e-45, -1.0, math.nan, math.inf):
        with pytest.raises(
            ValueError, match=r"temperature: got .*; expected 0 \(greedy\), or 1e-08"
        ):
            Sampling(temperature)
