"""The ledger: short stories of what happens to one person's things, told in as many sentences as the knobs say.

    python -m data_builders ledger --train-count 20000 --test-count 500 --seed 0 --out data/tiny

    Follow Tom's coins, then do what the last sentence asks.
    Tom has 5 coins. Ann finds 3 more coins. Tom buys 3 more coins.
    How many coins would Tom have now with 2 less?

Everything is drawn from one seed, so gold answers and traces are exact; no story of the test set is in the training
set. What other people do, and the weather, need no thought. In a share of the episodes (``--deep-share``) only the last
sentence says what to do with the count: they cannot be finished while reading, so they need deep work. An event may
turn out to have been told wrong (``--corrections``): a later sentence puts it right.

    Tom finds 3 more coins. It rains a lot. Tom finds 2 coins, not 3.

Traces come in three styles, so that reinforcement learning has something to learn, and phases fail apart: eager (each
event is worked out at once), lazy (events are only noted, the deep part does the work) and redundant (eager, and the
deep part does all of it again). With ``--chatter`` some thoughts are of no use: they say that nothing changed. The
family ``--wording turned`` tells the same in another order of words, for testing.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from adasr_trl.core.episode import AnswerType, Episode, Source
from data_builders.errors import BuildError
from data_builders.rows.inputs import Numbers
from data_builders.rows.row import Row
from data_builders.rows.span import Rows

NAME = "ledger"
LICENCE = "Apache-2.0"
REVISION = "2"

PEOPLE = ("Tom", "Ann", "Bob", "Eva", "Max", "Ida")
THINGS = ("apples", "coins", "books", "cards")
FILLERS = ("It rains a lot", "{other} wears a red hat", "{other} sings a song", "The days are long")
GAINS = ("buys", "finds", "gets")
LOSSES = ("loses", "sells", "drops")


@dataclass(frozen=True)
class _Told:
    """A sentence, and what traces think about it: a note, a step of work, or chatter of no use."""

    sentence: str
    note: str = ""
    step: str = ""
    chatter: str = ""


@dataclass
class _Story:
    """A story in the making; ``trace_rng`` decides how it is thought about, so that this never changes the story."""

    rng: random.Random
    trace_rng: random.Random
    options: argparse.Namespace
    who: str
    other: str
    things: str
    count: int = 0
    sentences: list[_Told] = field(default_factory=list)
    wrong: list[tuple[str, int]] = field(default_factory=list)  # verbs and changes told wrong

    def tell(self, happening: str, note: str, step: str) -> None:
        self.sentences.append(_Told(f"{happening}.", f"{self.who} {note}", f"{self.who} {step}"))

    def tell_beside(self, happening: str) -> None:
        """A sentence beside the matter, which a chatty trace thinks about all the same."""
        chatty = self.trace_rng.random() < self.options.chatter
        chatter = f"no change for {self.who} , this does not matter" if chatty else ""
        self.sentences.append(_Told(f"{happening}.", chatter=chatter))

    def told(self, who: str, verb: str, amount: str) -> str:
        """One happening in the family's wording."""
        turned = self.options.wording == "turned"
        return f"{amount} {who} {verb}" if turned else f"{who} {verb} {amount}"

    def amount_of(self, amount: int, *, more: bool = False) -> str:
        things = self.things if amount != 1 else self.things[:-1]
        return f"{amount} more {things}" if more else f"{amount} {things}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The ledger's difficulty knobs."""
    parser.add_argument("--train-count", type=int, default=20000, help="training episodes")
    parser.add_argument("--test-count", type=int, default=500, help="test episodes")
    parser.add_argument("--min-events", type=int, default=3, help="fewest changes of the count")
    parser.add_argument("--max-events", type=int, default=6, help="most changes of the count")
    parser.add_argument(
        "--min-others", type=int, default=2, help="fewest sentences beside the matter"
    )
    parser.add_argument(
        "--max-others", type=int, default=4, help="most sentences beside the matter"
    )
    parser.add_argument(
        "--corrections", type=float, default=0.0, help="share of events that are put right later"
    )
    parser.add_argument(
        "--chatter", type=float, default=0.0, help="share of useless thoughts beside the matter"
    )
    parser.add_argument("--max-count", type=int, default=20, help="no count ever exceeds it")
    parser.add_argument("--max-change", type=int, default=6, help="most things in one event")
    parser.add_argument("--wording", default="plain", help="plain, or turned: another word order")
    parser.add_argument("--deep-share", type=float, default=0.4, help="share that needs deep work")
    parser.add_argument("--max-deep-steps", type=int, default=2, help="steps that the end asks for")
    parser.add_argument(
        "--styles", default="eager:2,lazy:1,redundant:3", help="weights of the trace styles"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn")


def open_rows(options: argparse.Namespace) -> Rows:
    """One row: stories are drawn in turn, so that none is told twice."""
    del options
    return Numbers(NAME, 1)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Episode]:
    """All stories."""
    del row
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
    for name in ("train_count", "test_count", "min_events", "min_others", "max_deep_steps"):
        lowest = 1 if name in ("train_count", "max_deep_steps") else 0
        if getattr(options, name) < lowest:
            raise _refusal(name, getattr(options, name), f"{lowest} or more")
    for name, lowest in (("max_count", 2), ("max_change", 1)):
        if getattr(options, name) < lowest:
            raise _refusal(name, getattr(options, name), f"{lowest} or more")
    for name in ("events", "others"):
        least, most = getattr(options, f"min_{name}"), getattr(options, f"max_{name}")
        if most < least:
            raise _refusal(f"max_{name}", most, f"min_{name} ({least}) or more")
    for name in ("deep_share", "corrections", "chatter"):
        if not 0 <= getattr(options, name) <= 1:
            raise _refusal(name, getattr(options, name), "0 to 1")
    if options.wording not in ("plain", "turned"):
        raise _refusal("wording", options.wording, "plain or turned")
    _weights(options.styles)


def _refusal(name: str, got: object, expected: str) -> BuildError:
    return BuildError(f"--{name.replace('_', '-')}: got {got!r}; expected {expected}.")


def _episode(key: str, options: argparse.Namespace, name: str, split: str) -> Episode:
    rng, trace_rng = random.Random(key), random.Random(f"{key}/trace")
    story = _tell(rng, trace_rng, options)
    question = f"How many {story.things} does {story.who} have at the end?"
    deep, needs_deep = "", rng.random() < options.deep_share
    if needs_deep:
        question = f"Follow {story.who}'s {story.things}, then do what the last sentence asks."
        deep = _ask_last(story, options.max_deep_steps)
    thoughts, deep = _trace(story, _style(trace_rng, options.styles), deep)
    return Episode(
        id=name,
        group=name,
        question=question,
        chunks=tuple(" " * (k > 0) + each.sentence for k, each in enumerate(story.sentences)),
        answer=str(story.count),
        answer_type=AnswerType.NUMBER,
        source=Source(NAME, REVISION, LICENCE, split),
        thoughts=thoughts,
        deep=deep,
        tags=("deep",) if needs_deep else ("shallow",),
    )


def _tell(rng: random.Random, trace_rng: random.Random, options: argparse.Namespace) -> _Story:
    who, other = rng.sample(PEOPLE, 2)
    things, count = rng.choice(THINGS), rng.randint(2, min(9, options.max_count))
    story = _Story(rng, trace_rng, options, who, other, things, count)
    story.tell(f"{who} has {story.amount_of(story.count)}", str(story.count), str(story.count))
    kinds = ["event"] * rng.randint(options.min_events, options.max_events)
    kinds += ["other"] * rng.randint(options.min_others, options.max_others)
    rng.shuffle(kinds)
    for kind in kinds:
        if kind == "event":
            _event(story)
        else:
            _beside_the_matter(story)
        if story.wrong and rng.random() < 0.5:
            _put_right(story)
    while story.wrong:
        _put_right(story)
    return story


def _event(story: _Story) -> None:
    change = _draw_change(story)
    verb = story.rng.choice(GAINS if change > 0 else LOSSES)
    amount = story.amount_of(abs(change), more=change > 0)
    story.tell(story.told(story.who, verb, amount), _signed(change), _step(story, change))
    if story.rng.random() < story.options.corrections:
        story.wrong.append((verb, change))


def _put_right(story: _Story) -> None:
    """The oldest event told wrong has another amount, if any keeps the count in its bounds."""
    verb, change = story.wrong.pop(0)
    sign = 1 if change > 0 else -1
    others = [n * sign for n in range(1, story.options.max_change + 1) if n * sign != change]
    fitting = [new for new in others if 0 <= story.count - change + new <= story.options.max_count]
    if not fitting:
        return
    new = story.rng.choice(fitting)
    amount = f"{story.amount_of(abs(new))}, not {abs(change)}"
    before, story.count = story.count, story.count - change + new
    work = f"{_signed(-change)} {_signed(new)}"
    story.tell(story.told(story.who, verb, amount), work, f"{before} {work} = {story.count}")


def _beside_the_matter(story: _Story) -> None:
    rng = story.rng
    if rng.random() < 0.5:
        verb = rng.choice(GAINS + LOSSES)
        amount = story.amount_of(rng.randint(1, story.options.max_change), more=verb in GAINS)
        story.tell_beside(story.told(story.other, verb, amount))
    else:
        story.tell_beside(rng.choice(FILLERS).format(other=story.other))


def _ask_last(story: _Story, max_steps: int) -> str:
    """Add a last sentence that alone says what to do with the count; return the steps."""
    steps, wishes = [], []
    for _ in range(story.rng.randint(1, max_steps)):
        change = _draw_change(story)
        wishes.append(f"{abs(change)} {'more' if change > 0 else 'less'}")
        steps.append(f"{story.who} {_step(story, change)}")
    asked = f"How many {story.things} would {story.who} have now with {' and '.join(wishes)}?"
    story.sentences.append(_Told(asked))
    return " , ".join(steps)


def _draw_change(story: _Story) -> int:
    """A gain or loss that keeps the count in its bounds."""
    while True:
        change = story.rng.randint(1, story.options.max_change) * story.rng.choice((-1, 1))
        if 0 <= story.count + change <= story.options.max_count:
            return change


def _step(story: _Story, change: int) -> str:
    before, story.count = story.count, story.count + change
    return f"{before} {_signed(change)} = {story.count}"


def _signed(change: int) -> str:
    return f"{'+' if change > 0 else '-'} {abs(change)}"


def _style(rng: random.Random, styles: str) -> str:
    weights = _weights(styles)
    return rng.choices(list(weights), list(weights.values()))[0]


def _weights(styles: str) -> dict[str, float]:
    """``eager:2,lazy:1`` as a table."""
    known = ("eager", "lazy", "redundant")
    try:
        table = {name: float(weight) for name, weight in (p.split(":") for p in styles.split(","))}
    except ValueError:
        table = {}
    if not set(table) <= set(known) or sum(table.values()) <= 0 or min(table.values()) < 0:
        raise _refusal("styles", styles, f"weights such as 'eager:2,lazy:1' of {', '.join(known)}")
    return table


def _trace(story: _Story, style: str, deep: str) -> tuple[tuple[str, ...], str]:
    """Thoughts and deep reasoning in one style."""
    everything = " , ".join(filter(None, [*(each.step for each in story.sentences), deep]))
    if style == "lazy":
        return tuple(each.note or each.chatter for each in story.sentences), everything
    thoughts = tuple(each.step or each.chatter for each in story.sentences)
    return thoughts, everything if style == "redundant" else deep
