"""Numbers in plain text: the values of each, and the words near it.

    >>> [sorted(q.values) for q in find_quantities("Tom sold 1/4 of his 3,000 cards.")]
    [[0.25, 0.75, 1.0, 4.0], [3000.0]]
    >>> find_quantities("The first couple came back.")
    ()

Digits, percent, fractions, and the words for numbers. "First", "pair", "couple" and "second" are no numbers: they would
match steps to the wrong sentence. Values are those that a calculation may use for the quantity, such as 0.2 for 20 %.
``traces.align`` matches calculations and quantities.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

_WORD = re.compile(r"[a-z]+")
_ONES = _WORD.findall(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = _WORD.findall("ten twenty thirty forty fifty sixty seventy eighty ninety")
_SMALL = {word: n for n, word in enumerate(_ONES, start=1)}
_SMALL |= {word: 10 * n for n, word in enumerate(_TENS, start=1)}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_TIMES = {"twice": 2, "double": 2, "doubled": 2, "doubles": 2, "thrice": 3, "triple": 3}
_TIMES |= {"tripled": 3, "triples": 3, "quadruple": 4, "dozen": 12}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6}
_PARTS |= {"seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000}

_COUNT = "|".join([*_SMALL, *_LARGE])
_DIGIT_QUANTITY = (
    # It starts with a set of characters, not with a look behind: a search skips to them.
    r"(?P<number>[\d.](?<![\w.].)(?:(?<=\d)(?:\d{0,2}(?:,\d{3})+|\d*)(?:\.\d+)?|(?<=\.)\d+))"
    r"(?:\s*+/\s*+(?P<below>\d++)(?![,.]++\d))?(?P<percent>\s*+(?:%|per\s?cent\b))?"
    r"(?P<ordinal>(?:st|nd|rd|th)\b)?"
)
_DIGITS_ONLY = re.compile(_DIGIT_QUANTITY, re.IGNORECASE)
_QUANTITY = re.compile(
    _DIGIT_QUANTITY + r"|\b(?=[adefhmnoqst])(?:"  # what number words begin with, and "a"
    rf"(?:(?P<above>an?|{'|'.join(_ONES)})[\s-]+)?(?P<part>{'|'.join(_PARTS)})s?\b(?P<of>\s+(?:of|as)\b)?"
    rf"|(?P<count>(?:{_COUNT})(?:[\s-]+(?:and\s+)?(?:{_COUNT}))*)\b"
    rf"|(?P<times>{'|'.join(_TIMES)})s?\b)",
    re.IGNORECASE,
)
_PRONOUN_AHEAD = re.compile(
    r"\s+(?:of|another|is|was|by|who|that|or|day|evening|morning|night|time)\b|['\u2019]s|\s*[.,?!]",
    re.I,
)
_PRONOUN_BEHIND = re.compile(
    r"\b(?:each|this|that|another|other|no|any|every|which|the|last)\s+$", re.I
)

_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "the and for with that this these those from into onto than then them they their there have has had was were are "
        "his her hers its she him you your our out off who whom whose which what when where how many much more most less "
        "fewer few all each every both some any one other another not but also been being did does done will would can could "
        "should may might must after before during while until since because per about over under between only just still "
        "get gets got now total altogether number amount times time if so as at by in is it of on or to up an a be do he we "
        "make makes made take takes took give gives gave need needs needed use used left same"
    )
)
_NOT_CONTENT = _FUNCTION_WORDS | set(_SMALL) | set(_LARGE) | set(_TIMES) | set(_PARTS) | {"percent"}

# Values that a calculation may use once one of the words has been read.
_CONSTANTS: dict[str, tuple[float, ...]] = {
    "second minute": (60,),
    "hour": (60, 24),
    "day": (24, 7, 30, 365),
    "week weekly": (7, 52, 4),
    "daily": (7, 30, 365),
    "month": (12, 4, 30),
    "monthly inch": (12,),
    "year": (12, 52, 365),
    "annual yearly": (12, 52),
    "cent": (100, 0.01),
    "dollar": (100,),
    "dime": (0.1, 10),
    "nickel": (0.05, 5),
    "quarter": (0.25, 25),
    "feet foot": (12, 3),
    "yard": (3,),
    "meter": (100, 1000),
    "kilometer kilogram gram": (1000,),
    "ounce pound": (16,),
}

_WORD_AND_SIGN = re.compile(r"(?:([^\W\d_]+)\s+)?([$€£]?)$")  # "paid $" before a number
_TWO_WORDS = re.compile(r"(?:[ -][^\W\d_]+\b){1,2}")
_NEAR = 40  # characters on either side of a number
_COUNTED = {"first": 1, "second": 2, "pair": 2, "couple": 2}  # numbers without care only
_NUMBER_WORDS = frozenset(
    word + ending
    for word in (*_SMALL, *_LARGE, *_TIMES, *_PARTS, *_COUNTED)
    for ending in ("", "s")
)
_DIGITS = re.compile(r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?|(?<!\d)\.\d++")
_CARELESS = re.compile(rf"{_QUANTITY.pattern}|\b(?P<counted>{'|'.join(_COUNTED)})\b", re.IGNORECASE)


class Number(NamedTuple):
    """A number in a text."""

    values: frozenset[float]  # what a calculation may write for it
    start: int  # its first character in the text
    end: int  # the character behind it


class Mention(NamedTuple):
    """A number with its surroundings."""

    values: frozenset[float]  # what a calculation may write for it
    around: str  # the text near it

    def shared(self, stems: frozenset[str]) -> int:
        """How many stems of the content words near it are among ``stems``."""
        return len(stems.intersection(content_stems(self.around)))


@functools.lru_cache(maxsize=4096)
def find_quantities(text: str, *, is_careful: bool = True) -> tuple[Mention, ...]:
    """Every number in ``text`` with its surroundings."""
    return tuple(
        Mention(number.values, text[max(0, number.start - _NEAR) : number.end + _NEAR])
        for number in find_numbers(text, is_careful=is_careful)
    )


@functools.lru_cache(maxsize=4096)
def find_numbers(text: str, *, is_careful: bool = True) -> tuple[Number, ...]:
    """Every number in ``text``, in order; without care, "first", "pair" and any "one" are numbers, too."""
    read: Callable[[re.Match[str], str], frozenset[float]]
    read = _values if is_careful else _careless_values
    if _NUMBER_WORDS.isdisjoint(_words_of(text)):
        pattern, read = _DIGITS_ONLY, _digit_values  # four times as fast
    else:
        pattern = _QUANTITY if is_careful else _CARELESS
    numbers = []
    for match in pattern.finditer(text):
        if values := read(match, text):
            numbers.append(Number(values, match.start(), match.end()))
    return tuple(numbers)


@functools.lru_cache(maxsize=4096)
def find_constants(text: str) -> frozenset[float]:
    """Values of common knowledge for the words of ``text``, such as 60 for minutes."""
    stems = {stem(word) for word in _words_of(text) if len(word) > 2}
    return frozenset(value for key in stems for value in _CONSTANTS_OF_STEM.get(key, ()))


def plain_numbers(text: str) -> list[float]:
    """Every number in digits, in order; ``300/15`` is two numbers."""
    digits = _DIGITS.findall(text)
    return [round(float(number.replace(",", "")), 6) for number in digits]


@functools.lru_cache(maxsize=4096)
def content_stems(text: str) -> tuple[str, ...]:
    """Stems of the words that carry meaning, in order."""
    words = _words_of(text)
    return tuple([stem(word) for word in words if len(word) > 2 and word not in _NOT_CONTENT])


@functools.lru_cache(maxsize=4096)
def _words_of(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without its commonest endings; rough, but the same on both sides of a comparison."""
    for ending in ("ing", "ed", "ies", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


_CONSTANTS_OF_STEM: dict[str, set[float]] = {}
for _names, _ratios in _CONSTANTS.items():
    for _name in _names.split():
        _CONSTANTS_OF_STEM.setdefault(stem(_name), set()).update(map(float, _ratios))


def note_of(text: str) -> str:
    """A short note of the quantities in a sentence: each with the content words beside it."""
    quantities = find_numbers(text)
    edges = [0, *(quantity.end for quantity in quantities)]
    starts = [*(quantity.start for quantity in quantities[1:]), len(text)]
    parts = []
    for quantity, left, right in zip(quantities, edges, starts, strict=False):
        before = _WORD_AND_SIGN.search(text[max(left, quantity.start - _NEAR) : quantity.start])
        after = _TWO_WORDS.match(text[quantity.end : right])
        subject, sign = (before[1] or "", before[2]) if before else ("", "")
        shown = " ".join(text[quantity.start : quantity.end].split())
        shown = re.sub(r" (?:of|as)$", "", shown)
        nouns = _until_function_word(after[0].strip(" -").split() if after else [])
        words = (*_until_function_word([subject]), sign + shown, *nouns)
        parts.append(" ".join(word for word in words if word))
    return ", ".join(parts)


def _until_function_word(words: list[str]) -> list[str]:
    return list(itertools.takewhile(lambda word: word.lower() not in _FUNCTION_WORDS, words))


def _careless_values(match: re.Match[str], text: str) -> frozenset[float]:
    if match["counted"]:
        return frozenset({float(_COUNTED[match["counted"].lower()])})
    if match["count"] and match["count"].lower() == "one":
        return frozenset({1.0})
    return _values(match, text)


def _values(match: re.Match[str], text: str) -> frozenset[float]:
    if match["number"]:
        return _digit_values(match, text)
    if match["times"]:
        return frozenset({float(_TIMES[match["times"].lower()])})
    if match["part"]:
        return _part_values(match)
    words = re.findall(r"[a-z]+", match["count"].lower())
    if words == ["one"] and _is_pronoun(match, text):
        return frozenset()
    return frozenset({_count(words)})


def _digit_values(match: re.Match[str], _text: str) -> frozenset[float]:
    digits, below, percent, ordinal = match.group("number", "below", "percent", "ordinal")
    if ordinal:
        return frozenset()
    number = round(float(digits.replace(",", "")), 6)
    if percent:
        share = number / 100
        values = (number, 100 - number, 100 + number, share, 1 - share, 1 + share, 100.0, 1.0)
        return frozenset(round(value, 6) for value in values)
    if below and float(below):
        return _fraction(number, float(below)) | {number}
    return frozenset((number,))


def _part_values(match: re.Match[str]) -> frozenset[float]:
    """A third of, two thirds, half; not the third week."""
    part, above = match["part"].lower(), match["above"]
    if part not in ("half", "halves") and not above and not match["of"]:
        return frozenset()
    return _fraction(float(_SMALL.get((above or "a").lower(), 1)), float(_PARTS[part]))


def _fraction(above: float, below: float) -> frozenset[float]:
    values = (above, below, above / below, 1 - above / below, 1.0)
    return frozenset(round(value, 6) for value in values if value)


def _is_pronoun(match: re.Match[str], text: str) -> bool:
    """Whether "one" stands for a thing: the other one, one of them."""
    behind = _PRONOUN_BEHIND.search(text[: match.start()])
    return bool(behind or _PRONOUN_AHEAD.match(text[match.end() :]))


def _count(words: list[str]) -> float:
    total = group = 0
    for word in words:
        if word in _SMALL:
            group += _SMALL[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in _LARGE:
            total, group = total + max(group, 1) * _LARGE[word], 0
    return float(total + group)
