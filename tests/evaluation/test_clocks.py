"""Arrivals that are not even: jitter, bursts and recorded times, by numbers that a reader can check."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics

import pytest

from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, Episode, EpisodeError, Source
from adasr_trl.evaluation.clocks import Pace, Times, paced

# 60 words a minute: 2, 1, 3, 1 and 2 words arrive at 2, 3, 6, 7 and 9 s.
CLOCK = Clock(words_per_minute=60.0)
EPISODE = Episode(
    id="e",
    group="e",
    question="How many?",
    chunks=("Tom sings.", " Two.", " Ann has three.", " One.", " Bob left."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("test", "1", "Apache-2.0", "test"),
)
RECORDED = dataclasses.replace(EPISODE, arrival_seconds=(1.0, 1.0, 4.0, 8.0, 8.5))


def test_an_even_pace_is_the_clocks() -> None:
    assert paced(EPISODE, CLOCK, Pace()) == (2.0, 3.0, 6.0, 7.0, 9.0)
    assert paced(RECORDED, CLOCK, Pace()) == (1.0, 1.0, 4.0, 8.0, 8.5)


def test_recorded_times_can_be_set_aside_or_insisted_on() -> None:
    assert paced(RECORDED, CLOCK, Pace(Times.WORDS)) == (2.0, 3.0, 6.0, 7.0, 9.0)
    assert paced(RECORDED, CLOCK, Pace(Times.RECORDED)) == (1.0, 1.0, 4.0, 8.0, 8.5)
    with pytest.raises(EpisodeError, match="'e' has no arrival_seconds"):
        paced(EPISODE, CLOCK, Pace(Times.RECORDED))


def test_a_burst_comes_with_its_last_chunk_and_the_last_burst_may_be_shorter() -> None:
    assert paced(EPISODE, CLOCK, Pace(burst=2)) == (3.0, 3.0, 7.0, 7.0, 9.0)
    assert paced(EPISODE, CLOCK, Pace(burst=3)) == (6.0, 6.0, 6.0, 9.0, 9.0)
    assert paced(EPISODE, CLOCK, Pace(burst=99)) == (9.0,) * 5


def test_jitter_stretches_each_gap_by_a_factor_of_its_own() -> None:
    times = paced(EPISODE, CLOCK, Pace(jitter=0.5))
    gaps = [b - a for a, b in itertools.pairwise((0.0, *times))]
    factors = [gap / even for gap, even in zip(gaps, (2.0, 1.0, 3.0, 1.0, 2.0), strict=True)]
    assert all(factor > 0 for factor in factors)
    assert len({round(factor, 6) for factor in factors}) == 5


def test_jitter_depends_on_question_and_seed_alone() -> None:
    pace = Pace(jitter=0.5, seed=1)
    assert paced(EPISODE, CLOCK, pace) == paced(EPISODE, CLOCK, pace)
    assert paced(EPISODE, CLOCK, pace) != paced(EPISODE, CLOCK, Pace(jitter=0.5, seed=2))
    other = dataclasses.replace(EPISODE, id="f")
    assert paced(EPISODE, CLOCK, pace) != paced(other, CLOCK, pace)
    # Twice as fast, and cut off earlier: the same factors.
    twice = paced(EPISODE, Clock(words_per_minute=120.0), pace)
    assert twice == pytest.approx([t / 2 for t in paced(EPISODE, CLOCK, pace)])
    shorter = dataclasses.replace(EPISODE, chunks=EPISODE.chunks[:2])
    assert paced(shorter, CLOCK, pace) == paced(EPISODE, CLOCK, pace)[:2]


def test_jitter_has_mean_one_and_the_spread_that_was_asked_for() -> None:
    # The first gap is 2 s; over 4000 questions its factor's mean is 1 +- 0.01 and its logarithm's deviation 0.3.
    first = [
        paced(dataclasses.replace(EPISODE, id=str(n)), CLOCK, Pace(jitter=0.3))[0] / 2
        for n in range(4000)
    ]
    assert statistics.fmean(first) == pytest.approx(1.0, abs=0.02)
    assert statistics.stdev(map(math.log, first)) == pytest.approx(0.3, abs=0.015)
