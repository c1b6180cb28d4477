"""The parallel layout: rollouts against full forwards under a mask written by a loop, causality, and what is refused."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import sample_tokens, uniform
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.visibility import mask_and_positions, source_visibility
from support.families import BAD, GOOD, build, lean_towards
from support.parallel_layout import dense, full_logps, parts_for
from support.settings import PARALLEL, STREAMING

WORDS = ("Tom has 5 coins.", " He sings.", " Tom finds 3 coins.", " Ann has 2 more coins.")


def episode_of(chunks, name="e"):
    return Episode(
        id=name,
        group=name,
        question="How many coins does Tom have?",
        chunks=tuple(chunks),
        answer="8",
        answer_type=AnswerType.NUMBER,
        source=Source("test", "1", "Apache-2.0", "train"),
        thoughts=("Tom 5", *[""] * (len(chunks) - 1)),
        deep="Tom 5 + 3 = 8",
    )


def written(rollout):
    return torch.tensor([phase is not Phase.READ for phase in rollout.phases])


@pytest.mark.parametrize("family", list(GOOD))
@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    boundary=st.sampled_from(["fed", "written"]),
)
@settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_incremental_decoding_equals_the_full_forward(tokenizer, family, seed, lengths, boundary):
    """Ragged episodes, three rollouts each, random endings: recorded log-probabilities and greedy tokens."""
    streaming = dataclasses.replace(PARALLEL, boundary=boundary, decode_batch=4)
    codec, layout = parts_for(tokenizer, streaming)
    model = build(GOOD[family], len(tokenizer), seed)
    markers = [codec.marker(role)[-1] for role in ("thought_end", "skip", "reasoning_end")]
    lean_towards(model, [*markers, codec.eos_id], 4.0)
    engine = HFEngine(model, codec, layout, streaming)
    episodes = [episode_of(WORDS[:n], f"e{i}") for i, n in enumerate(lengths)]
    requests = [Request(e, seed + i, Mode.STREAMING) for e in episodes for i in range(3)]
    for rollout in engine.rollout(requests, Sampling(1.0)):
        logps, _ = full_logps(model, rollout, boundary == "fed")
        recorded = torch.tensor(rollout.logprobs)[1:]
        assert (logps - recorded)[written(rollout)[1:]].abs().max() < 1e-4
    for rollout in engine.rollout(requests[:1], Sampling(0.0)):
        _, logits = full_logps(model, rollout, boundary == "fed")
        best = logits[:-1].topk(2, dim=-1)
        clear = (best.values[:, 0] - best.values[:, 1] > 1e-3) & written(rollout)[1:]
        chosen = torch.tensor(rollout.token_ids[1:])
        assert torch.equal(best.indices[:, 0][clear], chosen[clear])


@pytest.fixture
def taught(model, tokenizer, episodes):
    """The small model after 60 quick steps on the traces, under streaming attention."""
    _, layout = parts_for(tokenizer, PARALLEL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(60):
        encoded = layout.encode(episodes[step % 60], Mode.STREAMING)
        visibility = torch.tensor([layout.visibility(encoded)])
        mask, positions = mask_and_positions(visibility)
        ids = torch.tensor([encoded.token_ids])
        read = torch.tensor([encoded.phases]) == Phase.READ
        labels = ids.masked_fill(read, -100)
        model(
            input_ids=ids, attention_mask=mask, position_ids=positions, labels=labels
        ).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("boundary", ["fed", "written"])
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.ZERO_SHOT])
def test_rollouts_equal_a_slow_reference_without_cache(taught, tokenizer, episodes, boundary, mode):
    streaming = dataclasses.replace(PARALLEL, boundary=boundary)
    codec, layout = parts_for(tokenizer, streaming)
    requests = [Request(e, 7 + i, mode) for i, e in enumerate(episodes[:9])]
    fast = HFEngine(taught, codec, layout, streaming).rollout(requests, Sampling(1.0))
    for found, request in zip(fast, requests, strict=True):
        state = SequenceState(request, layout, codec, streaming)
        while not state.done:
            state.take(10_000)
            so_far = state.rollout()
            logits = full_logps(taught, so_far, boundary == "fed", (state.turn.chunk,))[1]
            number = [uniform(request.seed, state.sampled_tokens)]
            token, logp = sample_tokens(logits[-1:], number, Sampling(1.0))
            state.accept(token[0], logp[0])
        assert state.rollout().token_ids == found.token_ids
    endings = {ending for rollout in fast for ending in rollout.thought_endings}
    assert mode.reads_first or mode is Mode.FORCED_SKIP or len(endings) >= 2


@pytest.mark.parametrize(("decode_batch", "count"), [(1, 4), (3, 8), (64, 8)])
def test_a_rollout_does_not_depend_on_its_neighbours(
    taught, tokenizer, episodes, decode_batch, count
):
    codec, layout = parts_for(tokenizer, PARALLEL)
    requests = [Request(e, i, Mode.STREAMING) for e in episodes[:4] for i in range(2)]
    expected = HFEngine(taught, codec, layout, PARALLEL).rollout(requests, Sampling(1.0))
    other = dataclasses.replace(PARALLEL, decode_batch=decode_batch)
    found = HFEngine(taught, codec, layout, other).rollout(requests[:count], Sampling(1.0))
    assert [r.token_ids for r in found] == [r.token_ids for r in expected[:count]]


def test_the_source_is_read_once_for_a_group_and_no_chunk_waits(taught, tokenizer, episodes):
    codec, layout = parts_for(tokenizer, PARALLEL)
    shapes = []
    handle = taught.register_forward_pre_hook(
        lambda _m, _a, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    requests = [Request(e, i, Mode.STREAMING) for e in episodes[:2] for i in range(6)]
    streaming = dataclasses.replace(PARALLEL, decode_batch=12)
    rollouts = HFEngine(taught, codec, layout, streaming).rollout(requests, Sampling(1.0))
    handle.remove()
    header = len(codec.prompt_parts("")[1])
    longest = max(r.prompt_length for r in rollouts)
    assert shapes[0] == (2, longest + header - 1)  # two episodes, not twelve rollouts
    forced = sum(r.phases[r.prompt_length + header :].count(Phase.READ) for r in rollouts)
    fed = sum(len(r.token_ids) - r.prompt_length - header + 1 for r in rollouts)
    decoded = [width for _, width in shapes[1:]]  # the packed tokens of each step
    assert max(decoded) <= 12 + forced  # one token a row, two where an end marker was forced
    assert sum(decoded) < fed  # nothing twice, and the last tokens not at all


# ---- causality


def perturbed(rollout, at, by=1):
    ids = list(rollout.token_ids)
    ids[at] = 3 + (ids[at] + by) % 300
    return dataclasses.replace(rollout, token_ids=tuple(ids))


@pytest.fixture
def teacher(tokenizer):
    """The teacher's trajectory of an episode with four chunks, thoughts on all."""
    episode = dataclasses.replace(
        episode_of(WORDS), thoughts=("Tom 5", "so", "Tom 5 + 3 = 8", "Tom 8")
    )
    return parts_for(tokenizer, PARALLEL)[1].encode(episode, Mode.STREAMING)


@pytest.mark.parametrize("fed", [True, False], ids=["fed", "written"])
def test_a_sentence_changes_nothing_before_its_own_thought(model, teacher, fed):
    before = full_logits(model, teacher, fed)
    chunks, length = teacher.chunk_of_token, teacher.prompt_length
    for k in range(4):
        inside = [i for i, chunk in enumerate(chunks[:length]) if chunk == k]
        for at in inside:
            changed = (full_logits(model, perturbed(teacher, at), fed) != before).any(dim=-1)
            earlier = [i for i in range(length, len(chunks) - 1) if chunks[i + 1] < k]
            assert not changed[earlier].any()  # logits there choose tokens of earlier thoughts
            assert not changed[: min(inside)].any()


def test_whether_to_skip_a_sentence_is_decided_after_it_was_read(model, teacher):
    """Logits that choose the first token of thought k change with sentence k, and with no later one."""
    before = full_logits(model, teacher)
    chunks, length = teacher.chunk_of_token, teacher.prompt_length
    for k in range(4):
        first = next(i for i in range(length, len(chunks)) if chunks[i] == k)
        own = chunks[:length].index(k)
        assert (full_logits(model, perturbed(teacher, own))[first - 1] != before[first - 1]).any()
        if k < 3:
            later = chunks[:length].index(k + 1)
            found = full_logits(model, perturbed(teacher, later))[first - 1]
            assert torch.equal(found, before[first - 1])


def test_a_thought_changes_no_representation_of_the_source(model, teacher):
    before = full_logits(model, teacher)
    for at in range(teacher.prompt_length, len(teacher.token_ids)):
        after = full_logits(model, perturbed(teacher, at))
        assert torch.equal(after[: teacher.prompt_length], before[: teacher.prompt_length])


def full_logits(model, trajectory, fed=True):
    chunks = trajectory.chunk_of_token
    visibility = torch.tensor([source_visibility(trajectory.prompt_length, chunks, fed=fed)])
    mask, positions = mask_and_positions(visibility)
    with torch.no_grad():
        return model(
            input_ids=torch.tensor([trajectory.token_ids]),
            attention_mask=mask,
            position_ids=positions,
        ).logits[0]


@pytest.mark.parametrize("offset", [0, 1])
def test_positions_are_those_of_the_paper_and_an_offset_of_one_would_be_seen(
    model, teacher, offset
):
    """Against positions counted here; the target's begin at 0 again."""
    mask, _ = dense(teacher, fed=True)
    length, count = teacher.prompt_length, len(teacher.token_ids)
    positions = torch.tensor([[*range(length), *range(offset, count - length + offset)]])
    ids = torch.tensor([teacher.token_ids])
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[0]
    difference = (found - full_logits(model, teacher)).abs().max().item()
    assert (difference < 1e-4) is (offset == 0)


# ---- corners


def test_a_template_without_a_header_still_decides_after_reading(tokenizer, model):
    """Without a token of the target's own, the end of the source would choose the first thought."""
    bare = copy.deepcopy(tokenizer)
    bare.chat_template = "{{ messages[0]['content'] }}"
    codec, layout = parts_for(bare, PARALLEL)
    assert codec.prompt_parts("x")[1] == ()
    encoded = layout.encode(episode_of(WORDS), Mode.STREAMING)
    header = encoded.chunk_of_token[encoded.prompt_length]
    assert header == -1
    last = encoded.chunk_of_token[: encoded.prompt_length].index(3)
    first = encoded.chunk_of_token.index(0, encoded.prompt_length)
    before = full_logits(model, encoded)[first - 1]
    assert torch.equal(full_logits(model, perturbed(encoded, last))[first - 1], before)


@pytest.mark.parametrize("boundary", ["fed", "written"])
def test_read_then_think_has_read_everything_when_it_begins(tokenizer, model, boundary):
    _, layout = parts_for(tokenizer, dataclasses.replace(PARALLEL, boundary=boundary))
    encoded = layout.encode(episode_of(WORDS), Mode.READ_THEN_THINK)
    visibility = layout.visibility(encoded)
    assert set(visibility[encoded.prompt_length :]) == {-encoded.prompt_length}


def test_a_slot_is_used_again_by_an_episode_of_another_length(taught, tokenizer):
    """Decoding one at a time, the long source's tokens lie behind the short one's."""
    codec, layout = parts_for(tokenizer, PARALLEL)
    long, short = episode_of(WORDS * 3, "long"), episode_of(WORDS[:1], "short")
    requests = [Request(e, i, Mode.STREAMING) for i, e in enumerate((long, short, long, short))]
    one = dataclasses.replace(PARALLEL, decode_batch=1)
    found = HFEngine(taught, codec, layout, one).rollout(requests, Sampling(1.0))
    alone = [HFEngine(taught, codec, layout, one).rollout([r], Sampling(1.0))[0] for r in requests]
    assert [r.token_ids for r in found] == [r.token_ids for r in alone]


@pytest.mark.parametrize("stream", ["source", "target"])
def test_each_stream_may_be_as_long_as_the_models_positions(model, tokenizer, stream):
    codec, layout = parts_for(tokenizer, dataclasses.replace(PARALLEL, max_thought_tokens=400))
    streaming = layout._streaming
    episode = episode_of(WORDS)
    turns = layout.turns(episode, Mode.STREAMING)
    source = layout.prompt_length(turns)
    lean_towards(model, [token for role in ROLES for token in codec.marker(role)], -1e9)
    lean_towards(model, [codec.eos_id], -1e9)
    limit = source if stream == "source" else source + 20
    model.config.max_position_embeddings = limit
    engine = HFEngine(model, codec, layout, streaming)
    (rollout,) = engine.rollout([Request(episode, 0)], Sampling(1.0))
    assert len(rollout.token_ids) - source == limit  # the target is full, to the last position
    assert rollout.ending is Ending.OUT_OF_TOKENS
    model.config.max_position_embeddings = source - 1
    with pytest.raises(UserError, match="positions"):
        engine.rollout([Request(episode, 0)], Sampling(1.0))


ROLES = ("chunk_end", "thought_end", "skip", "stream_end", "reasoning_end")


# ---- refusals


@pytest.mark.parametrize("family", list(BAD))
def test_what_streaming_attention_cannot_run_on_is_refused_by_name(tokenizer, family):
    codec, layout = parts_for(tokenizer, PARALLEL)
    model = build(BAD[family], len(tokenizer))
    with pytest.raises(UserError, match="model: ") as caught:
        HFEngine(model, codec, layout, PARALLEL)
    assert "use" in str(caught.value) or "need" in str(caught.value)


def test_rollouts_end_in_every_way(tokenizer, model):
    codec, layout = parts_for(tokenizer, PARALLEL)
    markers = [codec.marker(role)[-1] for role in ("thought_end", "skip", "reasoning_end")]
    lean_towards(model, [*markers, codec.eos_id], 5.0)
    requests = [Request(episode_of(WORDS), seed, Mode.STREAMING) for seed in range(24)]
    rollouts = HFEngine(model, codec, layout, PARALLEL).rollout(requests, Sampling(1.0))
    endings = {ending for rollout in rollouts for ending in rollout.thought_endings}
    assert {Ending.SKIP, Ending.THOUGHT, Ending.MALFORMED} <= endings


def test_an_episode_has_the_same_words_in_both_layouts(tokenizer, episodes):
    codec, parallel = parts_for(tokenizer, PARALLEL)
    interleaved = build_layout(STREAMING, codec)
    a, b = (layout.encode(episodes[0], Mode.STREAMING) for layout in (parallel, interleaved))
    for phase in Phase:
        left, right = (
            sorted(i for i, p in zip(e.token_ids, e.phases, strict=True) if p is phase)
            for e in (a, b)
        )
        assert left == right
