"""Sentences of the ledger read back, clause by clause: subject, verb, amount, receiver.

    >>> [change.after for change in read_changes("How many nuts has Tom?", ("Tom has 5 nuts.", " He eats 2."))]
    [5, 3]

It knows the word lists and the rules of reference, nothing of the writer; so it checks answers and traces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data_builders.sources import ledger_words as words
from data_builders.sources.ledger_clauses import (
    CORRECTED,
    HAVE,
    amount_at,
    asked_for,
    clauses_of,
    find_verb,
    number_of,
    with_particle,
    without_leads,
)
from data_builders.traces.future_facts import Texts

_HYPOTHETICAL = re.compile(r"(?:what if|and if|and what if|suppose|how many)\b")
_ASKED_AGAIN = re.compile(r"how many \w+ (?:do|does|did|will|has|have|are|remain|now)\b")
_AT_PLACE = re.compile(
    rf" ?\b(?:in|on|to|from|out of|off) the (?:{'|'.join(place for names in words.POOLS.values() for place in names)})\b"
)
_LINKS = ("to", "from", "for")
_ADVERBS = {tail.split()[0] for tail in (*words.TAILS, *words.SOURCES, *words.LEADS)} - {"a", "one"}
_BE = ("is", "are", "was", "were")
_PLACE = re.compile(
    rf"(?:\bin )?((?:(?!(?:in|are|is|was|were) )\S+ ){{0,2}}\S+(?:'s|(?<=\bmy)|(?<=\bhis)|(?<=\bher)|(?<=\bits))) (?:{'|'.join(words.CONTAINERS)})\b"
)
_KIN = {*words.KIN, *words.KIN_MANY}
_WEATHER = {sentence.lower() for sentence in words.WEATHER}
_OUTSIDERS = {*words.OUTSIDERS, *words.OUTSIDERS_MANY}
_ROLES = {role.lower() for roles in words.ROLES.values() for role in roles}


@dataclass
class CountChange:
    """A change of the count.

    Attributes:
        chunk: Where it is told.
        before: The count before it; None where nobody can know it.
        changes: Added numbers; two for a correction, which first takes the wrong one back. Empty: nobody knows.
        after: The count behind it, or None.
        is_asked: Whether it is told as a wish or condition, for the deep part.
        is_taken: Whether a step of the trace accounts for it.
    """

    chunk: int
    before: int | None
    changes: tuple[int, ...]
    after: int | None
    is_asked: bool = False
    is_taken: bool = False


@dataclass
class _Clause:
    """A clause taken apart."""

    subject: str = ""
    verb: str = ""  # its base form; "" for none that is known
    amount: int | None = None  # None: vague
    has_amount: bool = False
    is_counted: bool = False  # whether the amount is of the counted things
    of_owner: bool = False  # "of them", "of his coins"
    receiver: str = ""
    words: int = 0  # of the amount and its noun
    link: str = ""  # to, from, for, or "" for a receiver before the amount


def read_changes(question: str, chunks: Texts) -> Iterator[CountChange]:
    """All changes of the asked person's things, read from the sentences."""
    reader = _Reader(*asked_for(question))
    for number, chunk in enumerate(chunks):
        for changes, is_asked in reader.read(chunk.strip()):
            if is_asked and not reader.has_started:
                continue
            before = reader.count
            is_known = bool(changes) and (before is not None or not reader.has_started)
            reader.has_started = True
            reader.count = (before or 0) + sum(changes) if is_known else None
            yield CountChange(number, before, changes, reader.count, is_asked)


@dataclass
class _Reader:
    """Reads chunk by chunk."""

    person: str
    things: str
    count: int | None = None
    has_started: bool = False
    is_place: bool = False  # whether the things belong to nobody
    topic: str = ""
    topic_before: str = ""  # the topic before the clause at hand
    last: _Clause = field(default_factory=_Clause)
    last_thing: str = ""
    events: list[int] = field(default_factory=list)  # the changes so far

    def __post_init__(self) -> None:
        """Both numbers of the noun."""
        known = [thing for thing in words.THINGS if words.plural(thing) == self.things]
        stems = (self.things[:-1], self.things[:-2], f"{self.things[:-3]}y")
        self.names = {self.things, *known, *(s for s in stems if words.plural(s) == self.things)}
        self.person = {"my": "i"}.get(self.person, self.person)

    def read(self, text: str) -> Iterator[tuple[tuple[int, ...], bool]]:
        """Added numbers of each change in a chunk, and whether it is only asked about."""
        asked = None
        pieces = re.split(r"(?<=[.!?;\n]) |\n", f"{text.lower()}")
        for piece in filter(None, map(str.strip, pieces)):
            asked = asked or _HYPOTHETICAL.match(piece)
            if subject := re.search(r"would (.+?) have\b", piece):
                self._subject(subject[1].split())
            if (
                asked
                and (wishes := re.findall(r"(\w+) (more|less)\b(?! \w+ing)", piece))
                and " with " in piece
            ):
                for amount, direction in wishes:
                    yield ((1 if direction == "more" else -1) * number_of(amount),), True
                continue
            if asked:
                piece = re.sub(
                    r"^(?:and )?(?:what )?if |^suppose |^how many .*? if |: how many then",
                    "",
                    piece,
                )
            for part in clauses_of(piece):
                old = CORRECTED.search(part)
                words_left = without_leads(CORRECTED.sub("", part).strip(" ,"))
                for changes in self._changes(words_left, old and number_of(old[1])):
                    yield changes, bool(asked)

    def _changes(self, text: str, old: int | None) -> Iterator[tuple[int, ...]]:
        if _ASKED_AGAIN.match(text) or text in _WEATHER:
            return
        is_start = not {*_BE}.isdisjoint(text.split())
        if _AT_PLACE.search(text) and is_start:
            yield from self._at_place(_AT_PLACE.sub("", text))
            return
        if _PLACE.search(text):
            yield from self._contained(text)
            return
        text = _AT_PLACE.sub("", text).strip()
        clause = self._clause(text.split(), is_correction=old is not None)
        sign = self._sign(clause)
        if old is not None and clause.has_amount:
            if not clause.verb and self.events:
                sign = 1 if self.events[-1] > 0 else -1
            if sign and clause.amount is not None:
                yield (-sign * old, sign * clause.amount)
        elif sign is None:
            yield ()
        elif sign and clause.has_amount and clause.is_counted:
            if clause.amount is None:
                yield ()
            else:
                self.events.append(sign * clause.amount)
                yield (sign * clause.amount,)

    def _sign(self, clause: _Clause) -> int | None:
        """+1 and -1 for a gain and a loss of the person, 0 for neither, None for what nobody knows."""
        verb, is_person = clause.verb, clause.subject == self.person
        if not clause.has_amount or not clause.is_counted:
            return 0
        if self.is_place and clause.subject:
            return -1 if verb in words.POOL_TAKES else int(verb in words.POOL_PUTS)
        if not self.has_started and verb in words.FIRST_GAINS:
            self.person = self.person or clause.subject
            is_person = clause.subject == self.person
        if verb in HAVE:
            self.person = self.person or clause.subject
            is_person = clause.subject == self.person
            return 1 if is_person and not self.has_started else 0
        if not verb:
            return None if is_person else 0
        if clause.subject == "":
            return (
                {True: 1, False: -1}[verb in words.COMES]
                if verb in (*words.COMES, *words.GOES)
                else 0
            )
        return self._own_sign(clause) if is_person else self._other_sign(clause)

    def _own_sign(self, clause: _Clause) -> int:
        verb, has_receiver = clause.verb, bool(clause.receiver) and clause.link != "from"
        if has_receiver and verb in words.GIVES and clause.link != "for":
            return -1
        if has_receiver and verb in words.GETS_FOR:
            return 0
        return 1 if verb in (*words.GAINS, *words.GETS_FROM) else -1 if verb in words.LOSSES else 0

    def _other_sign(self, clause: _Clause) -> int:
        verb, link, is_receiver = clause.verb, clause.link, clause.receiver == self.person
        if is_receiver and link in ("", "to") and verb in words.GIVES:
            return 1
        if is_receiver and link in ("", "for") and verb in words.GETS_FOR:
            return 1
        if is_receiver and link == "from" and verb in words.GETS_FROM:
            return -1
        return -1 if clause.of_owner and verb in words.TAKES_OF and link != "from" else 0

    def _clause(self, parts: Sequence[str], *, is_correction: bool) -> _Clause:
        """Take a clause apart; subject and verb of the last one stand for missing ones."""
        if "not" in parts:
            self._read_denied(parts, parts.index("not"))
            return _Clause()
        start, length, verb = find_verb(parts)
        if not verb:
            return self._without_verb(parts, is_correction=is_correction)
        before, (verb, behind) = parts[:start], with_particle(verb, parts[start + length :])
        clause = _Clause(verb=verb)
        is_turned = before and amount_at(before, 0) and " ".join(before) not in _OUTSIDERS
        if is_turned and behind[:1] != ["to"]:
            turned = self._read_amount(before, clause)
            if turned < len(before):  # "3 coins Tom finds"
                clause.subject = self._subject(before[turned:])
        else:
            self.topic_before = self.topic
            clause.subject = self._subject(before) if before else self.last.subject
            self._read_rest(behind, clause)
        self.last = clause
        return clause

    def _read_denied(self, parts: Sequence[str], place: int) -> None:
        """Topic and noun of "Tom does not buy any coins"."""
        self._subject(parts[: place - 1])
        told = ["some" if part == "any" else part for part in parts]
        start = next((n for n in range(place, len(told)) if amount_at(told, n)), None)
        if start is not None:
            self._read_amount(told[start:], _Clause())

    def _without_verb(self, parts: Sequence[str], *, is_correction: bool) -> _Clause:
        """``3 to his friend``, a corrected amount, or a verb that nobody knows."""
        clause = _Clause()
        start = next((n for n in range(len(parts)) if amount_at(parts, n)), None)
        if start is None or (parts[1:2] == ["was"] and not is_correction):
            return clause
        before = [] if parts[1:2] == ["was"] else parts[:start]
        self._read_rest(parts[start:], clause)
        behind = parts[start + clause.words :]
        # "3 coins Tom zorbs"
        if len(behind) > 1 and not (before or clause.link or behind[0] in _ADVERBS):
            clause.subject = self._subject(behind[:-1])
        elif not before and clause.link:
            clause.subject, clause.verb = self.last.subject, self.last.verb
        elif not before and self.last.verb == "have":
            return _Clause()
        elif before:
            clause.subject = self._subject(before[:-1])
        return clause

    def _read_rest(self, parts: Sequence[str], clause: _Clause) -> None:
        """Receiver, amount, noun and link behind a verb."""
        behind = 2 if " ".join(parts[:2]) in _OUTSIDERS else 0  # "a girl", "some children"
        start = next((n for n in range(behind, len(parts)) if amount_at(parts, n)), None)
        if start is None:
            return
        clause.receiver = self._person(parts[:start])
        end = start + self._read_amount(parts[start:], clause)
        is_link = end < len(parts) and parts[end] in _LINKS
        if is_link and " ".join(parts[end:]) not in words.TAILS:  # "for lunch"
            clause.link, clause.receiver = parts[end], self._person(parts[end + 1 :])

    def _read_amount(self, parts: Sequence[str], clause: _Clause) -> int:
        """Read an amount with its noun; return the number of words."""
        amount = amount_at(parts, 0)
        end = len(amount.split())
        clause.has_amount = True
        is_all = amount == "all"
        clause.amount = (
            (self.count or 0) if is_all else None if amount in words.VAGUE else number_of(amount)
        )
        rest = list(parts[end:])
        end += (skipped := int(rest[:1] == ["more"]))
        rest = rest[skipped:]
        owner = ""
        if rest and rest[0] in words.ADJECTIVES:
            rest, end = rest[1:], end + 1
        if rest[:1] == ["of"]:
            owner, rest, end = "of", rest[1:], end + 1
        if rest and rest[0] != "them" and (owner or is_all):  # "of his coins", "of old man's coins"
            ends = [n for n, word in enumerate(rest) if word in (*_LINKS, *_ADVERBS) and n]
            counted = [n + 1 for n, word in enumerate(rest) if word in self.names]
            found = min((*counted, *ends, len(rest))) - 1
            owner = (
                self.topic_before
                if rest[:1] in (["his"], ["her"], ["its"])
                else self._owner(rest[:found])
            )
            rest, end = rest[found:], end + found
        clause.of_owner = owner in (self.person, "the") or (
            rest[:1] == ["them"] and self.topic_before == self.person
        )
        noun = rest[0] if rest else ""
        is_noun = bool(noun) and noun not in _LINKS and noun not in _ADVERBS
        if noun in ("one", "them"):
            clause.is_counted = self.last_thing in self.names
        elif is_noun and not self._is_subject(rest):
            clause.is_counted = noun in self.names
            self.last_thing = noun
        else:
            clause.is_counted, is_noun = self.last_thing in self.names, False
        clause.words = end + int(is_noun)
        return clause.words

    def _is_subject(self, parts: Sequence[str]) -> bool:
        """Whether a name follows, not a noun: "3 Tom finds"."""
        text = " ".join(parts)
        is_person = bool(self.person) and f"{text} ".startswith(f"{self.person} ")
        return is_person or (parts[0] in ("he", "she", "it") and len(parts) == 1)

    def _subject(self, parts: Sequence[str]) -> str:
        """Who does it; a name becomes the topic."""
        name = self._person(parts)
        if not name.startswith("kin of"):
            self.topic = name
        return name

    def _person(self, parts: Sequence[str]) -> str:
        """A mention in full: a name, or what a pronoun stands for."""
        while parts and parts[0] in _ADVERBS and " ".join(parts) not in _ROLES:
            parts = parts[1:]
        text = " ".join(parts)
        if text in ("he", "she", "it", "him", "her"):
            return self.topic
        if text in ("me", "i"):
            return "i"
        is_kin = len(parts) > 1 and parts[-1] in _KIN and text not in _ROLES
        if is_kin or (text in _ROLES and text.startswith("my ") and self.person == "i"):
            return f"kin of {self._owner(parts[:-1])}"
        return text

    def _owner(self, parts: Sequence[str]) -> str:
        text = " ".join(parts)
        if text in ("his", "her", "its"):
            return self.topic
        return "i" if text == "my" else text.removesuffix("'s")

    def _at_place(self, text: str) -> Iterator[tuple[int, ...]]:
        """The first count of things that lie at a place."""
        rest, clause = [word for word in text.split() if word not in ("there", *_BE)], _Clause()
        if rest and amount_at(rest, 0):
            self._read_amount(rest, clause)
        if clause.is_counted and not self.has_started:
            self.is_place = True
            yield (clause.amount or 0,)

    def _contained(self, text: str) -> Iterator[tuple[int, ...]]:
        """The first count of things in somebody's basket."""
        place = _PLACE.search(text)
        if place is None:
            return
        owner = self._owner(place[1].split())
        self.topic = owner
        rest = [*text[: place.start()].split(), *text[place.end() :].split()]
        rest = [word for word in rest if word not in ("there", *_BE, "in", "holds", "held")]
        clause = _Clause()
        if rest and amount_at(rest, 0):
            self._read_amount(rest, clause)
        self.person = self.person or owner
        if owner == self.person and clause.is_counted and not self.has_started:
            yield (clause.amount or 0,)
