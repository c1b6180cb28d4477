"""Notation as it is said: amounts of money, signs, operators, fractions, times and ranges. English; numbers stay digits.

    >>> in_words("-5\u00b0F, 3 + 4 = 7, \u00a35 and 2\u00bd cups at 5:00")
    "minus 5 degrees Fahrenheit, 3 plus 4 equals 7, 5 pounds and 2 and a half cups at 5 o'clock"

Synthesisers read "\u00a35" as "pound five", and "5 - 3" without its minus.
"""

from __future__ import annotations

import re
import unicodedata

from adasr_trl.speech.comparisons import comparisons_in_words, without_brackets
from adasr_trl.speech.fractions import fractions_in_words
from adasr_trl.speech.money import CURRENCY, amounts_in_words, signs_in_front
from adasr_trl.speech.plain_text import plain
from adasr_trl.speech.powers import grouped, powers_in_words
from adasr_trl.speech.ranges import ranges_in_words
from adasr_trl.speech.roman import in_digits

_LEFT, _RIGHT = r"(?<=\d)\s*", rf"\s*(?={CURRENCY}?\.?\d)"  # of an operator between numbers
_BEHIND = r"(?<=[\w)\]%])\s*"  # of an operator between operands of any kind
_BEFORE = rf"\s*(?=[\w(\[]|[-\u2212]?{CURRENCY}?\.?\d)"
_Rules = list[tuple[re.Pattern[str], str]]


def _compiled(*rules: tuple[str, str]) -> _Rules:
    return [(re.compile(pattern, re.IGNORECASE), said) for pattern, said in rules]


_SIGNS = _compiled(
    (r"(?<![^\s(\[\u2212-])\.(?=\d)", "0."),
    (r"\s*(?:\u00b1|\+/[-\u2212])\s*", " plus or minus "),
    (rf"{_LEFT}\+{_RIGHT}", " plus "),
    (rf"(?<=[\w)\]%])\s+\+\s+(?=[\w(\[]|{CURRENCY})", " plus "),
    (
        r"((?<![\w@/.])(?!u\+[\da-f]{4})\d{0,9}[a-z]|(?<=\d)|squared|cubed)\+(?=\d|[a-z]\b)(?!\w{1,64}@)",
        r"\1 plus ",
    ),
    (r"(squared|cubed)-(?=\d|[a-z]\b)", r"\1 minus "),
    (rf"{_LEFT}\*{_RIGHT}", " times "),
    (rf"{_BEHIND}\u00d7{_BEFORE}", " times "),
    (r"(?<=\d)\s?\u00d7", " times"),
    (r"(?<=[\d)])\s?\u00b7\s?(?=[\d(])", " times "),
    (rf"{_BEHIND}\u00f7{_BEFORE}", " divided by "),
    (r"(?<=\d)\s+/\s+(?=\d)", " divided by "),
    (
        rf"(?<=[\w%)\]\u00b0'\u00a2])\s*={{1,3}}\s*(?=[\w(\[\u2212-]|\.\d|{CURRENCY})",
        " equals ",
    ),
    (rf"(?<=\d)(?<!\d{{4}}-\d\d)(?:\u2212|-(?=[\d.,]+\s?=)){_RIGHT}", " minus "),
    (rf"(?<=\d)\s+[-\u2212]\s+(?={CURRENCY}?\d)", " minus "),
    (rf"(?<![\w.,)\]%\u00b0-])(?<!\d['\"])[-\u2212](?={CURRENCY}?\.?\d)", "minus "),
    (r"\s?\u2212\s?(?=[^\W_]|\()", " minus "),
    (r"(?<=\d)\s*%(?=\w)", " percent "),
    (r"(?<=\d)\s*%", " percent"),
    (r"(?<=\d)\s*\u2030", " per mille"),
    (r"\bN[\u00b0\u00ba]\.?\s?(?=\d)", "number "),
    (r"\s*[\u00b0\u00ba]\s?F\b", " degrees Fahrenheit"),
    (r"\s*[\u00b0\u00ba]\s?C\b", " degrees Celsius"),
    (r"(?<=\d)\s*[\u00b0\u00ba](?=\w)", " degrees "),
    (r"(?<=\d)\s*[\u00b0\u00ba]", " degrees"),
    (r"(?<=\d)\s?\u00a2", " cents"),
    (r"#(?=\d)", "number "),
    (r"\u00a7\s*", "section "),
    (rf"(?<=\s)@\s?(?={CURRENCY}?\d)", "at "),
    (r"(?<=\s)@(?=\s)", "at"),
    (r"\b(1[0-2]|0?[1-9]):00(?=\s?[ap]\.?\s?m\b)", r"\1"),
    (r"\b(1[0-2]|0?[1-9]):00\b(?!:)", r"\1 o'clock"),
    (r"(?<=\d),(?=\d)(?!\d{3}(?!\d))(?!\d\d,\d\d)", ", "),
)
_SPACES = re.compile(r"[ \t\n\r\f\v]+")
_AND = re.compile(r"\s?&+\s?")
_UNITS = "h|hr|hrs|hour|min|minute|s|sec|second|day|wk|week|mo|month|yr|year|person|ml|l|gal|mg|g|kg|lb|oz|mm|cm|m|km|ft|mi"
_RATES = _compiled(
    (rf"(\d\s?[A-Z]{{1,15}})/(?=(?:{_UNITS})\b)", r"\1 per "),
    (r"(?<=\bper )hrs?\b|(?<=\bper )h\b", "hour"),
    (r"(?<=\bper )min\b", "minute"),
    (r"(?<=\bper )s(?:ec)?\b", "second"),
)
_MATHEMATICAL = re.compile(
    r"\s?([\u00ac\u2200-\u2211\u2213-\u2247\u2249-\u225f\u2261-\u2263\u2266-\u22ff\u2a00-\u2aff])(?=(?P<operand>[\w(\[])?)"
)
_NAMES = {"\u221a": "square root of", "\u221b": "cube root of", "\u221c": "fourth root of"}
_NAMES |= {"\u2211": "sum of", "\u220f": "product of", "\u222b": "integral of"}
_NAMES |= {"\u00ac": "not", "\u2261": "is identical to", "\u2213": "minus or plus"}


def in_words(text: str) -> str:
    """A text with its notation in words; runs of white space become one space."""
    text = _SPACES.sub(" ", without_brackets(plain(text)))
    text = " ".join(powers_in_words(grouped(text)).split())
    text = in_digits(_AND.sub(" and ", text))
    text = _MATHEMATICAL.sub(_name, ranges_in_words(signs_in_front(text)))
    text = _by_rules(_SIGNS, comparisons_in_words(text))
    text = _by_rules(_RATES, fractions_in_words(amounts_in_words(text)))
    return " ".join(text.split())


def _by_rules(rules: _Rules, text: str) -> str:
    for pattern, said in rules:
        text = pattern.sub(said, text)
    return text


def _name(found: re.Match[str]) -> str:
    """The name of a mathematical sign, such as "element of"."""
    name = unicodedata.name(found[1], "").lower().replace("-", " ")
    behind = " " if found["operand"] else ""
    return f"{' ' if found.start() else ''}{_NAMES.get(found[1], name)}{behind}"
