r"""Aligns a rationale's steps with the chunks of its problem: a streaming trace from a static solution.

    >>> steps = read_steps("Tom has 5 + 3 = <<5+3=8>>8 apples.\nHe eats 2, so 8 - 2 = <<8-2=6>>6.\n#### 6")
    >>> place_steps(steps, "How many are left?", ("Tom has 5 apples.", " Tom buys 3.", " He eats 2."), limit=3).chunks
    [1, None]

A step may stand behind the first chunk with which all its numbers have been read or derived. The guards against
coincidence (``Guards``) are our own. Each can be switched off, and the manifest counts the steps that it held back:
unguarded, one step in six came before its facts. Numbers are read by ``text.quantities``. Left out: sentences whose
meaning a later sentence changes.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from data_builders.rows.options import add_switch
from data_builders.text.draft import StreamedText, Trace, Tracer
from data_builders.text.quantities import (
    Mention,
    content_stems,
    find_constants,
    find_quantities,
    note_of,
    plain_numbers,
)

# Possessive quantifiers (*+, ++) keep the time linear in the length of the text.
_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_OPERATION = re.compile(r"\d[^\d=]{0,20}[-+*/\u00d7\u00f7][^\d=]{0,20}\d")
_BEFORE_EQUALS = 80  # characters in which a sum without annotations is looked for
_RESULT = re.compile(  # a number behind "=" that no operator follows
    r"=\s*+(?:[^\d\s=]\s*+)?(\d[\d,]*+(?:\.\d++)?+)(?!\s*+[-+*/\u00d7\u00f7]\s*+[$(]?\d)"
)
_FINAL = re.compile(r"####|\bThe answer is:")
_LEAD_IN = re.compile(
    r"(?:so(?! far)|then|therefore|thus|hence|now|next|finally|first|th(?:is|at) means(?: that)?)\b[,:]?\s+",
    re.I,
)
MISSING_DEEP = "A number that this needs is not given"


@dataclass(frozen=True)
class Step:
    """One line of a rationale."""

    text: str  # the line without calculator annotations
    operands: frozenset[float]  # the numbers that it starts from
    results: frozenset[float]  # the numbers that it derives
    is_calculated: bool  # whether it carries a calculator annotation


@dataclass(frozen=True)
class Guards:
    """Guards against a step that comes too early."""

    # The last calculated step and all behind it wait: it would answer a question not yet asked.
    final_step: bool = True
    # Where the problem holds a number several times, the latest of the about equally fitting places counts; else the first.
    latest_place: bool = True
    words: bool = True  # every content word that the step shares with the problem has been read
    order: bool = True  # steps keep the order of the rationale
    number_words: bool = True  # "First", "pair", "couple" and a pronoun "one" are no numbers


ALL_GUARDS = Guards()
_GUARDS = tuple(guard.name for guard in fields(Guards))


@dataclass(frozen=True)
class Placement:
    """Chunks of the steps."""

    chunks: list[int | None]  # the chunk that each step stands behind; None is the deep part
    held: Mapping[str, int]  # how many steps each guard moved to a later chunk or to the deep part


@dataclass
class _Reading:
    """Numbers and words of the problem by chunk; those of the question count as chunk 0, as it is known first."""

    is_careful: bool = True
    values: dict[float, list[tuple[int, Mention]]] = field(default_factory=dict)
    texts: list[tuple[int, str]] = field(default_factory=list)
    stems: dict[str, int] = field(default_factory=dict)  # the first chunk of each

    def add(self, text: str, chunk: int) -> None:
        for quantity in find_quantities(text, is_careful=self.is_careful):
            for value in quantity.values:
                self.values.setdefault(value, []).append((chunk, quantity))
        self.texts.append((chunk, text))
        for stem in content_stems(text):
            self.stems.setdefault(stem, chunk)

    def constant_chunk(self, value: float) -> int | None:
        """The first chunk with a word for a value of common knowledge."""
        return next((chunk for chunk, text in self.texts if value in find_constants(text)), None)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Notes, and a switch for each guard."""
    what = "a short note, not a skip, for a chunk that has a number but no step (default: on)"
    add_switch(parser, "notes", what, default=True)
    for guard in _GUARDS:
        add_switch(parser, f"guard_{guard}", "see align.Guards (default: on)", default=True)


def aligned(rationale: str, options: argparse.Namespace, *, plain_sums: bool = False) -> Tracer:
    """A tracer that aligns the steps of a rationale with the text."""
    guards = Guards(**{name: vars(options)[f"guard_{name}"] for name in _GUARDS})

    def trace(text: StreamedText) -> Trace:
        steps = read_steps(rationale, plain_sums=plain_sums)
        return build_trace(steps, text, guards=guards, with_notes=options.notes)

    return trace


def build_trace(
    steps: Sequence[Step], text: StreamedText, *, with_notes: bool, guards: Guards = ALL_GUARDS
) -> Trace:
    """The thoughts and the deep part that the steps of a rationale give.

    Args:
        steps: From ``read_steps``.
        text: The problem as it arrives.
        with_notes: Whether a chunk with a number but no step gets a short note instead of a skip.
        guards: Guards against early steps.
    """
    placement = place_steps(steps, text.question, text.facts, limit=text.limit, guards=guards)
    placed = list(zip(placement.chunks, steps, strict=True))
    deep = [step.text for chunk, step in placed if chunk is None]
    notes = ((chunk, step.text) for chunk, step in placed if chunk is not None)
    thoughts = list(text.thoughts(notes))
    if with_notes:
        for chunk, notable in enumerate(text.notable[: text.limit]):
            thoughts[chunk] = thoughts[chunk] or note_of(notable)
    calculated = [chunk for chunk, step in placed if step.is_calculated]
    streamed = sum(chunk is not None for chunk in calculated)
    return Trace(
        thoughts=tuple(thoughts),
        deep=MISSING_DEEP if text.is_missing else "; ".join(deep),
        counts={
            "steps_streamed": streamed,
            "steps_deep": len(calculated) - streamed,
            **{f"held_by_{guard}": count for guard, count in placement.held.items()},
        },
    )


def needed_units(
    rationale: str, question: str, units: Sequence[str], *, plain_sums: bool = False
) -> frozenset[int]:
    """The units that alone hold a number of the rationale's calculations."""
    wanted: set[float] = set()
    derived: set[float] = set()
    for step in read_steps(rationale, plain_sums=plain_sums):
        wanted |= step.operands - derived
        derived |= step.results
    asked, reading = _Reading(), _Reading()
    asked.add(question, 0)
    for number, text in enumerate(units):
        reading.add(text, number)
    holders = [
        {unit for unit, _ in reading.values[value]}
        for value in wanted & reading.values.keys()
        if value not in asked.values
        and asked.constant_chunk(value) is None
        and reading.constant_chunk(value) is None
    ]
    return frozenset(unit for holding in holders if len(holding) == 1 for unit in holding)


def read_steps(rationale: str, *, plain_sums: bool = False) -> tuple[Step, ...]:
    """The lines before the final answer, each with its operands and results.

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
    """The chunk of each step, below ``limit``. With the guard on order, chunks never decrease."""
    reading = _Reading(guards.number_words)
    reading.add(question, 0)
    for number, text in enumerate(chunks):
        reading.add(text, number)
    held: Counter[str] = Counter()
    derived: dict[float, int] = {}  # chunk of each result
    placed: list[int | None] = []
    earliest = 0
    calculated = [index for index, step in enumerate(steps) if step.is_calculated]
    last = calculated[-1] if calculated else 0
    final = last if guards.final_step else len(steps)
    for step in steps[:final]:
        chunk = _chunk_of(step, reading, derived, guards, held)
        if chunk is not None and chunk < earliest and guards.order:
            held["order"] += 1
            chunk = earliest
        if chunk is None or chunk >= limit:
            if guards.order:
                break  # later steps may not overtake it
            placed.append(None)
            continue
        placed.append(chunk)
        derived |= dict.fromkeys(step.results, chunk)
        earliest = chunk
    if waiting := sum(step.is_calculated for step in steps[final:]):
        held["final_step"] += waiting
    return Placement(placed + [None] * (len(steps) - len(placed)), held)


def _chunk_of(
    step: Step,
    reading: _Reading,
    derived: Mapping[float, int],
    guards: Guards,
    held: Counter[str],
) -> int | None:
    """The first chunk with all operands read or derived, under the guards; None for an unknown operand."""
    stems = frozenset(content_stems(step.text))
    latest = 0
    for value in step.operands:
        known = _operand_chunks(value, stems, reading, derived)
        if not known:
            return None
        latest = max(latest, known[-1] if guards.latest_place else known[0])
        if guards.latest_place and known[-1] > known[0]:
            held["latest_place"] += 1
    if guards.words:
        word_chunk = max((reading.stems.get(stem, 0) for stem in stems), default=0)
        if word_chunk > latest:
            held["words"] += 1
            latest = word_chunk
    return latest


def _operand_chunks(
    value: float, stems: frozenset[str], reading: _Reading, derived: Mapping[float, int]
) -> list[int]:
    """Possible chunks of a value, in order: derived, or read where the words fit the step about equally well."""
    chunks = [derived[value]] if value in derived else []
    if value in reading.values:
        read = reading.values[value]
        if len(read) > 1:
            shared = [quantity.shared(stems) for _, quantity in read]
            # One word fewer than the best counts as equal.
            least = max(shared) - 1
            read = [known for known, count in zip(read, shared, strict=True) if count >= least]
        chunks += [chunk for chunk, _ in read]
    if not chunks and (chunk := reading.constant_chunk(value)) is not None:
        chunks.append(chunk)
    return sorted(chunks)


def _step(line: str, *, plain_sums: bool) -> Step:
    sums = [equation.partition("=") for equation in _ANNOTATION.findall(line)]
    text = _ANNOTATION.sub("", line)
    if sums:
        results = {number for _, _, right in sums for number in plain_numbers(right)}
    elif plain_sums:
        results = {number for right in _RESULT.findall(text) for number in plain_numbers(right)}
    else:
        results = set(plain_numbers(text.rpartition("=")[2])[:1]) if "=" in text else set()
    annotated = {number for left, _, _ in sums for number in plain_numbers(left)}
    shown = set(plain_numbers(text)) - results
    return Step(
        text=_tidy(text),
        operands=frozenset(annotated | shown),
        results=frozenset(results),
        is_calculated=bool(sums) or (plain_sums and _has_sum(text)),
    )


def _has_sum(text: str) -> bool:
    """Whether an equals sign stands behind two numbers with an operator between them."""
    ends = (equals.start() for equals in re.finditer("=", text))
    return any(_OPERATION.search(text, max(0, end - _BEFORE_EQUALS), end) for end in ends)


def _tidy(text: str) -> str:
    """One line without a lead-in such as "So," and without the full stop at its end."""
    text = _LEAD_IN.sub("", " ".join(text.split()), count=1) if _LEAD_IN.match(text) else text
    return " ".join(text.split()).rstrip(". ")
