"""Questions of the ledger: for a count, before the story or behind it, and the last sentence that asks for more work.

>>> ask(teller, "", is_first=True)
'How many coins does Tom have at the end?'
"""

from __future__ import annotations

from collections.abc import Sequence

from data_builders.sources import ledger_words as words
from data_builders.sources.ledger_sentences import Event, Teller
from data_builders.sources.ledger_words import Tense


def ask(teller: Teller, container: str, *, is_first: bool) -> str:
    """A question for the count; ``is_first``: nobody else was told of before the person."""
    things, rng, person = teller.things, teller.rng, teller.person
    if person.at:
        return _ask_of_place(teller)
    if container and rng.random() < 0.5:
        end = rng.choice(("", " now", " at the end"))
        return f"How many {things} are in {teller.owner(person)} {container}{end}?"
    if is_first and rng.random() < 0.15:
        end = rng.choice(("are left", "are there at the end", "remain", "are there now"))
        return f"How many {things} {end}?"
    do = "do" if person.pronoun == "I" else "does"
    have = "have" if person.pronoun == "I" else "has"
    end = rng.choice(("", "", *words.QUESTION_ENDS))
    asked = f"How many {things} {do} {person.name} have{end}?"
    rare = (
        f"How many {things} {have} {person.name}{rng.choice(('', ' got'))}{end}?",
        f"How many {things} did {person.name} have{end or ' at the end'}?",
        f"How many {things} will {person.name} have{end}?",
        f"Count {teller.owner(person)} {things}.",
        f"What is the number of {teller.owner(person)} {things}{end}?",
        f"{teller.owner(person)} {things}: how many?",
        f"Follow {teller.owner(person)} {things}, then do what the last sentence asks.",
    )
    return asked if rng.random() < 0.6 else rng.choice(rare)


def ask_again(teller: Teller, question: str) -> str:
    """The question as the last sentence of the story."""
    rng, person = teller.rng, teller.person
    if rng.random() < 0.5 or person.at:
        asked = question if question.startswith("How many") else f"How many {teller.things} now?"
    else:
        do = "do" if person.pronoun == "I" else "does"
        end = rng.choice(("", *words.QUESTION_ENDS))
        asked = f"How many {teller.things} {do} {teller.subject(person)} have{end}?"
    return asked if rng.random() < 0.85 else f"So {asked[0].lower()}{asked[1:]}"


def wish(teller: Teller, events: Sequence[Event]) -> str:
    """The last sentence, which alone says what to do with the count."""
    rng, things, person = teller.rng, teller.things, teller.person
    asked = f"How many {rng.choice((things, things, 'of them'))}"
    if rng.random() < 0.4:
        wishes = [f"{teller.number(abs(e.change or 0))} {_more(e)}" for e in events]
        would = f"{asked} would {teller.subject(person)} have"
        return f"{would}{rng.choice((' now', ''))} with {' and '.join(wishes)}?"
    tense: Tense = rng.choice(("present", "past"))
    opening = rng.choice(("what if", "and if", "and what if", "", "suppose"))
    if not opening:
        subject = teller.subject(person)
        return f"{asked} would {subject} have if {_if_clauses(teller, events, 'past')}?"
    end = ": how many then?" if opening == "suppose" else "?"
    return f"{opening} {_if_clauses(teller, events, tense)}{end}"


def _ask_of_place(teller: Teller) -> str:
    rng, place = teller.rng, teller.person
    where = f"{place.at} {place.name}"
    at_end = rng.choice(
        (f"are left {where}", f"are {where} now", f"are {where}", f"are {where} at the end")
    )
    end = rng.choice(("are left", "remain", "are there at the end", at_end, at_end))
    return f"How many {teller.things} {end}?"


def _if_clauses(teller: Teller, events: Sequence[Event], tense: Tense) -> str:
    """``he loses 2 and then finds 3``."""
    clauses: list[str] = []
    for event in events:
        subject = f"{teller.subject(teller.person)} " if not clauses else ""
        verb = teller.verb_form(event.verb, teller.person, tense)
        more = event.verb in words.GAINS and teller.rng.random() < 0.4
        clauses.append(f"{subject}{verb} {teller.amount(event, teller.thing, more=more)}")
    return teller.rng.choice((" and ", " and then ", ", then ")).join(clauses)


def _more(event: Event) -> str:
    return "more" if (event.change or 0) > 0 else "less"
