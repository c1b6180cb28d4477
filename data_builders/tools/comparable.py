"""The words of a text in the form in which typed and heard ones are compared.

    words_of("Three 10-dollar bills, 1/5 of it.")
    ['3', '$10', 'bills', 'one', '5th', 'of', 'it']

It is that of Whisper's own normaliser behind ``speakable``: lower case, without marks, numbers as digits. That one joins what
nobody says as one number ("one fifth" is 15th, "three ten dollar bills" are $310), and takes millimetres for a hum. Here they
are kept apart.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from adasr_trl.speech.spoken_form import speakable

_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_NUMBER = f"(?:{_ONES}|{_TEENS}|{_TENS})"
_SMALL_ORDINAL = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth"
_ORDINAL = (
    rf"(?:{_SMALL_ORDINAL}|(?:ten|eleven|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)th"
    r"|twelfth|(?:twent|thirt|fort|fift|sixt|sevent|eight|ninet)ieth)\b"
)
# Units in the singular: "ten dollar bills" are bills of ten dollars.
_UNIT = (
    "(?:dollar|cent|pound|euro|penny|inch|foot|yard|mile|meter|metre|gallon|liter|litre|quart|pint|ounce|gram|kilogram|ton"
    r"|second|minute|hour|day|week|month|year|page|piece|point|pack)\b"
)
_SCALE = "(?:hundred|thousand|million|billion|trillion)"
_SHORT_UNITS = {  # as recognisers write what was said in full
    "kgs?|kilograms?": "kilograms",
    "kms?|kilomet(?:er|re)s?": "kilometers",
    "cms?|centimet(?:er|re)s?": "centimeters",
    "mls?|millilit(?:er|re)s?": "milliliters",
    "lbs?|pounds?": "pounds",
    "ozs?|ounces?": "ounces",
    "ft|foot|feet": "feet",
    "hrs?|hours?": "hours",
    "mins?|minutes?": "minutes",
    "secs?": "seconds",
    "mph|miles? (?:per|an) hour": "miles per hour",
}
_ADJECTIVE = rf"{_NUMBER}(?:-(?!{_NUMBER}\b)[a-z]|[\s-]{_UNIT})"
_APART = " ; "
# What is written in several ways, and what the normaliser would misread ("O'Brien" as "0 brien").
_ONE_WAY = [
    (re.compile(pattern, re.IGNORECASE), one_way)
    for pattern, one_way in (
        (r"((?:\d,?){40})(?=\d)", rf"\1{_APART}"),  # Python reads no number of 4300 digits
        (r"\bcannot\b", "can not"),
        (r"\bo'(?=[a-z])", "o"),
        (r"\s*\b([ap])\.?\s?m\b\.?", r" \1m"),
        (r"\bone and (?:a|one|1) half\b", "1.5"),
        (r"\b(\d+) and (?:a|one|1) half\b", r"\1.5"),
        (r"\b(one|1)[\s-]fourth\b", r"\1 quarter"),
        (r"(?<!ty-)\bfourths\b", "quarters"),
        (rf"(?<!half )\ba[\s-](?={_SCALE}\b(?![\s-]{_UNIT}))", "one "),
        (r"(?<=\d)\s?x\s?(?=\d)", " times "),
        (rf"(\d|\b{_NUMBER}|\bhundred|\bthousand)[\s-]?mm\b", r"\1 millimeters"),
        (r"\bmillimet(?:er|re)s?\b", "millimeters"),
        (rf"(?<=\d)[\s-](?={_NUMBER}\b|(?:zero|oh)\b|{_ORDINAL})", _APART),
        (rf"\b({_ONES}|{_TEENS})[\s-](?={_ORDINAL})", rf"\1{_APART}"),
        (r"\b(one|1)[\s-](?=(?:hundred|thousand)th\b)", rf"\1{_APART}"),
        (rf"\b({_ONES}|ten|eleven|twelve)[\s-](?=(?:{_TEENS}|{_TENS})\b)", rf"\1{_APART}"),
        (rf"\b({_ONES}|{_TEENS})[\s-](?={_ADJECTIVE})", rf"\1{_APART}"),
        (rf"\b({_TENS})[\s-](?!(?:{_ONES})\b)(?={_ADJECTIVE})", rf"\1{_APART}"),
        *(
            (rf"(\d|\b{_NUMBER}|\b{_SCALE})[\s-]?(?:{short})\b(?:\.(?=\s[a-z]))?", rf"\1 {unit}")
            for short, unit in _SHORT_UNITS.items()
        ),
    )
]
# The normaliser leaves out what stands in brackets, and joins "5 (five)" and "3, 4" to one number.
_BREAK = re.compile(r"[()\[\]<>{}]|[,;:.?!](?=\s)")
_POINT = re.compile(r"\.\d")
# "$5 to $10" is "5 to 10 dollars".
_RANGES = [
    (re.compile(pattern), one_way)
    for pattern, one_way in (
        (r"(?<!\S)([$\u00a3\u20ac\u00a2])(\S+) to (?=\1)", r"\2 to "),
        (r"(?<=\w)% to (?=\S+%)", " to "),
        (r"(?<=\w) (degrees(?: celsius| fahrenheit)?) to (?=\S+ \1)", " to "),
    )
]


def words_of(text: str) -> list[str]:
    """The words of a text, comparable."""
    text = speakable(text)
    for pattern, one_way in _ONE_WAY:
        text = pattern.sub(one_way, text)
    words = " ".join(map(_normaliser(), _BREAK.split(text))).split()
    text = " ".join(f"0{word}" if _POINT.match(word) else word for word in words)
    for pattern, one_way in _RANGES:
        text = pattern.sub(one_way, text)
    return text.split()


@functools.cache
def _normaliser() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    normaliser: Callable[[str], str] = EnglishTextNormalizer({})
    return normaliser
