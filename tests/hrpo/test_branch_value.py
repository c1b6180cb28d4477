"""The value of a stream by continuations: a stand-in policy of known values, and the engine's forced beginnings."""

from __future__ import annotations

import dataclasses

import pytest

from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.hrpo.stream_values import branch_values
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import Scope, ScoredRollout
from adasr_trl.rewards.stream_gain import BranchValue, gains_of
from support.group_scoring import EPISODE
from support.scripted import write
from support.settings import PARALLEL, STREAMING

# Of four continuations so many are right: before the first thought, behind each of three.
RIGHT_OF_FOUR = (1, 3, 2, 4)


def written_in(rollout, count):
    tokens = zip(rollout.token_ids, rollout.phases, rollout.chunk_of_token, strict=True)
    return tuple(t for t, phase, chunk in tokens if phase is Phase.STREAM and chunk < count)


class KnownPolicy:
    """Continues streams of one rollout with known shares of right answers, and keeps the requests."""

    def __init__(self, rollout, parts):
        self.counts = {written_in(rollout, n): right for n, right in enumerate(RIGHT_OF_FOUR)}
        self.right, self.wrong = (write(EPISODE, parts, [""] * 3, "", a) for a in ("8", "9"))
        self.requests = []

    def __call__(self, requests, _sampling):
        self.requests += requests
        seen = {}
        for request in requests:
            seen[request.written] = seen.get(request.written, 0) + 1
            is_right = seen[request.written] <= self.counts[request.written]
            yield self.right if is_right else self.wrong


@pytest.fixture
def rollout(parts):
    return write(EPISODE, parts, ["Tom 5", "", "Tom 8"], "", "8")


def values(rollouts, policy, **settings):
    requests = [Request(EPISODE, seed) for seed, _ in enumerate(rollouts)]
    rule = BranchValue(**settings)
    return branch_values(rollouts, requests, rule, lambda *a: list(policy(*a)), Sampling(1.0))


def test_the_value_of_a_stream_is_the_share_of_right_continuations(rollout, parts):
    policy = KnownPolicy(rollout, parts)
    assert values([rollout], policy) == [(0.25, 0.75, 0.5, 1.0)]
    assert len(policy.requests) == 4 * 4


def test_streams_that_begin_alike_are_continued_once(rollout, parts):
    policy = KnownPolicy(rollout, parts)
    assert values([rollout, rollout], policy) == [(0.25, 0.75, 0.5, 1.0)] * 2
    assert len(policy.requests) == 4 * 4


def test_between_two_cuts_thoughts_share_their_gain(rollout, parts):
    policy = KnownPolicy(rollout, parts)
    found = values([rollout], policy, every=2)
    assert found == [(0.25, None, 0.5, 1.0)]
    assert gains_of(found[0]) == (0.125, 0.125, 0.5)


def test_continuations_are_repeatable_and_differ_from_each_other(rollout, parts):
    first, second = KnownPolicy(rollout, parts), KnownPolicy(rollout, parts)
    values([rollout], first)
    values([rollout], second)
    assert first.requests == second.requests
    assert len({request.seed for request in first.requests}) == 16


def test_a_thought_earns_the_chance_that_it_adds_and_the_deep_part_the_rest(rollout):
    rule = BranchValue()
    scored = ScoredRollout(
        rollout, EPISODE, right=True, stream_values={rule: (0.25, 0.75, 0.5, 0.75)}
    )
    assert rule.measure(scored, Scope.STREAMING).chunks == (0.5, -0.25, 0.25)
    assert rule.measure(scored, Scope.DEEP).value == 0.25
    wrong = dataclasses.replace(scored, right=False)
    assert rule.measure(wrong, Scope.DEEP).value == -0.75


@pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def test_a_rollout_that_begins_with_its_own_thoughts_goes_on_as_it_did(
    streaming, taught, tokenizer, episodes
):
    """The same seed behind the same thoughts: every token again, whatever else is in the batch."""
    codec = Codec(tokenizer, streaming.markers)
    engine = HFEngine(taught, codec, build_layout(streaming, codec), streaming)
    originals = [Request(episode, seed) for seed, episode in enumerate(episodes[:2])]
    rollouts = engine.rollout(originals, Sampling(1.0))
    again = [
        dataclasses.replace(request, written=written_in(rollout, count))
        for request, rollout in zip(originals, rollouts, strict=True)
        for count in (1, len(rollout.thought_endings))
        for _ in range(2)
    ]
    found = engine.rollout(again, Sampling(1.0))
    expected = {rollout.episode_id: rollout.token_ids for rollout in rollouts}
    assert all(rollout.token_ids == expected[rollout.episode_id] for rollout in found)
    assert {request.mode for request in again} == {Mode.STREAMING}


def test_a_stream_that_was_stopped_is_worth_nothing(taught, tokenizer, episodes):
    """Its last thought was malformed, and such a stream is not read on."""
    streaming = dataclasses.replace(STREAMING, on_malformed="stop")
    codec = Codec(tokenizer, streaming.markers)
    engine = HFEngine(taught, codec, build_layout(streaming, codec), streaming)
    broken = codec.encode_text("Tom") + codec.marker("skip")
    found = engine.rollout([Request(episodes[0], 0, written=broken)] * 2, Sampling(1.0))
    assert [rollout.ending for rollout in found] == [Ending.MALFORMED] * 2
    assert found[0].answer is None
