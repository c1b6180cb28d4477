"""The ledger: generated stories of one person's things, with exact answers and traces.

    adasr data ledger --train-count 20000 --test-count 500 --seed 0 --out data/tiny

    Follow Tom's coins, then do what the last sentence asks.
    Tom has 5 coins. Ann finds 3 more coins. Tom buys 3 more coins.
    How many coins would Tom have now with 2 less?

One seed decides everything, and no story is told twice. Distractors (other people, the weather) need no thought. In a
share of the episodes (``--deep-share``) only the last sentence says what to do with the count, so they need deep work. A
share of the events (``--corrections``) has a wrong number, corrected by a later sentence ("Tom finds 2 coins, not 3.").

Traces come in three styles, so that reinforcement learning has something to learn: eager (each event is worked out at
once), lazy (events are only noted, the deep part does the work) and redundant (eager, and the deep part does all of it
again). With ``--chatter`` some distractors get a redundant thought. ``--wording turned`` is another word order, for tests.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from adasr_trl.core.episode import AnswerType, Episode, Source
from data_builders.errors import BuildError
from data_builders.rows.inputs import numbers
from data_builders.rows.options import add_number, check_number
from data_builders.rows.row import Row, Rows
from data_builders.sources.common import joined_units

NAME = "ledger"
SUMMARY = "stories in which things change hands, procedural, with exact traces"
LICENCE = "Apache-2.0"
REVISION = "2"

PEOPLE = ("Tom", "Ann", "Bob", "Eva", "Max", "Ida")
THINGS = ("apples", "coins", "books", "cards")
FILLERS = ("It rains a lot", "{other} wears a red hat", "{other} sings a song", "The days are long")
GAINS = ("buys", "finds", "gets")
LOSSES = ("loses", "sells", "drops")
STYLES = ("eager", "lazy", "redundant")

_COUNTS = (  # name, default, lowest value, help
    ("train_count", 20000, 1, "training episodes"),
    ("test_count", 500, 0, "test episodes"),
    ("min_events", 3, 0, "fewest changes of the count"),
    ("max_events", 6, 0, "most changes of the count"),
    ("min_others", 2, 0, "fewest distractors"),
    ("max_others", 4, 0, "most distractors"),
    ("max_count", 20, 2, "no count ever exceeds it"),
    ("max_change", 6, 1, "most things in one event"),
    ("max_deep_steps", 2, 1, "steps that the end asks for"),
)
_SHARES = (  # name, default, help
    ("corrections", 0.0, "share of events whose number is corrected later"),
    ("chatter", 0.0, "share of distractors with a redundant thought"),
    ("deep_share", 0.4, "share that needs deep work"),
)


@dataclass(frozen=True)
class _Sentence:
    """A sentence with the thoughts that traces may have about it."""

    text: str  # the sentence
    note: str = ""  # the event alone, such as "Tom + 3"
    step: str = ""  # the event worked out, such as "Tom 5 + 3 = 8"
    redundant: str = ""  # a thought without use, on a distractor


@dataclass
class _Story:
    """A story in the making."""

    rng: random.Random  # decides the story
    trace_rng: random.Random  # decides its thoughts, so that these never change the story
    options: argparse.Namespace  # the knobs
    person: str  # whose things are counted
    other: str  # the person of the distractors
    things: str  # such as "coins"
    count: int  # things so far
    sentences: list[_Sentence] = field(default_factory=list)  # the story so far
    # Verbs and changes of the wrong events.
    to_correct: list[tuple[str, int]] = field(default_factory=list)

    def add_event(self, event: str, note: str, step: str) -> None:
        note, step = f"{self.person} {note}", f"{self.person} {step}"
        self.sentences.append(_Sentence(f"{event}.", note, step))

    def add_distractor(self, text: str) -> None:
        has_thought = self.trace_rng.random() < self.options.chatter
        thought = f"no change for {self.person} , this does not matter" if has_thought else ""
        self.sentences.append(_Sentence(f"{text}.", redundant=thought))

    def worded(self, person: str, verb: str, amount: str) -> str:
        """An event in the family's order of words."""
        turned = self.options.wording == "turned"
        return f"{amount} {person} {verb}" if turned else f"{person} {verb} {amount}"

    def amount_of(self, amount: int, *, more: bool = False) -> str:
        things = self.things if amount != 1 else self.things[:-1]
        return f"{amount} more {things}" if more else f"{amount} {things}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The ledger's difficulty knobs."""
    for name, count, _, what in _COUNTS:
        add_number(parser, name, count, what)
    for name, share, what in _SHARES:
        add_number(parser, name, share, what)
    parser.add_argument("--wording", default="plain", help="plain, or turned: another word order")
    styles = "eager:2,lazy:1,redundant:3"
    parser.add_argument("--styles", default=styles, help="weights of the trace styles")
    add_number(parser, "seed", 0, "seed of everything that is drawn")


def open_rows(_options: argparse.Namespace) -> Rows:
    """One row for all stories: each is compared with those before it."""
    return numbers(NAME, 1)


def build_row(_row: Row, options: argparse.Namespace) -> Iterator[Episode]:
    """All stories."""
    return build(options)


def build(options: argparse.Namespace) -> Iterator[Episode]:
    """Test episodes, then train episodes; no story is told twice."""
    _check(options)
    seen: set[tuple[str, ...]] = set()
    for split, count in (("test", options.test_count), ("train", options.train_count)):
        made, attempt = 0, 0
        while made < count:
            key = f"{options.seed}/{split}/{attempt}"
            attempt += 1
            episode = _episode(key, options, f"{NAME}-{split}-{made}", split)
            if episode.chunks not in seen:
                seen.add(episode.chunks)
                made += 1
                yield episode


def _check(options: argparse.Namespace) -> None:
    """Refuse knobs that no story can have."""
    for name, _, lowest, _ in _COUNTS:
        check_number(options, name, lowest)
    for name in ("events", "others"):
        check_number(options, f"max_{name}", vars(options)[f"min_{name}"])
    for name, _, _ in _SHARES:
        check_number(options, name, 0, 1)
    if options.wording not in ("plain", "turned"):
        raise BuildError(f"--wording: got {options.wording!r}; expected plain or turned.")
    _weights(options.styles)


def _episode(key: str, options: argparse.Namespace, name: str, split: str) -> Episode:
    story = _draw_story(key, options)
    question = f"How many {story.things} does {story.person} have at the end?"
    deep, needs_deep = "", story.rng.random() < options.deep_share
    if needs_deep:
        question = f"Follow {story.person}'s {story.things}, then do what the last sentence asks."
        deep = _ask_last(story, options.max_deep_steps)
    weights = _weights(options.styles)
    style = story.trace_rng.choices(list(weights), list(weights.values()))[0]
    thoughts, deep = _trace(story, style, deep)
    return Episode(
        id=name,
        group=name,
        question=question,
        chunks=joined_units([sentence.text for sentence in story.sentences]),
        answer=str(story.count),
        answer_type=AnswerType.NUMBER,
        source=Source(NAME, REVISION, LICENCE, split),
        thoughts=thoughts,
        deep=deep,
        tags=("deep",) if needs_deep else ("shallow",),
    )


def _draw_story(key: str, options: argparse.Namespace) -> _Story:
    rng, trace_rng = random.Random(key), random.Random(f"{key}/trace")
    person, other = rng.sample(PEOPLE, 2)
    things, count = rng.choice(THINGS), rng.randint(2, min(9, options.max_count))
    story = _Story(rng, trace_rng, options, person, other, things, count)
    story.add_event(f"{person} has {story.amount_of(count)}", str(count), str(count))
    kinds = [_add_event] * rng.randint(options.min_events, options.max_events)
    kinds += [_add_distractor] * rng.randint(options.min_others, options.max_others)
    rng.shuffle(kinds)
    for add_sentence in kinds:
        add_sentence(story)
        if story.to_correct and rng.random() < 0.5:
            _correct_oldest(story)
    while story.to_correct:
        _correct_oldest(story)
    return story


def _add_event(story: _Story) -> None:
    change = _draw_change(story)
    verb = story.rng.choice(GAINS if change > 0 else LOSSES)
    amount = story.amount_of(abs(change), more=change > 0)
    event = story.worded(story.person, verb, amount)
    story.add_event(event, _signed(change), _apply(story, change))
    if story.rng.random() < story.options.corrections:
        story.to_correct.append((verb, change))


def _correct_oldest(story: _Story) -> None:
    """Correct the oldest wrong event to another amount, if any keeps the count in its bounds."""
    verb, change = story.to_correct.pop(0)
    sign = 1 if change > 0 else -1
    others = [n * sign for n in range(1, story.options.max_change + 1) if n * sign != change]
    fitting = [new for new in others if 0 <= story.count - change + new <= story.options.max_count]
    if not fitting:
        return
    new = story.rng.choice(fitting)
    amount = f"{story.amount_of(abs(new))}, not {abs(change)}"
    before, story.count = story.count, story.count - change + new
    work = f"{_signed(-change)} {_signed(new)}"  # the wrong change is taken back first
    event = story.worded(story.person, verb, amount)
    story.add_event(event, work, f"{before} {work} = {story.count}")


def _add_distractor(story: _Story) -> None:
    rng = story.rng
    if rng.random() < 0.5:
        verb = rng.choice(GAINS + LOSSES)
        amount = story.amount_of(rng.randint(1, story.options.max_change), more=verb in GAINS)
        story.add_distractor(story.worded(story.other, verb, amount))
    else:
        story.add_distractor(rng.choice(FILLERS).format(other=story.other))


def _ask_last(story: _Story, max_steps: int) -> str:
    """Add a last sentence that alone says what to do with the count; return the steps."""
    steps, wishes = [], []
    for _ in range(story.rng.randint(1, max_steps)):
        change = _draw_change(story)
        wishes.append(f"{abs(change)} {'more' if change > 0 else 'less'}")
        steps.append(f"{story.person} {_apply(story, change)}")
    asked = f"How many {story.things} would {story.person} have now with {' and '.join(wishes)}?"
    story.sentences.append(_Sentence(asked))
    return " , ".join(steps)


def _draw_change(story: _Story) -> int:
    """A gain or loss that keeps the count in its bounds."""
    while True:
        change = story.rng.randint(1, story.options.max_change) * story.rng.choice((-1, 1))
        if 0 <= story.count + change <= story.options.max_count:
            return change


def _apply(story: _Story, change: int) -> str:
    """Change the count; return the step."""
    before, story.count = story.count, story.count + change
    return f"{before} {_signed(change)} = {story.count}"


def _signed(change: int) -> str:
    return f"{'+' if change > 0 else '-'} {abs(change)}"


def _weights(styles: str) -> dict[str, float]:
    """``eager:2,lazy:1`` as a table."""
    try:
        pairs = (pair.split(":") for pair in styles.split(","))
        weights = {name: float(weight) for name, weight in pairs}
    except ValueError:
        weights = {}
    if not set(weights) <= set(STYLES) or sum(weights.values()) <= 0 or min(weights.values()) < 0:
        expected = f"weights such as 'eager:2,lazy:1' of {', '.join(STYLES)}"
        raise BuildError(f"--styles: got {styles!r}; expected {expected}.")
    return weights


def _trace(story: _Story, style: str, deep: str) -> tuple[tuple[str, ...], str]:
    """Thoughts and deep reasoning in one style."""
    sentences = story.sentences
    all_steps = " , ".join(filter(None, [*(sentence.step for sentence in sentences), deep]))
    if style == "lazy":
        return tuple(sentence.note or sentence.redundant for sentence in sentences), all_steps
    thoughts = tuple(sentence.step or sentence.redundant for sentence in sentences)
    return thoughts, all_steps if style == "redundant" else deep
