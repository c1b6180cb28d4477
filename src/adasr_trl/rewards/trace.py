"""Whether thoughts say what the episode's own trace says: a reward for the stream that does not look at the answer."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from typing import ClassVar

from adasr_trl.config_sections import StreamingConfig
from adasr_trl.rewards.base import Graded, Measured, Rule, Scope

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class TraceValues(Rule):
    """The share of the chunks on which the rollout did what the trace does: skipped too, or came to the same last number.

    Ours. For episodes with exact traces, such as generated ones: a wrong count is seen where it was made, and so is a
    thought on what does not matter, whatever the deep part makes of either. Numbers are compared as they are written;
    thoughts without one agree with each other. Cannot be scored without a trace.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING})
    NEEDS_THOUGHTS: ClassVar[bool] = True

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Compare thought by thought; one never begun counts as wrong."""
        del scope, streaming
        trace, thoughts = graded.episode.thoughts, graded.rollout.thoughts
        if not trace or not thoughts:
            return Measured(None)
        pairs = list(zip(thoughts, trace, strict=False))
        same = [float(bool(a) == bool(b) and _value(a) == _value(b)) for a, b in pairs]
        missing = len(trace) - len(same)
        mean = statistics.fmean([*same, *[0.0] * missing])
        return Measured(mean, (*same, *[None] * missing))

    @property
    def margin(self) -> float:
        """Exempt: a stream that is right is right under a wrong answer, too; that is what it is for."""
        return 0.0


def _value(thought: str) -> str | None:
    """The last number of a thought."""
    found = _NUMBER.findall(thought)
    return found[-1] if found else None
