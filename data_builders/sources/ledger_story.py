"""One story of the ledger: who, which things, which events in which order, and the steps that they ask for.

    >>> story = draw_story("0/train/0", options, split="train")
    >>> story.sentences[0].text, story.sentences[0].steps
    ('Tom has 5 coins', ('5',))

Wording is in ``ledger_sentences``, traces and files in ``ledger``.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field

from data_builders.sources import ledger_words as words
from data_builders.sources.ledger_questions import ask, ask_again, wish
from data_builders.sources.ledger_sentences import Event, Kind, Person, Teller

UNKNOWN = "unknown"  # thought and answer where nobody can know the count
NO_CHANGE = "no change , this does not matter"

_KINDS = {  # of events by the sign of their change, with weights
    1: ((Kind.ACT, 10), (Kind.FROM, 3), (Kind.GIVEN, 3), (Kind.FOR, 2), (Kind.ITSELF, 1)),
    -1: ((Kind.ACT, 10), (Kind.TO, 4), (Kind.TAKEN, 2), (Kind.ITSELF, 4)),
}
_VERBS = {
    (Kind.ACT, 1): words.GAINS,
    (Kind.ACT, -1): words.LOSSES,
    (Kind.FROM, 1): words.GETS_FROM,
    (Kind.GIVEN, 1): words.GIVES,
    (Kind.FOR, 1): words.GETS_FOR,
    (Kind.ITSELF, 1): words.COMES,
    (Kind.TO, -1): words.GIVES,
    (Kind.TAKEN, -1): (*words.GETS_FROM, *words.TAKES_OF),
    (Kind.ITSELF, -1): words.GOES,
}
_SECOND = 0.08  # share of events with a second one in their sentence
_ALL = 0.04  # share of losses that take everything
_INVENTED = 0.15  # share of people and things with an invented name
_ROLE = 0.1  # share of people without a name
_FIRST_PERSON = 0.05  # share of stories that are told by their person
_CONTAINER = 0.12  # share of first counts in a basket or the like
_LATE_START = 0.15  # share of stories that begin with somebody else
_PLACE = 0.07  # share of stories about a place whose things belong to nobody
_OUTSIDER = 0.15  # share of other people without a name who are told of once
_ASKED_AGAIN = 0.15  # share of stories that end with their question


@dataclass(frozen=True)
class Sentence:
    """A sentence without its stop, and the thoughts that traces may have about it."""

    text: str
    notes: tuple[str, ...] = ()  # the events alone, such as "+ 3"
    steps: tuple[str, ...] = ()  # the events worked out, such as "5 + 3 = 8"
    redundant: str = ""  # a thought without use, on a distractor
    event: Event | None = None  # the first event of the counted things that it tells


@dataclass
class Story:
    """A story in the making."""

    rng: random.Random  # decides the story
    trace_rng: random.Random  # decides its thoughts, so that these never change the story
    options: argparse.Namespace  # the knobs
    teller: Teller  # words it
    others: tuple[Person, ...]  # people of the distractors and receivers
    count: int | None = 0  # things so far; None where nobody can know it
    question: str = ""  # asked before the story
    deep: tuple[str, ...] = ()  # steps that the last sentence asks for
    tags: tuple[str, ...] = ()  # kinds of the story
    sentences: list[Sentence] = field(default_factory=list)
    to_correct: list[Event] = field(default_factory=list)  # the wrong events

    def apply(self, change: int | None, *, back: int | None = None) -> tuple[str, str]:
        """Change the count, first taking ``back`` out; return note and step."""
        before = self.count
        if change is None or before is None:
            self.count = None
            return UNKNOWN, UNKNOWN
        taken = "" if back is None else f"{signed(-back)} "
        self.count = before + change - (back or 0)
        note = f"{taken}{signed(change)}"
        return note, f"{before} {note} = {self.count}"

    def tell(self, text: str, *pairs: tuple[str, str], event: Event | None = None) -> None:
        """Add a sentence with the notes and steps of its events."""
        notes, steps = (tuple(parts) for parts in zip(*pairs, strict=True)) if pairs else ((), ())
        self.sentences.append(Sentence(text, notes, steps, event=event))


def draw_story(key: str, options: argparse.Namespace, split: str) -> Story:
    """The story that a key decides; the test split has people whose names training never sees."""
    rng, trace_rng = random.Random(key), random.Random(f"{key}/trace")
    is_new = split == "test" and rng.random() < 0.5
    person = _draw_person(rng, is_new=is_new)
    if not is_new and rng.random() < _FIRST_PERSON:
        person = Person("I", "I")
    if not is_new and options.wording == "plain" and rng.random() < _PLACE:
        at = rng.choice(sorted(words.POOLS))
        person = Person(f"the {rng.choice(words.POOLS[at])}", "", at=at)
    thing = _draw_thing(rng)
    others = tuple(_draw_other(rng, person) for _ in range(2))
    teller = Teller(rng, person, thing, turned=options.wording == "turned")
    story = Story(rng, trace_rng, options, teller, others)
    is_first, container = _draw_sentences(story)
    story.question = ask(teller, container, is_first=is_first)
    needs_deep = rng.random() < options.deep_share and not person.at
    story.tags = ("deep" if needs_deep else "shallow", *(("new name",) if is_new else ()))
    if needs_deep:
        _ask_last(story)
    is_for_another = rng.random() < options.unknown / 3 and _ask_for_another(story)
    if not is_for_another and not needs_deep and rng.random() < _ASKED_AGAIN:
        story.sentences.append(Sentence(ask_again(teller, story.question)))
    if story.count is None:
        story.tags += (UNKNOWN,)
    return story


def _draw_sentences(story: Story) -> tuple[bool, str]:
    """The story but for its last question; return whether the person comes first, and a container of the things."""
    rng, options = story.rng, story.options
    kinds = [_add_event] * rng.randint(options.min_events, options.max_events)
    kinds += [_add_distractor] * rng.randint(options.min_others, options.max_others)
    rng.shuffle(kinds)
    if kinds and rng.random() < options.unknown:
        kinds[rng.randrange(len(kinds))] = _add_unknown
    if is_late := rng.random() < _LATE_START and _add_distractor in kinds:
        kinds.remove(_add_distractor)
        _add_distractor(story)
    container = rng.choice(words.CONTAINERS) if rng.random() < _CONTAINER else ""
    story.count = rng.randint(0 if rng.random() < 0.1 else 1, options.max_count)
    first = str(story.count)
    story.tell(story.teller.start(story.count, container), (first, first))
    for add_sentence in kinds:
        wrong_before = len(story.to_correct)
        add_sentence(story)
        if len(story.to_correct) > wrong_before and rng.random() < 0.4:
            _correct(story, story.to_correct.pop(), at_once=True)
        elif story.to_correct and rng.random() < 0.4:
            _correct(story, story.to_correct.pop(0), at_once=False)
    for event in story.to_correct:
        _correct(story, event, at_once=False)
    return not is_late, container


def _draw_person(rng: random.Random, *, is_new: bool = False) -> Person:
    pronoun = rng.choice(("she", "he"))
    if is_new:
        return Person(rng.choice(words.NEW_WOMEN if pronoun == "she" else words.NEW_MEN), pronoun)
    if rng.random() < _ROLE:
        kind = rng.choice((pronoun, "", "", "it"))
        return Person(rng.choice(words.ROLES[kind]), kind or pronoun)
    if rng.random() < _INVENTED:
        return Person(invented(rng).capitalize(), pronoun)
    return Person(rng.choice(words.WOMEN if pronoun == "she" else words.MEN), pronoun)


def _draw_other(rng: random.Random, person: Person) -> Person:
    if rng.random() < 0.3 and not person.at:
        is_many = rng.random() < 0.25
        return Person(rng.choice(words.KIN_MANY if is_many else words.KIN), "", person, is_many)
    if rng.random() < _OUTSIDER:
        is_many = rng.random() < 0.5
        names = words.OUTSIDERS_MANY if is_many else words.OUTSIDERS
        return Person(rng.choice(names), "", is_many=is_many)
    while (other := _draw_person(rng)).name == person.name:
        pass
    return other


def _draw_thing(rng: random.Random) -> str:
    return invented(rng) if rng.random() < _INVENTED / 2 else rng.choice(words.THINGS)


def invented(rng: random.Random) -> str:
    """A word that no list has."""
    syllables = "".join(rng.choices(words.SYLLABLES, k=rng.randint(2, 3)))
    word = syllables + rng.choice(("", rng.choice(words.SYLLABLE_ENDS)))
    return invented(rng) if words.is_known(word) else word


def _draw_event(story: Story, change: int, *, alone: bool = False) -> Event:
    rng, sign = story.rng, 1 if change > 0 else -1
    kinds, weights = zip(*_KINDS[sign], strict=True)
    if story.teller.person.at:
        kind = rng.choices((Kind.TAKEN, Kind.ITSELF), (5, 1))[0]
        if kind is Kind.TAKEN:
            verb = rng.choice(words.POOL_PUTS if change > 0 else words.POOL_TAKES)
            return Event(kind, verb, change, rng.choice(story.others))
        return Event(kind, rng.choice(_VERBS[kind, sign]), change)
    kind = Kind.ACT if alone else rng.choices(kinds, weights)[0]
    if kind is Kind.ITSELF and not story.teller.topic_is_person:
        kind = Kind.ACT
    other = rng.choice(story.others) if kind not in (Kind.ACT, Kind.ITSELF) else None
    return Event(kind, rng.choice(_VERBS[kind, sign]), change, other)


def _add_event(story: Story) -> None:
    rng, teller = story.rng, story.teller
    change = _draw_change(story)
    if change is None:
        change = rng.choice((-1, 1)) * rng.randint(1, story.options.max_change)
    event = _draw_event(story, change)
    if story.count and 1 < story.count <= story.options.max_change and rng.random() < _ALL:
        loss = rng.choice(words.LOSSES)
        event = Event(Kind.ACT, loss, -story.count, amount="all")
        if teller.person.at:
            taken = rng.choice(words.POOL_TAKES)
            event = Event(Kind.TAKEN, taken, -story.count, rng.choice(story.others), "all")
    text, pairs = teller.event(event), [story.apply(event.change)]
    is_wrong = story.count is not None and rng.random() < story.options.corrections
    if is_wrong and not event.amount:
        story.to_correct.append(event)
    elif rng.random() < _SECOND and (more := _draw_change(story)) is not None and not event.amount:
        if event.kind is Kind.ACT and not teller.turned:
            second = _draw_event(story, more, alone=True)
            text += teller.second(second)
            pairs.append(story.apply(more))
        elif event.kind is Kind.TO and more < 0:
            text += teller.to_another(Event(Kind.TO, event.verb, more, rng.choice(story.others)))
            pairs.append(story.apply(more))
    story.tell(text, *pairs, event=event)


def _correct(story: Story, event: Event, *, at_once: bool) -> None:
    """Correct a wrong event to another amount, if any keeps the count in its bounds."""
    wrong = event.change or 0
    sign = 1 if wrong > 0 else -1
    amounts = [n * sign for n in range(1, story.options.max_change + 1) if n * sign != wrong]
    top = story.options.max_count
    fitting = [new for new in amounts if 0 <= (story.count or 0) - wrong + new <= top]
    is_tellable = at_once or event.kind is not Kind.ITSELF or story.teller.topic_is_person
    if story.count is None or not fitting or not is_tellable:
        return
    new = Event(event.kind, event.verb, story.rng.choice(fitting), event.other)
    told = story.teller.corrected(new, abs(wrong), at_once=at_once)
    story.tell(told, story.apply(new.change, back=wrong))


def _add_unknown(story: Story) -> None:
    """An amount that nobody can know, or a verb that nobody knows."""
    rng = story.rng
    if rng.random() < 0.5 or story.teller.person.at:
        event = _draw_event(story, rng.choice((-1, 1)))
        amount = rng.choice(words.VAGUE)
        if event.kind is Kind.TAKEN and not story.teller.person.at:  # "some of his coins"
            amount = rng.choice(("some", "a few", "several", "many"))
        event = Event(event.kind, event.verb, None, event.other, amount)
    else:
        event = Event(Kind.ACT, invented(rng), None, amount=str(rng.randint(2, 9)))
    story.tell(story.teller.event(event), story.apply(None))


def _add_distractor(story: Story) -> None:
    has_thought = story.trace_rng.random() < story.options.chatter
    story.sentences.append(Sentence(_distractor(story), redundant=NO_CHANGE if has_thought else ""))


def _distractor(story: Story) -> str:
    """A sentence that leaves the count as it is."""
    rng, teller, person = story.rng, story.teller, story.teller.person
    other = rng.choice(story.others)
    count = rng.randint(1, max(2, story.options.max_change))
    another_thing = _another_thing(story)
    thing = another_thing if person.at else rng.choice((teller.thing, another_thing))
    somebody = other if person.at else rng.choice((person, other))
    gains = rng.random() < 0.5
    verb = rng.choice(words.GAINS if gains else words.LOSSES)
    act = Event(Kind.ACT, verb, count if gains else -count)
    kinds = ("act", "has", "own", "idle", "weather", "keep", "denied", "passed", "for")
    kind = rng.choices(kinds, (8, 3, 7, 2, 2, 2, 1, 2, 1))[0]
    if kind == "act":
        return teller.act(other, act, thing)
    if kind == "has":
        return teller.has(other, count, thing)
    if kind == "own":
        event = _draw_event(story, act.change or 1)
        if event.kind is not Kind.ITSELF:
            return teller.event(event, another_thing)
    if kind == "keep":
        return teller.keep(somebody, count, thing)
    if kind == "denied":
        return teller.denied(somebody, verb, count, thing)
    if kind == "passed" and story.others[0] != story.others[1]:
        verb = rng.choice(words.GIVES)
        return teller.passed(story.others[0], story.others[1], Event(Kind.TO, verb, -count), thing)
    if kind == "for" and not person.at:
        event = Event(Kind.FOR, rng.choice(words.GETS_FOR), count)
        return teller.passed(person, other, event, thing)
    if kind == "idle" and rng.random() < 0.25:
        return teller.habit(somebody, thing)
    return teller.weather() if kind == "weather" else teller.idle(somebody)


def _ask_last(story: Story) -> None:
    """Add a last sentence that alone says what to do with the count."""
    events = []
    for _ in range(story.rng.randint(1, story.options.max_deep_steps)):
        change = _draw_change(story)
        known = 1 if change is None else change
        events.append(_draw_event(story, known, alone=True))
        _, step = story.apply(change)
        story.deep += (step,) if story.count is not None else ()
    story.sentences.append(Sentence(wish(story.teller, events)))


def _ask_for_another(story: Story) -> bool:
    """Ask for things of which the story says nothing: nobody can know their count. Return whether it could."""
    things = {*words.THINGS} - {story.teller.thing}
    asked = Teller(story.rng, story.teller.person, story.rng.choice(sorted(things)))
    text = " ".join(sentence.text for sentence in story.sentences)
    if asked.thing in text or asked.things in text:
        return False
    story.question, story.count, story.deep = ask(asked, "", is_first=False), None, ()
    story.sentences = [Sentence(sentence.text) for sentence in story.sentences]
    return True


def _another_thing(story: Story) -> str:
    return story.rng.choice([thing for thing in words.THINGS if thing != story.teller.thing])


def _draw_change(story: Story) -> int | None:
    """A gain or loss that keeps the count in its bounds; None where nobody knows the count."""
    while story.count is not None:
        change = story.rng.randint(1, story.options.max_change) * story.rng.choice((-1, 1))
        if 0 <= story.count + change <= story.options.max_count:
            return change
    return None


def signed(change: int) -> str:
    """A change as notes have it: ``+ 3``."""
    return f"{'+' if change > 0 else '-'} {abs(change)}"
