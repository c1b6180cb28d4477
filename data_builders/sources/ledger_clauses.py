"""Parts of the ledger's sentences: clauses, verbs, amounts, and the person and things of a question.

    >>> find_verb("tom throws away 3 coins".split())
    (1, 2, 'throw away')

All text is in lower case. Who does what to whose things is read in ``ledger_reading``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from data_builders.sources import ledger_words as words
from data_builders.sources.ledger_words import Tense

CORRECTED = re.compile(r", not (\w+)")
_CLAUSE_END = re.compile(r"[.!?;:\n]+|, | - | , |,$|\b(?:and|but|then|if)\b")
HAVE = ("have", "have got", "own", "start with", "begin with", "hold")
_BEFORE = sorted(
    map(str.lower, (*words.LEADS, *words.FIXES, *words.OPENINGS)), key=len, reverse=True
)
_AMOUNTS = sorted({*words.AMOUNT_OF, *words.VAGUE}, key=lambda a: -len(a.split()))


def _verb_forms() -> dict[str, str]:
    moving = {
        *words.POOL_TAKES,
        *words.POOL_PUTS,
        *words.GAINS,
        *words.LOSSES,
        *words.GIVES,
        *words.GETS_FROM,
        *words.GETS_FOR,
    }
    others = {
        *words.HABITS,
        *words.TAKES_OF,
        *words.GOES,
        *words.COMES,
        *words.KEEPS,
        *words.IDLES,
        *HAVE,
    }
    split = {verb.split()[0] for verb in moving if verb.split()[-1] in words.PARTICLES}
    verbs = moving | others | split
    tenses: tuple[Tense, ...] = ("base", "present", "past")
    return {words.form(verb, tense): verb for tense in tenses for verb in sorted(verbs)}


_VERBS = _verb_forms()
_LONGEST = max(len(phrase.split()) for phrase in _VERBS)


def asked_for(question: str) -> tuple[str, str]:
    """Person and things of a question; "" for a person that it does not name."""
    text = question.lower().rstrip("?.")
    text = re.sub(rf"(?:{'|'.join(words.QUESTION_ENDS)})$", "", text)
    owned = re.match(
        r"(?:count|what is the number of|follow) (.+?)(?:'s|(?<=my)) (\w+)(?:,|$)", text
    )
    owned = owned or re.match(r"(.+?)(?:'s|(?<=my)) (\w+): how many$", text)
    if owned:
        return owned[1], owned[2]
    contained = re.match(r"how many (\w+) are in (.+?)(?:'s|(?<=my)) \w+$", text)
    if contained:
        return contained[2], contained[1]
    have = re.match(r"how many (\w+) (?:does|do|did|will|has|have) (.+?)(?: have| got)*$", text)
    if have:
        return have[2], have[1]
    return "", text.split()[2]


def clauses_of(sentence: str) -> list[str]:
    """Clauses of a sentence."""
    kept = CORRECTED.sub(lambda match: f" not-{match[1]}", sentence)
    return [
        re.sub(r" not-(\w+)", r", not \1", part) for part in _CLAUSE_END.split(kept) if part.strip()
    ]


def without_leads(text: str) -> str:
    """A clause without its adverbs and "oh wait"."""
    while lead := next((lead for lead in _BEFORE if f"{text} ".startswith(f"{lead} ")), None):
        text = text[len(lead) :].strip(" ,")
    return text


def find_verb(parts: Sequence[str]) -> tuple[int, int, str]:
    """Place, length and base form of the first known verb, the longest there; "" for none."""
    for start in range(len(parts)):
        for length in range(min(_LONGEST, len(parts) - start), 0, -1):
            verb = _VERBS.get(" ".join(parts[start : start + length]))
            if verb:
                return start, length, verb
    return 0, 0, ""


def with_particle(verb: str, behind: Sequence[str]) -> tuple[str, list[str]]:
    """A verb with the particle that stands behind its amount, and the words without it: "throws 3 away"."""
    for place, word in enumerate(behind):
        is_particle = place and f"{verb} {word}" in _VERBS.values()
        if is_particle and behind[place - 1] not in ("at", "way", "come", "the"):
            return f"{verb} {word}", [*behind[:place], *behind[place + 1 :]]
    return verb, list(behind)


def amount_at(parts: Sequence[str], place: int) -> str:
    """The words of an amount at a place, "" for none."""
    if parts[place].isdecimal() or parts[place] == "all":
        return parts[place]
    here = " ".join(parts[place : place + 4]) + " "
    return next((amount for amount in _AMOUNTS if here.startswith(f"{amount} ")), "")


def number_of(word: str) -> int:
    """The number that digits or words stand for."""
    return int(word) if word.isdecimal() else words.AMOUNT_OF[word]
