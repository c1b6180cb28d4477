r"""Lays the steps of a rationale along the chunks of its problem: a streaming trace from a static solution.

    >>> steps = read_steps("Tom has 5 + 3 = <<5+3=8>>8 apples.\nHe eats 2, so 8 - 2 = <<8-2=6>>6.\n#### 6")
    >>> place_steps(steps, "How many are left?", ("Tom has 5 apples.", " Tom buys 3.", " He eats 2."), limit=3)
    [1, None]

A step may be written after the first chunk at which nothing in it is a guess. Each guard is one function here:
``first_deep_step`` (the final step waits, else it answers an unasked question), ``operands_read`` (every number has
been read or derived; where the problem holds it twice, the later place counts unless its words fit much less),
``words_read`` (every content word that the step shares with the problem has been read); and steps keep their order.
What counts as a number is in ``quantities``. The guards are ours: unguarded, one step in six came before its facts.
Left out: sentences whose meaning a later sentence changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_builders.quantities import (
    content_stems,
    find_constants,
    find_quantities,
    note_of,
    plain_numbers,
)

_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_LEAD_IN = re.compile(
    r"(?:so(?! far)|then|therefore|thus|hence|now|next|finally|first|th(?:is|at) means(?: that)?)\b[,:]?\s+",
    re.I,
)


@dataclass(frozen=True)
class Step:
    """One line of a rationale.

    Attributes:
        text: The line without calculator annotations.
        operands: The numbers that it starts from.
        results: The numbers that it derives.
        is_calculated: Whether it carries a calculator annotation.
    """

    text: str
    operands: frozenset[float]
    results: frozenset[float]
    is_calculated: bool


@dataclass(frozen=True)
class Trace:
    """A trace of one problem.

    Attributes:
        thoughts: One for each chunk, "" for a skip.
        deep: What is left for the deep part.
        streamed_steps: How many calculated steps stand in the thoughts.
        deep_steps: How many stand in the deep part.
    """

    thoughts: tuple[str, ...]
    deep: str
    streamed_steps: int
    deep_steps: int


@dataclass
class _Reading:
    """Where the problem gives what; a place is a chunk's number, the question's is 0 as it is known first."""

    values: dict[float, list[tuple[int, frozenset[str]]]] = field(default_factory=dict)
    constants: dict[float, int] = field(default_factory=dict)
    stems: dict[str, int] = field(default_factory=dict)

    def add(self, text: str, place: int) -> None:
        for quantity in find_quantities(text):
            for value in quantity.values:
                self.values.setdefault(value, []).append((place, quantity.nearby))
        for constant in find_constants(text):
            self.constants.setdefault(constant, place)
        for stem in content_stems(text):
            self.stems.setdefault(stem, place)


def build_trace(
    rationale: str, question: str, chunks: Sequence[str], *, limit: int, with_notes: bool
) -> Trace:
    """The thoughts and the deep part that a rationale gives.

    Args:
        rationale: Lines with calculator annotations and a last line ``#### answer``.
        question: What is known before the first chunk.
        chunks: The problem as it arrives.
        limit: After how many of the chunks steps may be written (one fewer where the last chunk asks).
        with_notes: Whether a chunk that has a number but no step gets a short note; else it is skipped.
    """
    steps = read_steps(rationale)
    places = place_steps(steps, question, chunks, limit=limit)
    lines: list[list[str]] = [[] for _ in chunks]
    for step, place in zip(steps, places, strict=True):
        if place is not None:
            lines[place].append(step.text)
    thoughts = ["; ".join(texts) for texts in lines]
    if with_notes:
        thoughts = [
            thought or note_of(chunk) for thought, chunk in zip(thoughts, chunks, strict=True)
        ]
    calculated = [place for step, place in zip(steps, places, strict=True) if step.is_calculated]
    deep = [step.text for step, place in zip(steps, places, strict=True) if place is None]
    return Trace(
        thoughts=tuple(thoughts),
        deep="; ".join(deep),
        streamed_steps=sum(place is not None for place in calculated),
        deep_steps=sum(place is None for place in calculated),
    )


def read_steps(rationale: str) -> tuple[Step, ...]:
    """The lines before ``####``, each with the numbers that it uses and derives."""
    body = rationale.partition("####")[0]
    return tuple(_step(line) for line in body.splitlines() if line.strip())


def place_steps(
    steps: Sequence[Step], question: str, chunks: Sequence[str], *, limit: int
) -> list[int | None]:
    """After which chunk each step is written; None is the deep part. Places never decrease."""
    reading = _Reading()
    reading.add(question, 0)
    for number, text in enumerate(chunks):
        reading.add(text, number)
    derived: dict[float, int] = {}
    places: list[int | None] = []
    earliest = 0
    for step in steps[: first_deep_step(steps)]:
        known = operands_read(step, reading, derived)
        place = None if known is None else max(earliest, known, words_read(step, reading))
        if place is None or place >= limit:
            break
        places.append(place)
        derived |= dict.fromkeys(step.results, place)
        earliest = place
    return places + [None] * (len(steps) - len(places))


def first_deep_step(steps: Sequence[Step]) -> int:
    """The last calculated step: it and all behind it wait, for it answers the question."""
    calculated = [index for index, step in enumerate(steps) if step.is_calculated]
    return calculated[-1] if calculated else 0


def operands_read(step: Step, reading: _Reading, derived: dict[float, int]) -> int | None:
    """The first chunk at which every operand has been read or derived; None if one never is."""
    places = [_operand_place(value, step, reading, derived) for value in step.operands]
    known = [place for place in places if place is not None]
    return max(known, default=0) if len(known) == len(places) else None


def words_read(step: Step, reading: _Reading) -> int:
    """The first chunk at which every content word that the step shares with the problem has been read."""
    return max((reading.stems.get(stem, 0) for stem in content_stems(step.text)), default=0)


def _operand_place(
    value: float, step: Step, reading: _Reading, derived: dict[float, int]
) -> int | None:
    """Where a value came from; of several places whose words fit the step about equally, the latest."""
    places = [derived[value]] if value in derived else []
    if value in reading.values:
        words = frozenset(content_stems(step.text))
        shared = [(place, len(nearby & words)) for place, nearby in reading.values[value]]
        best = max(count for _, count in shared)
        places.append(max(place for place, count in shared if count >= best - 1))
    if not places and value in reading.constants:
        places.append(reading.constants[value])
    return max(places, default=None)


def _step(line: str) -> Step:
    sums = [equation.partition("=") for equation in _ANNOTATION.findall(line)]
    text = _ANNOTATION.sub("", line)
    results = {number for _, _, right in sums for number in plain_numbers(right)}
    if not sums and "=" in text:
        results = set(plain_numbers(text.rpartition("=")[2])[:1])
    used = {number for left, _, _ in sums for number in plain_numbers(left)}
    shown = set(plain_numbers(text)) - results
    return Step(
        text=_tidy(text),
        operands=frozenset(used | shown),
        results=frozenset(results),
        is_calculated=bool(sums),
    )


def _tidy(text: str) -> str:
    """One line, no lead-in such as "So,", no full stop at the end."""
    text = _LEAD_IN.sub("", " ".join(text.split()), count=1) if _LEAD_IN.match(text) else text
    return " ".join(text.split()).rstrip(". ")
