"""Quality control of traces, after StreamingThinker (arXiv 2510.17238): a trace that fails is kept apart with its reason.

    >>> fault_of("How many?", ("Tom has 5.", " He buys 3."), ("",), "", Bounds())
    ('thoughts_do_not_fit', '1 thoughts for 2 chunks')

One thought a chunk, no marker of the protocol, bounds on length, and no fact from the future (``exact_checks``). A
teacher's answer is checked in ``tools.teacher``. StreamingThinker's scores by a judge model are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adasr_trl.core.protocol import Markers, first_marker
from data_builders.pipeline.exact_checks import early_facts
from data_builders.rows.options import add_number, add_switch

_MARKERS = Markers()


@dataclass(frozen=True)
class RejectedTrace:
    """A trace that failed the quality control."""

    id: str  # of the episode
    reason: str  # a short code under which it is counted
    detail: str  # the fault in words
    thoughts: tuple[str, ...]  # the trace's thoughts
    deep: str  # the trace's deep part


@dataclass(frozen=True)
class Bounds:
    """Limits of a trace."""

    thought_words: int = 100  # longest thought
    deep_words: int = 600  # longest deep part
    check_future: bool = True  # whether to look for facts from the future


def to_line(trace: RejectedTrace) -> str:
    """A rejected trace as a line of JSON."""
    return json.dumps(vars(trace), ensure_ascii=False) + "\n"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Bounds of a trace."""
    add_number(parser, "max-thought-words", 100, "longest thought")
    add_number(parser, "max-deep-words", 600, "longest deep part")
    what = "reject a trace that states a fact before it is read (default: on)"
    add_switch(parser, "check-future", what, default=True)


def bounds_of(options: argparse.Namespace) -> Bounds:
    """The bounds that the options give."""
    return Bounds(options.max_thought_words, options.max_deep_words, options.check_future)


def fault_of(
    question: str,
    chunks: Sequence[str],
    thoughts: Sequence[str],
    deep: str,
    bounds: Bounds,
    source: str = "",
) -> tuple[str, str] | None:
    """The first fault of a trace as a code and in words, or None.

    Args:
        question: Known before the stream.
        chunks: The streamed text.
        thoughts: One for each chunk.
        deep: Reasoning behind the last chunk.
        bounds: Limits of the trace.
        source: Name of the episode's source; some have an exact check.
    """
    if len(thoughts) != len(chunks):
        return "thoughts_do_not_fit", f"{len(thoughts)} thoughts for {len(chunks)} chunks"
    if fault := marker_fault((*thoughts, deep)):
        return fault
    for name, texts, most in (
        ("thought", thoughts, bounds.thought_words),
        ("deep", (deep,), bounds.deep_words),
    ):
        longest = max((len(text.split()) for text in texts), default=0)
        if longest > most:
            return f"{name}_too_long", f"{longest} words, at most {most} are allowed"
    if bounds.check_future and (early := early_facts(source, question, chunks, thoughts)):
        thought, fact, chunk = early[0].chunk + 1, early[0].fact, early[0].read_at + 1
        return (
            "fact_from_future",
            f"thought {thought} states {fact!r}, which is read in chunk {chunk}",
        )
    return None


def marker_fault(texts: Iterable[str]) -> tuple[str, str] | None:
    """The fault of a protocol marker in text that the model is to write, or None."""
    marker = first_marker("\n".join(texts), _MARKERS)
    if marker is None:
        return None
    detail = f"the trace holds the marker {marker[0]!r}, which only the protocol may write"
    return "marker_in_trace", detail
