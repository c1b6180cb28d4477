"""Sentences of the ledger: one event, many wordings.

    >>> teller = Teller(random.Random(0), tom, "coin")
    >>> teller.event(Event(Kind.ACT, "buy", 3))
    'Tom buys three more coins at the market'

A sentence has no stop and no capital at its start; the story adds them. A pronoun stands only for the topic: the last
person with a name (or role) that was a subject. Relatives ("his sister") never become the topic.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from enum import Enum

from data_builders.sources import ledger_words as words
from data_builders.sources.ledger_words import Tense, form, plural

_OBJECT = {"he": "him", "she": "her", "it": "it", "I": "me"}
_POSSESSIVE = {"he": "his", "she": "her", "it": "its", "I": "my"}
_MIXED_TENSE = 0.07  # share of sentences in the other tense
_PRONOUNS = 0.5  # share of mentions of the topic by pronoun
_ELLIPSIS = 0.5  # share of amounts without their noun, where the last noun fits
_ADJECTIVES = 0.06  # share of nouns with an adjective
_START_BY_GAIN = 0.15  # share of first counts that are told as a gain: "Tom bought 6 coins"


class Kind(Enum):
    """Form of an event."""

    ACT = "act"  # the person does it alone
    TO = "to"  # from the person to another
    FROM = "from"  # the person takes it from another
    GIVEN = "given"  # another gives it to the person
    TAKEN = "taken"  # another takes it from the person
    FOR = "for"  # another gets it for the person
    ITSELF = "itself"  # the things come or go


@dataclass(frozen=True)
class Person:
    """Someone in a story."""

    name: str  # "Tom", "the farmer", "I", "the jar", or a relation such as "sister"
    pronoun: str  # he, she, it, I, or "" for one who is never taken up
    kin: Person | None = None  # whose relative this is
    is_many: bool = False  # "friends"
    at: str = ""  # the preposition of a place whose things belong to nobody


@dataclass(frozen=True)
class Event:
    """A change of the count, without its wording."""

    kind: Kind
    verb: str  # its base form
    change: int | None  # None: nobody can know it
    other: Person | None = None  # the other person, if any
    amount: str = ""  # words in place of the number, such as "some"


@dataclass
class Teller:
    """Words a story, one sentence after another."""

    rng: random.Random
    person: Person  # whose things are counted
    thing: str  # in the singular
    turned: bool = False  # "3 more coins Tom finds"

    def __post_init__(self) -> None:
        """Draw the style of the story."""
        self.tense: Tense = self.rng.choice(("present", "present", "past"))
        self._words_share = self.rng.choice((0.0, 0.0, 0.5, 1.0))  # of numbers as words
        self._topic: Person | None = None
        self._last_thing = ""  # what "3 more" or "of them" stands for

    def afresh(self, rng: random.Random) -> Teller:
        """One of the same style that has told nothing yet: it names persons and things in full."""
        teller = copy.copy(self)
        teller.rng, teller._topic, teller._last_thing = rng, None, ""
        return teller

    # ---- sentences

    def start(self, count: int, container: str = "") -> str:
        """The first count."""
        owner, thing, rng = self.person, self.thing, self.rng
        if owner.at:
            place, there = f"{owner.at} {owner.name}", self._be(count)
            amount = self.amount(count, thing)
            turned = f"{amount} {there} {place}" if count else f"there {there} {amount} {place}"
            return rng.choice(
                (f"there {there} {amount} {place}", f"{place} there {there} {amount}", turned)
            )
        if container:
            place = f"{self.possessive(owner)} {container}"
            self._topic = owner
            there = self._be(count)
            amount = self.amount(count, thing)
            return rng.choice(
                (
                    f"there {there} {amount} in {place}",
                    f"in {place} there {there} {amount}",
                    f"{place} {form('hold', self._tense())} {amount}",
                    f"{amount} {there} in {place}",
                )
            )
        if count > 0 and not self.turned and rng.random() < _START_BY_GAIN:
            gain = Event(Kind.ACT, rng.choice(words.FIRST_GAINS), count)
            return self.act(owner, gain, thing)
        subject, tense = self.subject(owner), self._tense()
        verb = rng.choice(("have",) * 6 + ("own", "start with", "begin with", "have got"))
        lead = rng.choice(("",) * 5 + words.OPENINGS)
        told = f"{subject} {self.verb_form(verb, owner, tense)} {self.amount(count, thing)}"
        if rng.random() < 0.06:
            told += f" and {self.amount(rng.randint(1, 9), self._other_thing())}"
        return (
            f"{lead} {told}".strip() if rng.random() < 0.7 else f"{told} {lead.strip(',')}".strip()
        )

    def event(self, event: Event, thing: str = "") -> str:
        """An event about the counted things, or about others."""
        thing = thing or self.thing
        if event.kind is Kind.ITSELF:
            return self._itself(event, thing)
        if self.person.at and event.other is not None:
            return self._at_place(event.other, event, thing)
        if event.kind is Kind.ACT:
            return self.act(self.person, event, thing)
        assert event.other is not None
        if event.kind is Kind.TAKEN and event.verb in words.TAKES_OF:
            return self._taken(event.other, event, thing)
        if event.kind in (Kind.TO, Kind.FROM):
            return self.passed(self.person, event.other, event, thing)
        return self.passed(event.other, self.person, event, thing)

    def act(self, person: Person, event: Event, thing: str) -> str:
        """Somebody's own doing."""
        subject = self.subject(person)
        more = event.verb in words.GAINS and self.rng.random() < 0.4
        told = event if person is self.person else abs(event.change or 0)  # "of them": the person's
        amount = self.amount(told, thing, more=more)
        verb = self.verb_form(event.verb, person, self._tense())
        if self.turned:
            return f"{amount} {subject} {verb}"
        word, _, particle = verb.partition(" ")
        if particle in words.PARTICLES and self.rng.random() < 0.4:  # "throws 3 of them away"
            return self._framed(f"{subject} {word} {amount} {particle}", "")
        return self._framed(f"{subject} {verb} {amount}", self._tail(event.verb))

    def second(self, event: Event) -> str:
        """The rest of a sentence with the same subject: "and loses 2"."""
        verb = self.verb_form(event.verb, self.person, self.tense)
        joiner = self.rng.choice((" and", " and then", ", then", ", and", " but"))
        return f"{joiner} {verb} {self.amount(event, self.thing)}"

    def to_another(self, event: Event) -> str:
        """The rest of a sentence with the same giving: "and 3 to his friend"."""
        assert event.other is not None
        return f" and {self.amount(event, self.thing)} to {self.object(event.other)}"

    def has(self, person: Person, count: int, thing: str) -> str:
        """Somebody else's count."""
        if self.rng.random() < 0.2 and person.pronoun:
            container = self.rng.choice(words.CONTAINERS)
            place = f"{self.possessive(person)} {container}"
            self._topic = person
            return f"there {self._be(count)} {self.amount(count, thing)} in {place}"
        subject, tense = self.subject(person), self._tense()
        verb = self.verb_form(self.rng.choice(("have", "have", "own")), person, tense)
        return f"{subject} {verb} {self.amount(count, thing)}"

    def passed(self, subject: Person, other: Person, event: Event, thing: str) -> str:
        """Things that pass from one to the other."""
        rng, told = self.rng, self.subject(subject)
        is_own = self.person in (subject, other)  # "of them": the person's
        moved = event if is_own else abs(event.change or 0)
        verb = self.verb_form(event.verb, subject, self._tense())
        gains = event.kind in (Kind.GIVEN, Kind.FOR) and rng.random() < 0.3
        is_direct = event.verb in words.GIVES_TWO or event.kind is Kind.FOR
        if is_direct and event.kind in (Kind.TO, Kind.GIVEN, Kind.FOR) and rng.random() < 0.5:
            receiver = self.object(other)
            clause = f"{told} {verb} {receiver} {self.amount(moved, thing, more=gains)}"
        else:
            link = {Kind.FROM: "from", Kind.TAKEN: "from", Kind.FOR: "for"}.get(event.kind, "to")
            amount = self.amount(moved, thing, more=gains)
            clause = f"{told} {verb} {amount} {link} {self.object(other)}"
        return self._framed(clause, "")

    def idle(self, person: Person) -> str:
        """Something without things."""
        subject, verb = self.subject(person), self.rng.choice(words.IDLES)
        return self._framed(f"{subject} {self.verb_form(verb, person, self._tense())}", "")

    def habit(self, person: Person, thing: str) -> str:
        """Something that tells no number: "Tom collects coins"."""
        subject, verb = self.subject(person), self.rng.choice(words.HABITS)
        return f"{subject} {self.verb_form(verb, person, self._tense())} {plural(thing)}"

    def keep(self, person: Person, count: int, thing: str) -> str:
        """Something that leaves the things where they are."""
        subject, verb = self.subject(person), self.rng.choice(words.KEEPS)
        told = f"{subject} {self.verb_form(verb, person, self._tense())}"
        if self.rng.random() < 0.5 and person.pronoun:
            return f"{told} {_POSSESSIVE[person.pronoun]} {plural(thing)}"
        return f"{told} {self.amount(count, thing, more=self.rng.random() < 0.3)}"

    def denied(self, person: Person, verb: str, count: int, thing: str) -> str:
        """Something that does not happen."""
        subject, tense = self.subject(person), self._tense()
        do = self.verb_form("do", person, tense)
        amount = self.rng.choice((f"any {plural(thing)}", self.amount(count, thing)))
        return f"{subject} {do} not {verb} {amount}"

    def weather(self) -> str:
        """Something about nobody."""
        return self._framed(self.rng.choice(words.WEATHER), "")

    def corrected(self, event: Event, old: int, *, at_once: bool) -> str:
        """An event told again with the right number; ``at_once`` right behind the wrong one."""
        rng = self.rng
        fix = rng.choice(words.FIXES) + rng.choice((", ", " "))
        if at_once and rng.random() < 0.5:
            amount = self.amount(event, self.thing)
            told = rng.choice((f"it was {amount}", f"that was {amount}", amount))
            return f"{fix}{told}, not {self.number(old)}"
        told = self.event(event)
        return f"{fix if rng.random() < 0.4 else ''}{told}, not {self.number(old)}"

    # ---- parts

    def subject(self, person: Person) -> str:
        """A mention as subject; the person becomes the topic."""
        if person.kin is not None:
            return self.owner(person)
        is_pronoun = self._is_pronoun(person)
        self._topic = person
        return person.pronoun if is_pronoun else person.name

    def object(self, person: Person) -> str:
        """A mention as receiver or giver."""
        if person.kin is not None:
            return self.owner(person)
        return _OBJECT[person.pronoun] if self._is_pronoun(person) else person.name

    def possessive(self, person: Person) -> str:
        """``his`` or ``Tom's``."""
        return _POSSESSIVE[person.pronoun] if self._is_pronoun(person) else self.owner(person)

    def amount(self, event: Event | int, thing: str, *, more: bool = False) -> str:
        """``3 more coins``, ``three of them``, ``another one``."""
        if isinstance(event, Event) and event.amount == "all":
            return self._all(thing)
        can_omit = self._last_thing == thing and not self.turned
        omit = can_omit and self.rng.random() < _ELLIPSIS
        self._last_thing = thing
        if isinstance(event, Event) and event.amount:
            return f"{event.amount} {plural(thing)}"
        count = event if isinstance(event, int) else abs(event.change or 0)
        is_loss = isinstance(event, Event) and (event.change or 0) < 0
        number = self.number(count, thing, is_change=isinstance(event, Event))
        if number == "another":
            return f"another {'one' if omit else thing}"
        if omit:
            if more and number not in ("a", "an", "no"):
                return f"{number} more"
            of_them = is_loss and self.rng.random() < 0.4
            return f"{self.plain_number(count)} of them" if of_them else self.plain_number(count)
        noun = thing if count == 1 else plural(thing)
        if number not in ("a", "an") and not self.turned and self.rng.random() < _ADJECTIVES:
            noun = f"{self.rng.choice(words.ADJECTIVES)} {noun}"
        if more and number not in ("a", "an", "no") and not number.endswith(" of"):
            return f"{number} more {noun}"
        is_part = is_loss and not self.turned and not number.endswith(" of")
        is_part = is_part and number not in ("a", "an", "no")
        if is_part and self.rng.random() < 0.08:
            return f"{number} of the {plural(thing)}"
        return f"{number} {noun}"

    @property
    def things(self) -> str:
        """The counted things."""
        return plural(self.thing)

    @property
    def topic_is_person(self) -> bool:
        """Whether things without an owner are the person's, or the place's."""
        return self._topic is self.person or bool(self.person.at)

    def _taken(self, other: Person, event: Event, thing: str) -> str:
        """``her brother eats 2 of them``."""
        is_them = self.topic_is_person and self._last_thing == thing and not event.amount
        is_kin = other.kin is not None  # "Ann eats 2 of her cakes" would be Ann's own
        owner = self.possessive(self.person) if is_kin else self.owner(self.person)
        subject, verb = self.subject(other), self.verb_form(event.verb, other, self._tense())
        self._last_thing = thing
        if event.amount:
            return self._framed(f"{subject} {verb} {event.amount} of {owner} {plural(thing)}", "")
        whose = f"{owner if self.rng.random() < 0.8 else 'the'} {plural(thing)}"
        whose = "them" if is_them and self.rng.random() < 0.5 else whose
        return self._framed(
            f"{subject} {verb} {self.plain_number(abs(event.change or 0))} of {whose}", ""
        )

    def _at_place(self, other: Person, event: Event, thing: str) -> str:
        """``Ann takes 2 of them out of the jar``, ``her dad puts 3 more in the jar``."""
        rng, place, gains = self.rng, self.person, event.verb in words.POOL_PUTS
        subject, verb = self.subject(other), self.verb_form(event.verb, other, self._tense())
        amount = self.amount(event, thing, more=gains and rng.random() < 0.4)
        if gains:
            where = f" {'to' if event.verb == 'add' else place.at} {place.name}"
        else:
            where = f" {rng.choice(('from', 'off' if place.at == 'on' else 'out of'))} {place.name}"
        return self._framed(f"{subject} {verb} {amount}", where if rng.random() < 0.4 else "")

    def _itself(self, event: Event, thing: str) -> str:
        more = (event.change or 0) > 0
        amount = self.amount(event, thing, more=more)
        tense = self._tense()
        one = abs(event.change or 0) == 1
        verb = form(event.verb, "past" if tense == "past" else ("present" if one else "base"))
        return self._framed(f"{amount} {verb}", "")

    def _all(self, thing: str) -> str:
        self._last_thing = thing
        if self.person.at:
            return self.rng.choice((f"all the {plural(thing)}", f"all of the {plural(thing)}"))
        owner = _POSSESSIVE[self.person.pronoun]
        return self.rng.choice((f"all {owner} {plural(thing)}", f"all of {owner} {plural(thing)}"))

    def _is_pronoun(self, person: Person) -> bool:
        if person.pronoun == "I":
            return True
        is_topic = self._topic is person and bool(person.pronoun)
        return is_topic and self.rng.random() < _PRONOUNS

    def owner(self, person: Person) -> str:
        """``Tom's``, ``my``, ``his sister``."""
        if person.kin is not None:
            return f"{self.possessive(person.kin)} {person.name}"
        return "my" if person.pronoun == "I" else f"{person.name}'s"

    def verb_form(self, verb: str, person: Person, tense: Tense) -> str:
        """A verb that agrees with its subject."""
        is_base = tense == "present" and (person.pronoun == "I" or person.is_many)
        return form(verb, "base" if is_base else tense)

    def _tense(self) -> Tense:
        other: Tense = "past" if self.tense == "present" else "present"
        return other if self.rng.random() < _MIXED_TENSE else self.tense

    def _be(self, count: int) -> str:
        past = self._tense() == "past"
        return ("was" if past else "is") if count == 1 else ("were" if past else "are")

    def _tail(self, verb: str) -> str:
        if self.rng.random() < 0.75:
            return ""
        gains = verb in words.GAINS and self.rng.random() < 0.5
        return f" {self.rng.choice(words.SOURCES if gains else words.TAILS)}"

    def _framed(self, clause: str, tail: str) -> str:
        """With an adverb before it, now and then."""
        if self.turned or self.rng.random() < 0.82:
            return f"{clause}{tail}"
        lead = self.rng.choice(words.LEADS)
        return f"{lead}{self.rng.choice((',', ''))} {clause}{tail}"

    def number(self, count: int, thing: str = "", *, is_change: bool = False) -> str:
        """A number; with a thing also as an article."""
        if thing and count == 1 and self.rng.random() < 0.5:
            article = "an" if thing[0] in "aeiou" and thing not in ("euro", "unicorn") else "a"
            return self.rng.choice((article, "another")) if is_change else article
        if thing and count == 0 and self.rng.random() < 0.7:
            return "no"
        if thing and self._words_share and self.rng.random() < 0.1:
            alike = [word for word, n in words.AMOUNT_OF.items() if n == count and " " in word]
            if alike:
                return self.rng.choice(alike)
        return self.plain_number(count)

    def plain_number(self, count: int) -> str:
        """Digits or a word."""
        is_word = count < len(words.NUMBERS) and self.rng.random() < self._words_share
        return words.NUMBERS[count] if is_word else str(count)

    def _other_thing(self) -> str:
        return self.rng.choice([thing for thing in words.THINGS if thing != self.thing])
