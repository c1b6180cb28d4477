"""Transformations of a text before it is cut: where the question stands, and what is added, changed, moved or dropped.

    python -m data_builders gsm8k --input train.jsonl --question withheld --distractors 0.2 --corrections 0.3 --out DIR

So that skipping, waiting and revising can be trained and tested: distractors and repeats ask for a skip, a corrected
fact ("No, 7 not 5: ...") for a revision, a missing one for the answer 'unknown'. All of this is ours. Each draws from
its own generator, seeded by the seed, its name and the episode's id; an episode's tags and the manifest say what was done
to it. Gold answers stay right by construction, which is why some need to know what the source knows: sentences are
shuffled only where the source says that order does not matter, and dropped only where it says that they are needed.
"""

from __future__ import annotations

import argparse
import random
import re
from dataclasses import dataclass, replace

from data_builders.text.distractors import draw_distractor
from data_builders.text.draft import Draft, Kind, Unit

QUESTION_AHEAD = "Solve the problem that follows."  # where no sentence of its own asks
QUESTION_LAST = "Answer the question at the end of the text."
QUESTION_WITHHELD = "Read along; the question comes at the end."
UNKNOWN = "unknown"
MOST_CHUNKS_TO_CORRECTION = 3
_INTEGER = re.compile(r"(?<![\w.,/$€£%-])[1-9]\d{0,5}(?![\w/%-]|[.,]\d)")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Shaped:
    """A draft's units as they will be told.

    Attributes:
        question: What is known before the stream.
        units: The text.
        applied: The transformations that changed it.
        is_missing: Whether a fact that the answer needs was dropped.
    """

    question: str
    units: tuple[Unit, ...]
    applied: tuple[str, ...]
    is_missing: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """The transformations."""
    parser.add_argument(
        "--question",
        choices=("first", "last", "withheld"),
        default="first",
        help="known before the stream (default), where the text asks it or at its end, or only behind everything else",
    )
    switch = argparse.BooleanOptionalAction
    parser.add_argument(
        "--shuffle",
        action=switch,
        default=False,
        help="shuffle sentences where order does not matter",
    )
    for name, what in (
        ("distractors", "chance of a sentence beside the matter behind each sentence"),
        ("repeats", "chance that a sentence is said again later"),
        ("corrections", "share of the texts with a number first told wrong, then corrected"),
        ("missing", "share of the texts without a needed fact, whose answer is 'unknown'"),
    ):
        parser.add_argument(
            f"--{name}", type=share, default=0.0, metavar="X", help=f"{what} (default: 0)"
        )
    parser.add_argument(
        "--shape-seed", type=int, metavar="N", help="seed of the transformations (default: --seed)"
    )


def shape(draft: Draft, options: argparse.Namespace) -> Shaped:
    """The units of a draft after all transformations."""
    question, units = _place_question(draft, options.question)
    applied: list[str] = []
    if not _asks_for_any(options):
        return Shaped(question, units, (), is_missing=False)
    told = list(units)
    for name, chance, transform in (
        ("shuffled", float(options.shuffle and draft.is_order_free), _shuffle),
        ("missing", options.missing, _drop_needed),
        ("corrected", options.corrections, _correct),
        ("repeated", options.repeats, _repeat),
        ("distracted", options.distractors, _distract),
    ):
        seed = options.seed if options.shape_seed is None else options.shape_seed
        rng = random.Random(f"{seed}/{name}/{draft.key}")
        if chance > 0 and transform(told, draft, rng, chance):
            applied.append(name)
    if applied:
        told = _respaced(told)
    return Shaped(question, tuple(told), tuple(applied), is_missing="missing" in applied)


def share(text: str) -> float:
    """A number from 0 to 1, as an option's value."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number from 0 to 1.")
    return value


def _asks_for_any(options: argparse.Namespace) -> bool:
    chances = (options.distractors, options.repeats, options.corrections, options.missing)
    return bool(options.shuffle or any(chances))


def _place_question(draft: Draft, place: str) -> tuple[str, tuple[Unit, ...]]:
    sections = draft.sections or tuple(range(len(draft.units)))
    units = [
        Unit(text, Kind.QUESTION if i == draft.asking else Kind.FACT, fact=i, section=sections[i])
        for i, text in enumerate(draft.units)
    ]
    asked = draft.question
    if place == "last" or not asked:
        if asked and draft.asking is None:
            units.append(Unit(f" {asked}", Kind.QUESTION, section=len(units)))
        return QUESTION_LAST if place != "first" else QUESTION_AHEAD, tuple(units)
    if draft.asking is not None:
        units.pop(draft.asking)
        units[0] = replace(units[0], text=units[0].text.lstrip())
    if place == "withheld":
        units.append(Unit(f" Question: {asked}", Kind.QUESTION, section=len(draft.units)))
        return QUESTION_WITHHELD, tuple(units)
    return asked, tuple(units)


def _shuffle(units: list[Unit], _draft: Draft, rng: random.Random, _chance: float) -> bool:
    places = _facts(units)
    moved = places[:]
    rng.shuffle(moved)
    for place, unit in zip(places, [units[i] for i in moved], strict=True):
        units[place] = unit
    return moved != places


def _drop_needed(units: list[Unit], draft: Draft, rng: random.Random, chance: float) -> bool:
    if rng.random() >= chance or draft.needed is None:
        return False
    needed = draft.needed()
    places = [i for i in _facts(units) if units[i].fact in needed]
    if not places or len(units) < 2:
        return False
    units.pop(rng.choice(places))
    return True


def _correct(units: list[Unit], _draft: Draft, rng: random.Random, chance: float) -> bool:
    """A wrong number where the right one stood, and the whole sentence again some chunks later."""
    if rng.random() >= chance:
        return False
    numbers = [_INTEGER.findall(unit.text) for unit in units]
    places = [
        i for i in _facts(units) if len(_DIGITS.findall(units[i].text)) == len(numbers[i]) == 1
    ]
    if not places:
        return False
    place = rng.choice(places)
    unit, right = units[place], numbers[place][0]
    taken = {number for unit in units for number in _DIGITS.findall(unit.text)}
    wrong = _other_number(right, taken, rng)
    text = _INTEGER.sub(wrong, unit.text)
    lead = f" No, {right} not {wrong}: "
    units[place] = replace(unit, text=text, kind=Kind.WRONG, fact=-1)
    correction = Unit(lead + unit.text.strip(), Kind.CORRECTION, unit.fact, unit.section, len(lead))
    last = max(i for i, unit in enumerate(units) if unit.kind is not Kind.QUESTION)
    units.insert(min(place + rng.randint(1, MOST_CHUNKS_TO_CORRECTION), last + 1), correction)
    return True


def _repeat(units: list[Unit], _draft: Draft, rng: random.Random, chance: float) -> bool:
    told = [units[i] for i in _facts(units)]
    chosen = [unit for unit in told if rng.random() < chance]
    for unit in chosen:
        place = next(i for i, one in enumerate(units) if one is unit)
        later = rng.randint(place + 1, _end(units))
        again = f" As was said: {unit.text.strip()}"
        units.insert(later, Unit(again, Kind.REPEAT, section=units[later - 1].section))
    return bool(chosen)


def _distract(units: list[Unit], draft: Draft, rng: random.Random, chance: float) -> bool:
    places = [i + 1 for i in range(_end(units)) if rng.random() < chance]
    text = f"{draft.question} {' '.join(unit.text for unit in units)}"
    for place in reversed(places):
        sentence = draw_distractor(rng, text)
        units.insert(place, Unit(f" {sentence}", Kind.DISTRACTOR, section=units[place - 1].section))
    return bool(places)


def _facts(units: list[Unit]) -> list[int]:
    return [i for i, unit in enumerate(units) if unit.kind is Kind.FACT]


def _end(units: list[Unit]) -> int:
    """Behind the last unit that does not ask."""
    return 1 + max(
        (i for i, unit in enumerate(units) if unit.kind is not Kind.QUESTION), default=-1
    )


def _other_number(right: str, taken: set[str], rng: random.Random) -> str:
    value = int(right)
    near = [str(value + step) for step in range(-9, 10) if value + step > 1]
    return rng.choice([number for number in near if number not in taken] or [str(value + 10)])


def _respaced(units: list[Unit]) -> list[Unit]:
    """White space between units that were moved or added."""
    spaced = []
    for place, unit in enumerate(units):
        text, stripped = unit.text, unit.text.lstrip()
        if place == 0:
            text = stripped
        elif text == stripped:
            text = f" {text}"
        spaced.append(replace(unit, text=text, lead=max(0, unit.lead + len(text) - len(unit.text))))
    return spaced
