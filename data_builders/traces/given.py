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
        count, chunks = len(thoughts), [text.fact_chunk.get(i, -1) for i in range(len(thoughts))]
        has_question = text.limit < len(text.chunks)  # in the stream, as units beyond the thoughts
        units = sum(unit < count or not has_question for unit in text.fact_chunk)
        if units != count:
            return Trace(tuple(thoughts), deep)
        if text.is_missing or chunks != sorted(chunks) or -1 in chunks:
            return None
        notes = (pair for pair in zip(chunks, thoughts, strict=True) if pair[1])
        return Trace(text.thoughts(notes), deep)

    return trace
