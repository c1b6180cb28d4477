"""A question with its text before it is streamed: what a source makes of a row, and what shaping makes of that.

    Draft(key="gsm8k-7", group="gsm8k-7", question="How many?", units=("Tom has 5 hens.", " He buys 3."), ...)

A source cuts its text into units (sentences, premises, segments of a transcript) and knows which one asks. ``shape``
may then add, repeat, correct, move or drop units; ``assemble`` cuts the rest into chunks and asks the draft's tracer
for thoughts. Nothing here decides any of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from adasr_trl.core.episode import AnswerType, Source


class Kind(Enum):
    """What a unit of the text is."""

    FACT = "fact"
    QUESTION = "question"
    DISTRACTOR = "distractor"
    REPEAT = "repeat"
    WRONG = "wrong"
    CORRECTION = "correction"


@dataclass(frozen=True)
class Unit:
    """A piece of text that is never torn apart by shaping.

    Attributes:
        text: With the white space before it; joined, the units are the text.
        kind: What it is.
        fact: The unit of the draft whose content it gives, or -1.
        section: The source's own unit that it belongs to, for ``--chunk source``.
        lead: How many of its first characters only introduce that content ("No, 7 not 5: ").
    """

    text: str
    kind: Kind
    fact: int = -1
    section: int = 0
    lead: int = 0


@dataclass(frozen=True)
class Told:
    """A text as it arrives.

    Attributes:
        question: What is known before the stream.
        chunks: What arrives.
        facts: What each chunk newly says: its text, with distractors, repeats and withdrawn facts blanked out.
        notable: The same with withdrawn facts left in, for they are worth a note when they arrive.
        fact_chunk: Unit of the draft to the chunk with which it has been read.
        limit: Thoughts may stand behind the first so many chunks (one fewer where the last one asks).
        is_missing: Whether a fact that the answer needs was dropped.
    """

    question: str
    chunks: tuple[str, ...]
    facts: tuple[str, ...]
    notable: tuple[str, ...]
    fact_chunk: Mapping[int, int]
    limit: int
    is_missing: bool


@dataclass(frozen=True)
class Trace:
    """A trace of one text.

    Attributes:
        thoughts: One for each chunk, "" for a skip.
        deep: What is left for the deep part.
        counts: What the manifest should tell of it, such as how many steps stand in the thoughts.
    """

    thoughts: tuple[str, ...]
    deep: str
    counts: Mapping[str, int] = field(default_factory=dict)


Tracer = Callable[[Told], Trace | None]


@dataclass(frozen=True)
class Draft:
    """What a source makes of a row.

    Attributes:
        key: The episode's id.
        group: Leak-safe split key.
        where: Where the row stands, for messages.
        question: The asking sentence; "" where no sentence of its own asks.
        units: The text, loss-free.
        answer: Gold.
        answer_type: How it is compared.
        source: Provenance; an empty split is decided by the group's hash.
        asking: Which unit asks, or None if ``question`` is no part of the text.
        sections: The source's own unit of each unit, or () if they are the same.
        is_cut: Whether the units are the chunks already (a given trace has one thought for each).
        is_sentences: Whether the units are sentences, so that ``--chunk sentence`` keeps them.
        is_order_free: Whether the order of the units may change.
        needed: Gives the units without which the question has no answer; None where the source cannot tell.
        tracer: Gives the trace, or None where there is none.
        arrival_seconds: When each unit was said, or ().
        tags: Labels of the episode.
    """

    key: str
    group: str
    where: str
    question: str
    units: tuple[str, ...]
    answer: str
    answer_type: AnswerType
    source: Source
    asking: int | None = None
    sections: tuple[int, ...] = ()
    is_cut: bool = False
    is_sentences: bool = True
    is_order_free: bool = False
    needed: Callable[[], frozenset[int]] | None = None
    tracer: Tracer | None = None
    arrival_seconds: tuple[float, ...] = ()
    tags: tuple[str, ...] = ()
