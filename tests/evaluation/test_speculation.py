"""Speculation: what is written and thrown away while the input arrives, by hand and against a naive count."""

from __future__ import annotations

import dataclasses
import json
import math
import random

import pytest

from adasr_trl.core.clock import Clock, discarded_tokens, timeline
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.core.rollout import from_record, to_record
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.evaluation.clocks import Pace, PacedClock, Times
from adasr_trl.evaluation.outcome import Judge
from adasr_trl.evaluation.speculation import beginnings, speculate
from adasr_trl.report.sweep import with_deep_budget
from support.timelines import beside, build

TENTH = Clock(seconds_per_token=0.1, prefill_seconds_per_token=0.0)


def speculative(read, discarded, deep=5, answer=4):
    """Read-then-think over chunks of so many tokens, with the lengths of its beginnings."""
    rollout = build(read=read, written=[0] * (len(read) - 1) + [deep], answer_tokens=answer)
    return dataclasses.replace(rollout, discarded=discarded)


def test_what_fits_between_two_chunks_is_written_and_thrown_away():
    rollout = speculative([6, 6, 6, 2], (30, 4))
    line = timeline(rollout, (1.0, 2.0, 4.0), TENTH)
    assert discarded_tokens(rollout, line, TENTH) == 10 + 4  # 1 s for ten of 30; 2 s for all four
    assert line.answer_latency_seconds == pytest.approx(0.4)  # that of read-then-think


def test_reading_takes_from_the_time_and_no_part_of_a_token_counts():
    clock = Clock(seconds_per_token=0.1, prefill_seconds_per_token=0.05)
    rollout = speculative([6, 6, 2], (30,))
    line = timeline(rollout, (1.0, 2.0), clock)
    # 1 s, less 6 tokens of the chunk and 2 of the end of the stream at 50 ms: 0.6 s.
    assert discarded_tokens(rollout, line, clock) == 6
    line = timeline(rollout, (1.0, 1.99), clock)
    assert discarded_tokens(rollout, line, clock) == 5
    assert (
        discarded_tokens(beside(rollout), timeline(beside(rollout), (1.0, 2.0), clock), clock) == 6
    )


def test_input_all_at_once_throws_nothing_away_and_writing_without_time_throws_all():
    rollout = speculative([6, 6, 6, 2], (30, 4))
    assert discarded_tokens(rollout, timeline(rollout, (0.0, 0.0, 0.0), TENTH), TENTH) == 0
    free = dataclasses.replace(TENTH, seconds_per_token=0.0)
    assert discarded_tokens(rollout, timeline(rollout, (1.0, 2.0, 3.0), free), free) == 34


def test_the_count_is_that_of_a_token_by_token_simulation():
    dice = random.Random(0)
    for _ in range(200):
        chunks = dice.randint(1, 6)
        clock = Clock(seconds_per_token=0.03, prefill_seconds_per_token=dice.choice((0.0, 0.002)))
        read = [dice.randint(1, 20) for _ in range(chunks + 1)]
        rollout = speculative(read, tuple(dice.randint(0, 60) for _ in range(chunks - 1)))
        times = tuple(sorted(dice.uniform(0, 8) for _ in range(chunks)))
        naive, now = 0, 0.0
        for k in range(chunks - 1):
            now = max(now, times[k]) + read[k] * clock.prefill_seconds_per_token
            at = now + read[-1] * clock.prefill_seconds_per_token
            for _ in range(rollout.discarded[k]):
                at += clock.seconds_per_token
                naive += at <= times[k + 1] + 1e-9
        assert discarded_tokens(rollout, timeline(rollout, times, clock), clock) == naive


def test_a_beginning_ends_behind_its_chunk_and_has_no_trace(episodes):
    episode = dataclasses.replace(
        episodes[0], arrival_seconds=tuple(map(float, range(len(episodes[0].chunks))))
    )
    cut = beginnings(episode)
    assert [x.chunks for x in cut] == [episode.chunks[: n + 1] for n in range(len(episode.chunks))]
    assert cut[1].arrival_seconds == (0.0, 1.0)
    assert {(x.thoughts, x.deep, x.answer) for x in cut} == {(None, None, episode.answer)}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_last_rollout_is_read_then_thinks_and_each_beginning_one_of_its_own(
    taught, parts, episodes, temperature
):
    codec, layout, streaming = parts
    engine, sampling = HFEngine(taught, codec, layout, streaming), Sampling(temperature)
    requests = [Request(episode, n, Mode.SPECULATIVE) for n, episode in enumerate(episodes[:3])]
    rollouts = speculate(engine, requests, sampling)
    plain = [dataclasses.replace(request, mode=Mode.READ_THEN_THINK) for request in requests]
    for rollout, alone in zip(rollouts, engine.rollout(plain, sampling), strict=True):
        assert rollout.token_ids == alone.token_ids
        assert rollout.answer == alone.answer
    for rollout, episode in zip(rollouts, episodes[:3], strict=True):
        assert len(rollout.discarded) == len(episode.chunks) - 1
        if temperature == 0:
            cut = [Request(x, 0, Mode.READ_THEN_THINK) for x in beginnings(episode)[:-1]]
            lengths = [x.tokens_in(Phase.DEEP) for x in engine.rollout(cut, sampling)]
            assert list(rollout.discarded) == lengths
        assert (
            from_record(json.loads(json.dumps(to_record(rollout)))).discarded == rollout.discarded
        )


def test_tokens_are_counted_by_each_clock_and_capped_by_a_budget(taught, parts, episodes):
    codec, layout, streaming = parts
    engine = HFEngine(taught, codec, layout, streaming)
    request = Request(episodes[0], 0, Mode.SPECULATIVE)
    (rollout,) = speculate(engine, [request], Sampling(0.0))
    rollout = dataclasses.replace(rollout, discarded=(50,) * (len(episodes[0].chunks) - 1))
    spoken, instant = (
        PacedClock(Clock(words_per_minute=speed, seconds_per_token=0.0), Pace(Times.WORDS))
        for speed in (150.0, math.inf)
    )
    judged = Judge([spoken, instant], codec)(rollout, episodes[0], Mode.SPECULATIVE)
    every = 50 * len(rollout.discarded)
    assert [by.discarded_tokens for by in judged.latencies] == [every, 0]
    assert judged.streaming_tokens == every
    assert judged.total_tokens == every + rollout.tokens_in(Phase.DEEP)
    assert sum(with_deep_budget(rollout, 10).discarded) == 10 * len(rollout.discarded)


def test_a_record_of_an_older_evaluation_is_read_without_what_it_lacks(episodes):
    record = to_record(build(read=[6, 2], written=[0, 3], answer_tokens=2))
    del record["reasoning_tokens"]
    assert "discarded" not in record
    rollout = from_record(json.loads(json.dumps(record)))
    assert (rollout.reasoning_tokens, rollout.discarded) == (None, ())
