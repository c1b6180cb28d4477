"""Drafts: a source's reading of a row before shaping, cutting and tracing.

    Draft(key="gsm8k-7", group="gsm8k-7", question="How many?", units=("Tom has 5 hens.", " He buys 3."), ...)

A source cuts its text into units (sentences, premises, segments of a transcript) and knows which one asks. ``shape``
may then add, repeat, correct, move or drop units. ``pipeline.assemble`` cuts the result into chunks, and the draft's
tracer gives the thoughts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from adasr_trl.core.episode import AnswerType, Episode, Source
from data_builders.rows.row import Count, Rejected


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
    """A piece of text that is never torn apart by shaping."""

    text: str  # with the white space before it; joined, the units are the text
    kind: UnitKind  # its role
    fact: int = -1  # the draft's unit whose content it gives, or -1
    section: int = 0  # the source's own unit that it belongs to, for ``--chunk source``
    lead: int = 0  # length of its lead-in ("No, 7 not 5: ") in characters
    mistold: tuple[int, str] | None = None  # WRONG: the draft's unit, and the number told


@dataclass(frozen=True)
class StreamedText:
    """A text as it arrives."""

    question: str  # known before the stream
    chunks: tuple[str, ...]  # the text in its pieces
    # New facts of each chunk: its text, with distractors, repeats and wrong facts as spaces.
    facts: tuple[str, ...]
    # The same with wrong facts left in, which are worth a note when they arrive.
    notable: tuple[str, ...]
    fact_chunk: Mapping[int, int]  # from a unit of the draft to the chunk that completes it
    # From a unit that is corrected later to the chunk that first tells it, and the wrong number there.
    mistold: Mapping[int, tuple[int, str]]
    limit: int  # thoughts may stand behind the first so many chunks; later ones hold the question
    is_missing: bool  # whether a fact that the answer needs was dropped

    def thoughts(self, notes: Iterable[tuple[int, str]]) -> tuple[str, ...]:
        """One thought a chunk from notes with their chunks."""
        by_chunk: list[list[str]] = [[] for _ in self.chunks]
        for chunk, note in notes:
            by_chunk[chunk].append(note)
        return tuple(map("; ".join, by_chunk))


@dataclass(frozen=True)
class Trace:
    """A trace of one text."""

    thoughts: tuple[str, ...]  # one for each chunk, "" for a skip
    deep: str  # reasoning behind the last chunk
    # For the manifest, such as the number of steps in the thoughts.
    counts: Mapping[str, int] = field(default_factory=dict)


Tracer = Callable[[StreamedText], Trace | None]


@dataclass(frozen=True)
class Draft:
    """A row before shaping."""

    key: str  # the episode's id
    group: str  # leak-safe split key
    where: str  # file and line of the row, for messages
    question: str  # the asking sentence; "" where no sentence of its own asks
    units: tuple[str, ...]  # the text, loss-free
    answer: str  # gold
    answer_type: AnswerType  # how it is compared
    source: Source  # provenance; an empty split is decided by the group's hash
    # Index of the asking unit, or None if ``question`` is no part of the text.
    asking: int | None = None
    sections: tuple[int, ...] = ()  # the source's own unit of each unit, or () if they are the same
    # Whether the units are the chunks already (a given trace has one thought for each).
    is_cut: bool = False
    # Whether the units are sentences, so that ``--chunk sentence`` keeps them.
    is_sentences: bool = True
    is_order_free: bool = False  # whether the order of the units may change
    # Gives the units without which the question has no answer; None for an unknown set.
    needed: Callable[[], frozenset[int]] | None = None
    tracer: Tracer | None = None  # gives the trace, or None for no trace
    arrival_seconds: tuple[float, ...] = ()  # end of each unit in the recording, or ()
    ends_chunk: tuple[bool, ...] = ()  # whether a chunk ends behind each unit, whatever its words
    tags: tuple[str, ...] = ()  # labels of the episode


SourceItem = Draft | Episode | Rejected | Count
"""What a source yields for a row."""
