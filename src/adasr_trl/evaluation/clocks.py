"""The clocks of a suite for one run: its own rates, those given, or those that its model has on this machine.

>>> clocks_of(Path("runs/tiny/seed-0/sft"), {"hasty": ClockSection(words_per_minute=300)})
{'hasty': Ticking(clock=Clock(words_per_minute=300, ...), pace=Pace(...))}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.eval_section import RATES, ClockSection
from adasr_trl.core.clock import Clock
from adasr_trl.evaluation.arrivals import Pace, Times


@dataclass(frozen=True)
class Ticking:
    """A clock and how evenly the input arrives by it."""

    clock: Clock
    pace: Pace


def clocks_of(run: Path, sections: Mapping[str, ClockSection]) -> dict[str, Ticking]:
    """Every clock by its name; measuring a model takes a while, and is done once for a run."""
    own = load_streaming(run).clock
    found = {}
    for name, section in sections.items():
        clock = _given(section, own)
        if section.device == "measured":
            clock = _measured(run, clock)
        pace = Pace(Times(section.arrivals), section.jitter, section.burst, section.seed)
        found[name] = Ticking(clock, pace)
    return found


def _given(section: ClockSection, own: Clock) -> Clock:
    rates = {name: section.given.get(name, vars(own)[name]) for name in RATES}
    return dataclasses.replace(
        own,
        words_per_minute=rates["words_per_minute"],
        seconds_per_token=rates["seconds_per_token"],
        prefill_seconds_per_token=rates["prefill_seconds_per_token"],
        seconds_per_read=rates["seconds_per_read"],
    )


def _measured(run: Path, clock: Clock) -> Clock:
    from adasr_trl.live.device_rates import clock_of, load_or_measure

    return clock_of(load_or_measure(run), clock)
