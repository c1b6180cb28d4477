"""The clocks of a suite for one run: its own rates, those given, or those that its model has on this machine.

>>> clocks_of(Path("runs/tiny/seed-0/sft"), {"hasty": ClockSection(words_per_minute=300)})
{'hasty': PacedClock(clock=Clock(words_per_minute=300, ...), pace=Pace(...))}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.eval_section import ClockSection
from adasr_trl.core.clock import Clock
from adasr_trl.evaluation.arrivals import Pace, Times


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
