"""Shaping of a text before it is cut: the question's position, and what is added, changed, moved or dropped.

    adasr data gsm8k --input train.jsonl --question withheld --distractors 0.2 --corrections 0.3 --out DIR

Distractors and repeats ask for a skip, a corrected fact ("No, 7 not 5: ...") for a revision, a missing one for the answer
'unknown'. All of it is our own. Each transformation has its own generator, seeded by the seed, its name and the episode's
id; tags and manifest name the applied ones. Gold answers stay right: sentences are shuffled only where the source says
that order does not matter, and dropped only where it says that they are needed.
"""

from __future__ import annotations

import argparse
import random
import re
from dataclasses import dataclass, replace
from itertools import chain

from data_builders.rows.options import add_switch
from data_builders.text.distractors import draw_distractor
from data_builders.text.draft import Draft, Unit, UnitKind

QUESTION_AHEAD = "Solve the problem that follows."  # where no sentence of its own asks
QUESTION_LAST = "Answer the question at the end of the text."
QUESTION_WITHHELD = "Read along; the question comes at the end."
UNKNOWN = "unknown"
MOST_CHUNKS_TO_CORRECTION = 3
# An integer without sign, unit sign, fraction or decimals: another one fits in its place.
_INTEGER = re.compile(r"(?<![\w.,/$€£%-])[1-9]\d{0,5}(?![\w/%-]|[.,]\d)")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Shaped:
    """The units of a draft after shaping."""

    question: str  # known before the stream
    units: tuple[Unit, ...]  # the text
    applied: tuple[str, ...]  # the transformations that changed it
    is_missing: bool  # whether a fact that the answer needs was dropped


def add_options(parser: argparse.ArgumentParser) -> None:
    """The transformations."""
    parser.add_argument(
        "--question",
        choices=("first", "last", "withheld"),
        default="first",
        help="known before the stream (default), where the text asks it or at its end, or only behind everything else",
    )
    add_switch(parser, "shuffle", "shuffle sentences where order does not matter")
    for name, what in (
        ("distractors", "chance of a distractor behind each sentence"),
        ("repeats", "chance that a sentence is said again later"),
        ("corrections", "share of the texts with a number first told wrong, then corrected"),
        ("missing", "share of the texts without a needed fact, whose answer is 'unknown'"),
    ):
        what = f"{what} (default: 0)"
        parser.add_argument(f"--{name}", type=share, default=0.0, metavar="X", help=what)
    what = "seed of the transformations (default: --seed)"
    parser.add_argument("--shape-seed", type=int, metavar="N", help=what)


def share(text: str) -> float:
    """A number from 0 to 1, as an option's value."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number from 0 to 1.")
    return value


def shape(draft: Draft, options: argparse.Namespace) -> Shaped:
    """The units of a draft after all transformations."""
    question, units = _with_question(draft, options.question)
    seed = options.seed if options.shape_seed is None else options.shape_seed
    applied = []
    for name, chance, transform in (
        ("shuffled", float(options.shuffle and draft.is_order_free), _shuffle),
        ("missing", options.missing, _drop_needed),
        ("corrected", options.corrections, _correct),
        ("repeated", options.repeats, _repeat),
        ("distracted", options.distractors, _distract),
    ):
        if chance > 0:
            rng = random.Random(f"{seed}/{name}/{draft.key}")
            if transform(units, draft, rng, chance):
                applied.append(name)
    if applied:
        units = _respaced(units)
    return Shaped(question, tuple(units), tuple(applied), is_missing="missing" in applied)


def _with_question(draft: Draft, position: str) -> tuple[str, list[Unit]]:
    """The question known before the stream, and the units with or without the asking one."""
    sections = draft.sections or tuple(range(len(draft.units)))
    units = [
        Unit(text, UnitKind.QUESTION if i == draft.asking else UnitKind.FACT, i, sections[i])
        for i, text in enumerate(draft.units)
    ]
    question = draft.question
    if position == "last" or not question:
        if question and draft.asking is None:
            units.append(Unit(f" {question}", UnitKind.QUESTION, section=len(units)))
        return QUESTION_LAST if position != "first" else QUESTION_AHEAD, units
    if draft.asking is not None:
        units.pop(draft.asking)
        units[0] = replace(units[0], text=units[0].text.lstrip())
    if position == "withheld":
        text = f" Question: {question}"
        units.append(Unit(text, UnitKind.QUESTION, section=len(draft.units)))
        return QUESTION_WITHHELD, units
    return question, units


# Each transformation changes the list of units and says whether it did.


def _shuffle(units: list[Unit], _draft: Draft, rng: random.Random, _chance: float) -> bool:
    facts = _facts(units)
    shuffled = facts[:]
    rng.shuffle(shuffled)
    for index, unit in zip(facts, [units[i] for i in shuffled], strict=True):
        units[index] = unit
    return shuffled != facts


def _drop_needed(units: list[Unit], draft: Draft, rng: random.Random, chance: float) -> bool:
    if rng.random() >= chance or draft.needed is None:
        return False
    needed = draft.needed()
    facts = [i for i in _facts(units) if units[i].fact in needed]
    if not facts or len(units) < 2:
        return False
    units.pop(rng.choice(facts))
    return True


def _correct(units: list[Unit], _draft: Draft, rng: random.Random, chance: float) -> bool:
    """A wrong number in place of the right one, and the whole sentence again some chunks later."""
    if rng.random() >= chance:
        return False
    integers = [_INTEGER.findall(unit.text) for unit in units]
    digits = [_DIGITS.findall(unit.text) for unit in units]
    # Exactly one number: the correction is unambiguous.
    facts = [i for i in _facts(units) if len(digits[i]) == len(integers[i]) == 1]
    if not facts:
        return False
    index = rng.choice(facts)
    unit, right = units[index], integers[index][0]
    wrong = _other_number(right, set(chain(*digits)), rng)
    text = _INTEGER.sub(wrong, unit.text)
    lead = f" No, {right} not {wrong}: "
    told = (unit.fact, wrong)
    units[index] = replace(unit, text=text, kind=UnitKind.WRONG, fact=-1, mistold=told)
    text = lead + unit.text.strip()
    correction = Unit(text, UnitKind.CORRECTION, unit.fact, unit.section, len(lead))
    later = index + rng.randint(1, MOST_CHUNKS_TO_CORRECTION)
    units.insert(min(later, _end(units)), correction)
    return True


def _repeat(units: list[Unit], _draft: Draft, rng: random.Random, chance: float) -> bool:
    facts = [units[i] for i in _facts(units)]
    chosen = [unit for unit in facts if rng.random() < chance]
    for repeated in chosen:
        index = next(i for i, unit in enumerate(units) if unit is repeated)
        later = rng.randint(index + 1, _end(units))
        text = f" As was said: {repeated.text.strip()}"
        units.insert(later, Unit(text, UnitKind.REPEAT, section=units[later - 1].section))
    return bool(chosen)


def _distract(units: list[Unit], draft: Draft, rng: random.Random, chance: float) -> bool:
    positions = [i + 1 for i in range(_end(units)) if rng.random() < chance]
    text = f"{draft.question} {' '.join(unit.text for unit in units)}"
    for position in reversed(positions):  # from the end: earlier positions stay valid
        sentence, section = draw_distractor(rng, text), units[position - 1].section
        units.insert(position, Unit(f" {sentence}", UnitKind.DISTRACTOR, section=section))
    return bool(positions)


def _facts(units: list[Unit]) -> list[int]:
    return [i for i, unit in enumerate(units) if unit.kind is UnitKind.FACT]


def _end(units: list[Unit]) -> int:
    """Behind the last unit that does not ask."""
    others = [i for i, unit in enumerate(units) if unit.kind is not UnitKind.QUESTION]
    return others[-1] + 1 if others else 0


def _other_number(right: str, taken: set[str], rng: random.Random) -> str:
    value = int(right)
    near = [str(value + step) for step in range(-9, 10) if value + step > 1]
    return rng.choice([number for number in near if number not in taken] or [str(value + 10)])


def _respaced(units: list[Unit]) -> list[Unit]:
    """White space between units that were moved or added."""
    spaced = []
    for index, unit in enumerate(units):
        text, stripped = unit.text, unit.text.lstrip()
        if index == 0:
            text = stripped
        elif text == stripped:
            text = f" {text}"
        spaced.append(replace(unit, text=text, lead=max(0, unit.lead + len(text) - len(unit.text))))
    return spaced
