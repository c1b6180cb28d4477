"""The ledger: short stories in which people get, lose and hand over things, told in 6 to 12 sentences.

    python -m data_builders ledger --train-count 20000 --test-count 500 --seed 0 --out data/tiny

Everything is drawn from one seed, so gold answers and traces are exact. Train and test are disjoint by construction:
a story is told about the names of one split of the group key (see ``_split_of``). In a share of the episodes
(``--deep-share``) the question is only asked by the last sentence and needs several people's counts: such an episode
cannot be finished while reading. Traces come in three styles, so that reinforcement learning has something to learn:
eager (each event is worked out at once), lazy (events are only noted, the work is left to the deep part), and
redundant (eager, and the deep part does all of it again).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from adasr_trl.episode import AnswerType, Episode, Source

NAME = "ledger"
LICENCE = "Apache-2.0"
REVISION = "1"

PEOPLE = ("Tom", "Ann", "Bob", "Eva", "Max", "Ida", "Leo", "Mia")
THINGS = ("apples", "coins", "books", "cards")
FILLERS = (
    "It rains all morning.",
    "{a} wears a red hat.",
    "{a} talks to {b} for a while.",
    "The sun is warm today.",
    "{a} sits down under a tree.",
    "{a} sings a song.",
    "Nobody looks at the clock.",
    "{a} and {b} wave to a friend.",
)
LAST_QUESTION = "Do what the last sentence asks."
MOST = 20  # no count ever exceeds it


@dataclass
class _Story:
    """A story in the making: sentences, and for each the steps that it makes possible."""

    rng: random.Random
    people: tuple[str, ...]
    things: str
    counts: dict[str, int] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def tell(self, sentence: str, note: str = "", step: str = "") -> None:
        self.sentences.append(sentence)
        self.notes.append(note)
        self.steps.append(step)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The ledger's difficulty knobs."""
    parser.add_argument("--train-count", type=int, default=20000, help="training episodes")
    parser.add_argument("--test-count", type=int, default=500, help="test episodes")
    parser.add_argument("--people", type=int, default=3, help="people in a story (2 to 6)")
    parser.add_argument("--min-events", type=int, default=3, help="fewest changes of a count")
    parser.add_argument("--max-events", type=int, default=5, help="most changes of a count")
    parser.add_argument("--max-fillers", type=int, default=3, help="most sentences without a fact")
    parser.add_argument("--deep-share", type=float, default=0.4, help="share asked at the end only")
    parser.add_argument(
        "--styles", default="eager:2,lazy:1,redundant:2", help="weights of the trace styles"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn")


def build(options: argparse.Namespace) -> Iterator[Episode]:
    """Train episodes, then test episodes; no story stands in both."""
    seen: set[tuple[str, ...]] = set()
    for split, count in (("test", options.test_count), ("train", options.train_count)):
        made, attempt = 0, 0
        while made < count:
            rng = random.Random(f"{options.seed}/{split}/{attempt}")
            attempt += 1
            episode = _episode(rng, options, split, made)
            if episode.chunks not in seen:
                seen.add(episode.chunks)
                made += 1
                yield episode


def _episode(rng: random.Random, options: argparse.Namespace, split: str, index: int) -> Episode:
    story = _tell(rng, options)
    asked_last = rng.random() < options.deep_share
    who = rng.choice(story.people)
    if asked_last:
        last, deep, answer = _combined_question(story)
        story.tell(last)
        question = LAST_QUESTION
    else:
        question = f"How many {story.things} does {who} have at the end?"
        deep, answer = "", story.counts[who]
    names, weights = zip(*(pair.split(":") for pair in options.styles.split(",")), strict=True)
    style = rng.choices(names, [float(weight) for weight in weights])[0]
    thoughts, deep = _trace(story, None if asked_last else who, style, deep)
    key = f"{NAME}-{split}-{index}"
    return Episode(
        id=key,
        group=key,
        question=question,
        chunks=tuple(("" if k == 0 else " ") + s for k, s in enumerate(story.sentences)),
        answer=str(answer),
        answer_type=AnswerType.NUMBER,
        source=Source(NAME, REVISION, LICENCE, split),
        thoughts=thoughts,
        deep=deep,
        tags=("deep",) if asked_last else ("shallow",),
    )


def _tell(rng: random.Random, options: argparse.Namespace) -> _Story:
    story = _Story(rng, tuple(rng.sample(PEOPLE, options.people)), rng.choice(THINGS))
    for person in story.people:
        count = rng.randint(2, 9)
        story.counts[person] = count
        fact = f"{person} {count}"
        story.tell(f"{person} has {count} {story.things}.", fact, fact)
    kinds = ["event"] * rng.randint(options.min_events, options.max_events)
    kinds += ["filler"] * rng.randint(0, options.max_fillers)
    rng.shuffle(kinds)
    for kind in kinds:
        if kind == "event":
            _event(story)
        else:
            a, b = rng.sample(story.people, 2)
            story.tell(rng.choice(FILLERS).format(a=a, b=b))
    return story


def _event(story: _Story) -> None:
    rng, counts = story.rng, story.counts
    who, other = rng.sample(story.people, 2)
    amount = rng.randint(1, 6)
    kind = rng.choice(("gain", "lose", "give"))
    if kind == "gain" or counts[who] < amount:
        amount = min(amount, MOST - counts[who])
    if kind == "give":
        amount = min(amount, MOST - counts[other])
    if amount <= 0:
        return _event(story)
    if kind == "gain" or counts[who] < amount:
        verb = rng.choice(("buys", "finds", "gets"))
        step = _change(counts, who, amount)
        story.tell(f"{who} {verb} {amount} more {story.things}.", f"{who} + {amount}", step)
    elif kind == "lose":
        verb = rng.choice(("loses", "sells", "drops"))
        step = _change(counts, who, -amount)
        story.tell(f"{who} {verb} {amount} {story.things}.", f"{who} - {amount}", step)
    else:
        step = f"{_change(counts, who, -amount)} , {_change(counts, other, amount)}"
        note = f"{who} - {amount} , {other} + {amount}"
        story.tell(f"{who} gives {amount} {story.things} to {other}.", note, step)
    return None


def _change(counts: dict[str, int], who: str, amount: int) -> str:
    before = counts[who]
    counts[who] += amount
    return f"{who} : {before} {'+' if amount > 0 else '-'} {abs(amount)} = {who} {counts[who]}"


def _combined_question(story: _Story) -> tuple[str, str, int]:
    """A question that only the last sentence asks: (sentence, deep reasoning, answer)."""
    rng, counts = story.rng, story.counts
    a, b = rng.sample(story.people, 2)
    if rng.random() < 0.5:
        total = counts[a] + counts[b]
        sentence = f"How many {story.things} do {a} and {b} have together?"
        return sentence, f"{a} {counts[a]} + {b} {counts[b]} = {total}", total
    if counts[a] < counts[b]:
        a, b = b, a
    more = counts[a] - counts[b]
    sentence = f"How many more {story.things} does {a} have than {b}?"
    return sentence, f"{a} {counts[a]} - {b} {counts[b]} = {more}", more


def _trace(story: _Story, who: str | None, style: str, deep: str) -> tuple[tuple[str, ...], str]:
    """Thoughts and deep reasoning in one style; about ``who`` alone, or about everybody."""
    steps = [_about(step, who) for step in story.steps]
    if style == "lazy":
        notes = [_about(note, who) for note in story.notes]
        return tuple(notes), " , ".join(part for part in (*steps, deep) if part)
    if style == "redundant":
        return tuple(steps), " , ".join(part for part in (*steps, deep) if part)
    return tuple(steps), deep


def _about(text: str, who: str | None) -> str:
    if who is None:
        return text
    return " , ".join(part for part in text.split(" , ") if part.startswith(f"{who} "))
