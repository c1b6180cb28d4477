"""A trace that comes with its row, one thought for each unit of the text."""

from __future__ import annotations

from collections.abc import Sequence

from data_builders.text.draft import Told, Trace, Tracer


def given_tracer(thoughts: Sequence[str], deep: str) -> Tracer:
    """A tracer of thoughts that were written for the units of the draft, in their order.

    Text that was only added (distractors, repeats) is skipped. Where facts were moved, changed or dropped, and where the
    thoughts do not fit the units, the trace is passed on as it is for the quality control to refuse.
    """

    def trace(told: Told) -> Trace | None:
        places = [told.fact_chunk.get(unit, -1) for unit in range(len(thoughts))]
        if len(told.fact_chunk) - _asked(told, len(thoughts)) != len(thoughts):
            return Trace(tuple(thoughts), deep)
        if told.is_missing or places != sorted(places) or -1 in places:
            return None
        lines: list[list[str]] = [[] for _ in told.chunks]
        for thought, place in zip(thoughts, places, strict=True):
            if thought:
                lines[place].append(thought)
        return Trace(tuple("; ".join(line) for line in lines), deep)

    return trace


def _asked(told: Told, count: int) -> int:
    """How many units beyond the thoughts are the question."""
    return sum(unit >= count for unit in told.fact_chunk if told.limit < len(told.chunks))
