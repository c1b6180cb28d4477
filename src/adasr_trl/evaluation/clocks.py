"""Clocks of an evaluation: rates of a model, and arrivals that may be uneven (jitter, bursts, recorded times).

    >>> clocks_of(Path("runs/tiny/seed-0/sft"), {"hasty": ClockSection(words_per_minute=300)})
    {'hasty': PacedClock(clock=Clock(words_per_minute=300, ...), pace=Pace(...))}
    >>> paced(episode, Clock(), Pace(jitter=0.3, burst=2))
    (2.6, 2.6, 4.1)

Uneven arrivals are our choice, not specified in the paper. They are functions of the question and the pace alone, so every
run meets the same ones.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.eval_section import ClockSection
from adasr_trl.core.clock import Clock, arrivals, spoken_arrivals
from adasr_trl.core.episode import Episode, EpisodeError


class Times(Enum):
    """Even times: the episode's own (RECORDED), those of the clock's speed (WORDS), or WORDS where it has none (AUTO)."""

    AUTO = "auto"
    RECORDED = "recorded"
    WORDS = "words"


@dataclass(frozen=True)
class Pace:
    """Unevenness of arrivals."""

    times: Times = Times.AUTO  # the even times
    jitter: float = 0.0  # each gap times exp(jitter z - jitter^2 / 2), z normal: 1 in the mean
    burst: int = 1  # so many chunks come at once, with the last of them
    seed: int = 0  # seed of the jitter


@dataclass(frozen=True)
class PacedClock:
    """A clock, and the evenness of the arrivals by it."""

    clock: Clock
    pace: Pace = field(default_factory=Pace)


def clocks_of(run: Path, sections: Mapping[str, ClockSection]) -> dict[str, PacedClock]:
    """Every clock by its name; a model is measured once a run, which takes a while."""
    own = load_streaming(run).clock
    clocks = {}
    for name, section in sections.items():
        rates: dict[str, Any] = {**section.given}
        clock = dataclasses.replace(own, **rates)
        if section.device == "measured":
            from adasr_trl.live.device_rates import clock_of, load_or_measure

            clock = clock_of(load_or_measure(run), clock)
        pace = Pace(Times(section.arrivals), section.jitter, section.burst, section.seed)
        clocks[name] = PacedClock(clock, pace)
    return clocks


def rates(clock: Clock) -> str:
    """The rates of the model in words."""
    parts = [
        (clock.seconds_per_token, "written token"),
        (clock.prefill_seconds_per_token, "read token"),
    ]
    parts += [(clock.seconds_per_read, "read")] if clock.seconds_per_read else []
    return ", ".join(f"{1000 * seconds:.3g} ms a {name}" for seconds, name in parts)


def paced(episode: Episode, clock: Clock, pace: Pace) -> tuple[float, ...]:
    """Complete arrival of each chunk (C), in seconds."""
    times = _even(episode, clock, pace.times)
    if pace.jitter:
        times = _jittered(times, pace.jitter, f"{pace.seed}/{episode.id}")
    last = len(times) - 1
    return tuple(
        times[min(k // pace.burst * pace.burst + pace.burst - 1, last)] for k in range(len(times))
    )


def _even(episode: Episode, clock: Clock, times: Times) -> tuple[float, ...]:
    if times is Times.WORDS:
        return spoken_arrivals(episode.chunks, clock)
    if times is Times.RECORDED and episode.arrival_seconds is None:
        raise EpisodeError(
            f"episode {episode.id!r} has no arrival_seconds, which arrivals: recorded needs; use auto or words."
        )
    return arrivals(episode, clock)


def _jittered(times: tuple[float, ...], jitter: float, seed: str) -> tuple[float, ...]:
    draw = random.Random(seed)
    gaps = [later - earlier for earlier, later in itertools.pairwise((0.0, *times))]
    factors = (math.exp(jitter * draw.gauss(0.0, 1.0) - jitter * jitter / 2) for _ in gaps)
    return tuple(
        itertools.accumulate(gap * factor for gap, factor in zip(gaps, factors, strict=True))
    )
