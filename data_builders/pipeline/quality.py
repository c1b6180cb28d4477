"""Quality control of traces, in the manner of StreamingThinker (arXiv 2510.17238): what fails is kept with its reason.

    >>> fault_of("How many?", ("Tom has 5.", " He buys 3."), ("",), "", Bounds())
    ('thoughts_do_not_fit', '1 thoughts for 2 chunks')

One thought a chunk, no marker of the protocol, bounds on length, and no fact from the future (``exact``). Whether a
teacher's answer is right is checked where it is known (``teacher``). Their scores by a judge model are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from adasr_trl.core.protocol import Markers, first_marker
from data_builders.pipeline.exact_checks import early_facts

_MARKERS = Markers()


@dataclass(frozen=True)
class RejectedTrace:
    """A trace that is not taught from; its episode goes on without one.

    Attributes:
        id: The episode's.
        reason: A short code under which it is counted.
        detail: What is wrong with it, in words.
        thoughts: The trace.
        deep: Its end.
    """

    id: str
    reason: str
    detail: str
    thoughts: tuple[str, ...]
    deep: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Bounds of a trace."""
    parser.add_argument(
        "--max-thought-words",
        type=int,
        default=100,
        metavar="N",
        help="longest thought (default: 100)",
    )
    parser.add_argument(
        "--max-deep-words",
        type=int,
        default=600,
        metavar="N",
        help="longest deep part (default: 600)",
    )
    parser.add_argument(
        "--check-future",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="reject a trace that states a fact before it is read (default: on)",
    )


@dataclass(frozen=True)
class Bounds:
    """What a trace must keep to.

    Attributes:
        thought_words: Longest thought.
        deep_words: Longest deep part.
        check_future: Whether facts from the future are looked for.
    """

    thought_words: int = 100
    deep_words: int = 600
    check_future: bool = True


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
    """Why a trace may not be taught from, as a code and in words; None if it may.

    Args:
        question: What is known before the stream.
        chunks: What arrives.
        thoughts: One for each chunk.
        deep: What is thought behind the last.
        bounds: What the trace must keep to.
        source: Name of the episode's source; some can be checked exactly.
    """
    if len(thoughts) != len(chunks):
        return "thoughts_do_not_fit", f"{len(thoughts)} thoughts for {len(chunks)} chunks"
    if found := first_marker("\n".join((*thoughts, deep)), _MARKERS):
        detail = f"the trace holds the marker {found[0]!r}, which only the protocol may write"
        return "marker_in_trace", detail
    for name, texts, most in (
        ("thought", thoughts, bounds.thought_words),
        ("deep", (deep,), bounds.deep_words),
    ):
        longest = max((len(text.split()) for text in texts), default=0)
        if longest > most:
            return f"{name}_too_long", f"{longest} words, at most {most} are allowed"
    if bounds.check_future and (early := early_facts(source, question, chunks, thoughts)):
        one = early[0]
        detail = (
            f"thought {one.chunk + 1} states {one.fact!r}, which is read in chunk {one.read_at + 1}"
        )
        return "fact_from_future", detail
    return None
