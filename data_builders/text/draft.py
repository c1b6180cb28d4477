"""Drafts: a source's reading of a row before shaping, cutting and tracing.

    Draft(key="gsm8k-7", group="gsm8k-7", question="How many?", units=("Tom has 5 hens.", " He buys 3."), ...)

A source cuts its text into units (sentences, premises, segments of a transcript) and knows which one asks. ``shape``
may then add, repeat, correct, move or drop units. ``pipeline.assemble`` cuts the result into chunks, and the draft's
tracer gives the thoughts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from adasr_trl.core.episode import AnswerType, Source


class UnitKind(Enum):
    """The role of a unit in the text."""

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
        kind: Its role.
        fact: The draft's unit whose content it gives, or -1.
        section: The source's own unit that it belongs to, for ``--chunk source``.
        lead: Length of its lead-in ("No, 7 not 5: ") in characters.
    """

    text: str
    kind: UnitKind
    fact: int = -1
    section: int = 0
    lead: int = 0


@dataclass(frozen=True)
class StreamedText:
    """A text as it arrives.

    Attributes:
        question: Known before the stream.
        chunks: The text in its pieces.
        facts: New facts of each chunk: its text, with distractors, repeats and wrong facts as spaces.
        notable: The same with wrong facts left in, which are worth a note when they arrive.
        fact_chunk: From a unit of the draft to the chunk that completes it.
        limit: Thoughts may stand behind the first so many chunks; later ones hold the question.
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
        deep: Reasoning behind the last chunk.
        counts: For the manifest, such as the number of steps in the thoughts.
    """

    thoughts: tuple[str, ...]
    deep: str
    counts: Mapping[str, int] = field(default_factory=dict)


Tracer = Callable[[StreamedText], Trace | None]


@dataclass(frozen=True)
class Draft:
    """A row before shaping.

    Attributes:
        key: The episode's id.
        group: Leak-safe split key.
        where: File and line of the row, for messages.
        question: The asking sentence; "" where no sentence of its own asks.
        units: The text, loss-free.
        answer: Gold.
        answer_type: How it is compared.
        source: Provenance; an empty split is decided by the group's hash.
        asking: Index of the asking unit, or None if ``question`` is no part of the text.
        sections: The source's own unit of each unit, or () if they are the same.
        is_cut: Whether the units are the chunks already (a given trace has one thought for each).
        is_sentences: Whether the units are sentences, so that ``--chunk sentence`` keeps them.
        is_order_free: Whether the order of the units may change.
        needed: Gives the units without which the question has no answer; None for an unknown set.
        tracer: Gives the trace, or None for no trace.
        arrival_seconds: End of each unit in the recording, or ().
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
