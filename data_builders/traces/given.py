"""Traces that come with their rows, one thought for each unit of the text."""

from __future__ import annotations

from collections.abc import Sequence

from data_builders.text.draft import StreamedText, Trace, Tracer


def given_tracer(thoughts: Sequence[str], deep: str) -> Tracer:
    """A tracer of thoughts that were written for the units of the draft, in their order.

    Added text (distractors, repeats) is skipped. There is no trace where facts were moved, changed or dropped. Thoughts that
    do not match the units are passed on unchanged, for the quality control to refuse.
    """

    def trace(text: StreamedText) -> Trace | None:
        chunks = [text.fact_chunk.get(unit, -1) for unit in range(len(thoughts))]
        if len(text.fact_chunk) - _question_units(text, len(thoughts)) != len(thoughts):
            return Trace(tuple(thoughts), deep)
        if text.is_missing or chunks != sorted(chunks) or -1 in chunks:
            return None
        by_chunk: list[list[str]] = [[] for _ in text.chunks]
        for thought, chunk in zip(thoughts, chunks, strict=True):
            if thought:
                by_chunk[chunk].append(thought)
        return Trace(tuple("; ".join(parts) for parts in by_chunk), deep)

    return trace


def _question_units(text: StreamedText, count: int) -> int:
    """How many units beyond the thoughts are the question."""
    return sum(unit >= count for unit in text.fact_chunk if text.limit < len(text.chunks))
