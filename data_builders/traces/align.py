r"""Lays the steps of a rationale along the chunks of its problem: a streaming trace from a static solution.

    >>> steps = read_steps("Tom has 5 + 3 = <<5+3=8>>8 apples.\nHe eats 2, so 8 - 2 = <<8-2=6>>6.\n#### 6")
    >>> place_steps(steps, "How many are left?", ("Tom has 5 apples.", " Tom buys 3.", " He eats 2."), limit=3).places
    [1, None]

A step may be written after the first chunk with which every number in it has been read or derived. The guards against
coincidence (``Guards``) are ours, each can be switched off, and the manifest counts the steps that each one held back:
unguarded, one step in six came before its facts. What counts as a number is in ``quantities``. Left out: sentences whose
meaning a later sentence changes.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from data_builders.text.draft import Told, Trace, Tracer
from data_builders.text.quantities import (
    Quantity,
    content_stems,
    find_constants,
    find_quantities,
    note_of,
    plain_numbers,
)

_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_OPERATION = re.compile(r"\d[^\d=]{0,20}[-+*/\u00d7\u00f7][^\d=]{0,20}\d")
_BEFORE_EQUALS = 80  # characters in which a sum without annotations is looked for
_RESULT = re.compile(
    r"=\s*+(?:[^\d\s=]\s*+)?(\d[\d,]*+(?:\.\d++)?+)(?!\s*+[-+*/\u00d7\u00f7]\s*+[$(]?\d)"
)
_FINAL = re.compile(r"####|\bThe answer is:")
UNKNOWN_DEEP = "A number that this needs is not given"
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
class Guards:
    """What keeps a step from being written too early.

    Attributes:
        final_step: The last calculated step and all behind it wait: else it answers an unasked question.
        latest_place: Where the problem holds a number several times, the latest place counts whose words fit about as
            well; else the first.
        words: Every content word that the step shares with the problem has been read.
        order: No step is written before the one that the rationale has before it.
        number_words: "First", "pair", "couple" and a pronoun "one" are no numbers.
    """

    final_step: bool = True
    latest_place: bool = True
    words: bool = True
    order: bool = True
    number_words: bool = True


ALL_GUARDS = Guards()


@dataclass(frozen=True)
class Placement:
    """Where steps are written.

    Attributes:
        places: Behind which chunk each step is written; None is the deep part.
        held: How many steps each guard moved to a later place or to the deep part.
    """

    places: list[int | None]
    held: Mapping[str, int]


@dataclass
class _Reading:
    """Where the problem gives what; a place is a chunk's number, the question's is 0 as it is known first."""

    is_careful: bool = True
    values: dict[float, list[tuple[int, Quantity]]] = field(default_factory=dict)
    texts: list[tuple[int, str]] = field(default_factory=list)
    stems: dict[str, int] = field(default_factory=dict)

    def add(self, text: str, place: int) -> None:
        for quantity in find_quantities(text, is_careful=self.is_careful):
            for value in quantity.values:
                self.values.setdefault(value, []).append((place, quantity))
        self.texts.append((place, text))
        for stem in content_stems(text):
            self.stems.setdefault(stem, place)

    def constant_place(self, value: float) -> int | None:
        """Where a word first brings in a value of common knowledge."""
        return next((place for place, text in self.texts if value in find_constants(text)), None)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Notes, and a switch for each guard."""
    switch = argparse.BooleanOptionalAction
    parser.add_argument(
        "--notes",
        action=switch,
        default=True,
        help="a short note, not a skip, for a chunk that has a number but no step (default: on)",
    )
    for guard in fields(Guards):
        flag = f"--guard-{guard.name.replace('_', '-')}"
        parser.add_argument(
            flag, action=switch, default=True, help="see align.Guards (default: on)"
        )


def aligned(rationale: str, options: argparse.Namespace, *, plain_sums: bool = False) -> Tracer:
    """A tracer that lays the steps of a rationale along what is told."""
    guards = Guards(**{guard.name: _switch(options, guard.name) for guard in fields(Guards)})

    def trace(told: Told) -> Trace:
        steps = read_steps(rationale, plain_sums=plain_sums)
        return build_trace(steps, told, guards=guards, with_notes=options.notes)

    return trace


def _switch(options: argparse.Namespace, name: str) -> Any:
    return vars(options)[f"guard_{name}"]


def build_trace(
    steps: Sequence[Step], told: Told, *, with_notes: bool, guards: Guards = ALL_GUARDS
) -> Trace:
    """The thoughts and the deep part that the steps of a rationale give.

    Args:
        steps: As ``read_steps`` found them.
        told: The problem as it arrives.
        with_notes: Whether a chunk that has a number but no step gets a short note; else it is skipped.
        guards: What holds a step back.
    """
    placement = place_steps(steps, told.question, told.facts, limit=told.limit, guards=guards)
    places = placement.places
    lines: list[list[str]] = [[] for _ in told.chunks]
    for step, place in zip(steps, places, strict=True):
        if place is not None:
            lines[place].append(step.text)
    thoughts = ["; ".join(texts) for texts in lines]
    if with_notes:
        thoughts = [
            thought or (note_of(text) if place < told.limit else "")
            for place, (thought, text) in enumerate(zip(thoughts, told.notable, strict=True))
        ]
    calculated = [place for step, place in zip(steps, places, strict=True) if step.is_calculated]
    deep = [step.text for step, place in zip(steps, places, strict=True) if place is None]
    streamed = sum(place is not None for place in calculated)
    return Trace(
        thoughts=tuple(thoughts),
        deep=UNKNOWN_DEEP if told.is_missing else "; ".join(deep),
        counts={
            "steps_streamed": streamed,
            "steps_deep": len(calculated) - streamed,
            **{f"held_by_{guard}": count for guard, count in placement.held.items()},
        },
    )


def needed_units(
    rationale: str, question: str, units: Sequence[str], *, plain_sums: bool = False
) -> frozenset[int]:
    """The units that alone hold a number with which the rationale calculates."""
    wanted: set[float] = set()
    derived: set[float] = set()
    for step in read_steps(rationale, plain_sums=plain_sums):
        wanted |= step.operands - derived
        derived |= step.results
    asked, reading = _Reading(), _Reading()
    asked.add(question, 0)
    for number, text in enumerate(units):
        reading.add(text, number)
    places = [
        {place for place, _ in reading.values[value]}
        for value in wanted & reading.values.keys()
        if value not in asked.values
        and asked.constant_place(value) is None
        and reading.constant_place(value) is None
    ]
    return frozenset(place for found in places if len(found) == 1 for place in found)


def read_steps(rationale: str, *, plain_sums: bool = False) -> tuple[Step, ...]:
    """The lines before the final answer, each with the numbers that it uses and derives.

    Args:
        rationale: Lines, then ``#### answer`` or "The answer is".
        plain_sums: Whether a sum without a calculator annotation is a calculation, too.
    """
    body = _FINAL.split(rationale, maxsplit=1)[0]
    return tuple(_step(line, plain_sums=plain_sums) for line in body.splitlines() if line.strip())


def place_steps(
    steps: Sequence[Step],
    question: str,
    chunks: Sequence[str],
    *,
    limit: int,
    guards: Guards = ALL_GUARDS,
) -> Placement:
    """After which chunk each step is written. With the guard on their order, places never decrease."""
    reading = _Reading(guards.number_words)
    reading.add(question, 0)
    for number, text in enumerate(chunks):
        reading.add(text, number)
    held: Counter[str] = Counter()
    derived: dict[float, int] = {}
    places: list[int | None] = []
    earliest = 0
    final = first_deep_step(steps) if guards.final_step else len(steps)
    for step in steps[:final]:
        place = _place(step, reading, derived, guards, held)
        if place is not None and place < earliest and guards.order:
            held["order"] += 1
            place = earliest
        if place is None or place >= limit:
            if guards.order:
                break
            places.append(None)
            continue
        places.append(place)
        derived |= dict.fromkeys(step.results, place)
        earliest = place
    if waiting := sum(step.is_calculated for step in steps[final:]):
        held["final_step"] += waiting
    return Placement(places + [None] * (len(steps) - len(places)), held)


def first_deep_step(steps: Sequence[Step]) -> int:
    """The last calculated step: it and all behind it wait, for it answers the question."""
    calculated = [index for index, step in enumerate(steps) if step.is_calculated]
    return calculated[-1] if calculated else 0


def _place(
    step: Step,
    reading: _Reading,
    derived: Mapping[float, int],
    guards: Guards,
    held: Counter[str],
) -> int | None:
    """The first chunk at which every operand has been read or derived, and what guards make of it; None if never."""
    stems = content_stems(step.text)
    words = frozenset(stems)
    place = 0
    for value in step.operands:
        known = _operand_places(value, words, reading, derived)
        if not known:
            return None
        place = max(place, known[-1] if guards.latest_place else known[0])
        if guards.latest_place and known[-1] > known[0]:
            held["latest_place"] += 1
    if guards.words:
        later = max((reading.stems.get(stem, 0) for stem in stems), default=0)
        if later > place:
            held["words"] += 1
            place = later
    return place


def _operand_places(
    value: float, words: frozenset[str], reading: _Reading, derived: Mapping[float, int]
) -> list[int]:
    """Where a value may have come from, in order: derived, or read where the words fit the step about equally well."""
    places = [derived[value]] if value in derived else []
    if value in reading.values:
        read = reading.values[value]
        if len(read) > 1:
            shared = [quantity.shared(words) for _, quantity in read]
            read = [
                one for one, count in zip(read, shared, strict=True) if count >= max(shared) - 1
            ]
        places += [place for place, _ in read]
    if not places and (place := reading.constant_place(value)) is not None:
        places.append(place)
    return sorted(places)


def _step(line: str, *, plain_sums: bool) -> Step:
    sums = [equation.partition("=") for equation in _ANNOTATION.findall(line)]
    text = _ANNOTATION.sub("", line)
    if sums:
        results = {number for _, _, right in sums for number in plain_numbers(right)}
    elif plain_sums:
        results = {number for right in _RESULT.findall(text) for number in plain_numbers(right)}
    else:
        results = set(plain_numbers(text.rpartition("=")[2])[:1]) if "=" in text else set()
    used = {number for left, _, _ in sums for number in plain_numbers(left)}
    shown = set(plain_numbers(text)) - results
    return Step(
        text=_tidy(text),
        operands=frozenset(used | shown),
        results=frozenset(results),
        is_calculated=bool(sums) or (plain_sums and _has_sum(text)),
    )


def _has_sum(text: str) -> bool:
    """Whether an equals sign stands behind two numbers with an operator between them."""
    ends = (found.start() for found in re.finditer("=", text))
    return any(_OPERATION.search(text, max(0, end - _BEFORE_EQUALS), end) for end in ends)


def _tidy(text: str) -> str:
    """One line, no lead-in such as "So,", no full stop at the end."""
    text = _LEAD_IN.sub("", " ".join(text.split()), count=1) if _LEAD_IN.match(text) else text
    return " ".join(text.split()).rstrip(". ")
