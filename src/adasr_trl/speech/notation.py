"""Notation as it is said: amounts of money, signs, operators, fractions, times and ranges. English; numbers stay digits.

    >>> in_words("-5\u00b0F, 3 + 4 = 7, \u00a35 and 2\u00bd cups at 5:00")
    "minus 5 degrees Fahrenheit, 3 plus 4 equals 7, 5 pounds and 2 and a half cups at 5 o'clock"

Synthesisers read "\u00a35" as "pound five", and "5 - 3" without its minus.
"""

from __future__ import annotations

import re

from adasr_trl.speech.plain_text import plain
from adasr_trl.speech.powers import grouped, powers_in_words
from adasr_trl.speech.roman import in_digits

_UNITS = {"$": ("dollar", "dollars"), "\u00a3": ("pound", "pounds"), "\u20ac": ("euro", "euros")}
_UNITS |= {"\u00a5": ("yen", "yen"), "\u20b9": ("rupee", "rupees")}
_HUNDREDTHS = {"\u00a3": "pence"}  # else cents
_MONEY = "[" + "".join(_UNITS) + "]"
_AMOUNT = re.compile(
    rf"({_MONEY})\s?(\d[\d,]*)(\.\d+)?(?!\.?\d)(\s(?:hundred|thousand|million|billion))?"
)
_FRACTION = re.compile(r"(?<![\d/.])(?:(\d+)\s)?(\d{1,3})/(\d{1,3})(?![\d/]|\.\d)")
_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth"}
_PARTS |= {9: "ninth", 10: "tenth", 100: "hundredth"}
_SPACES = re.compile(r"[ \t\n\r\f\v]+")
_RANGE = re.compile(
    r"(?<![\d.,/-])(?!\d{3}-\d{4}\b)(\d{1,4})[-\u2013](\d{1,4})(?![\d/]|[-\u2013.,:]\d|\s?=)"
)
_LEFT, _RIGHT = r"(?<=\d)\s*", rf"\s*(?={_MONEY}?\.?\d)"  # of an operator between numbers
_SIGNS = [
    (re.compile(pattern, re.IGNORECASE), said)
    for pattern, said in (
        (rf"{_LEFT}\+{_RIGHT}", " plus "),
        (rf"{_LEFT}[\u00d7*]{_RIGHT}", " times "),
        (rf"{_LEFT}\u00f7{_RIGHT}", " divided by "),
        (rf"(?<=\d)(?:\u2212|-(?=\d+\s?=)){_RIGHT}", " minus "),
        (rf"(?<=[\w%)])\s*=\s*(?=[\w(\u2212-]|{_MONEY})", " equals "),
        (rf"(?<=\d)\s+[-\u2212]\s+(?={_MONEY}?\d)", " minus "),
        (rf"(?<![\w.,)\]-])[-\u2212](?={_MONEY}?\.?\d)", "minus "),
        (r"(?<=\d)\s*%", " percent"),
        (r"\s*\u00b0\s?F\b", " degrees Fahrenheit"),
        (r"\s*\u00b0\s?C\b", " degrees Celsius"),
        (r"(?<=\d)\s*\u00b0", " degrees"),
        (r"(?<=\d)\u00a2", " cents"),
        (r"#(?=\d)", "number "),
        (r"\s*&\s*", " and "),
        (r"\b(1[0-2]|0?[1-9]):00(?=\s?[ap]\.?\s?m\b)", r"\1"),
        (r"\b(1[0-2]|0?[1-9]):00\b(?!:)", r"\1 o'clock"),
        (r"(?<=\d),(?=\d)(?!\d{3}(?!\d))(?!\d\d,\d\d)", ", "),
    )
]


def in_words(text: str) -> str:
    """A text with its notation in words."""
    text = " ".join(powers_in_words(grouped(_SPACES.sub(" ", plain(text)))).split())
    text = _RANGE.sub(_spoken_range, in_digits(text))
    for pattern, said in _SIGNS:
        text = pattern.sub(said, text)
    return _FRACTION.sub(_spoken_fraction, _AMOUNT.sub(_spoken_amount, text))


def _spoken_range(found: re.Match[str]) -> str:
    first, last = found[1], found[2]
    return f"{first} to {last}" if int(first) < int(last) else found[0]


def _spoken_amount(amount: re.Match[str]) -> str:
    one, many = _UNITS[amount[1]]
    whole, cents, scale = amount[2].rstrip(","), amount[3] or "", amount[4] or ""
    behind = amount[2][len(whole) :]
    if scale:
        return f"{whole}{cents}{scale} {many}{behind}"
    unit = one if whole == "1" else many
    if not cents or cents == ".00":
        return f"{whole} {unit}{behind}"
    if len(cents) != 3:
        return f"{whole}{cents} {many}{behind}"
    hundredths = _HUNDREDTHS.get(amount[1], "cents")
    return f"{whole} {unit} and {int(cents[1:])} {hundredths}{behind}"


def _spoken_fraction(fraction: re.Match[str]) -> str:
    whole, count, parts = fraction[1], fraction[2], int(fraction[3])
    name = _PARTS.get(parts)
    said = f"{count} over {parts}" if name is None else f"{count} {name}"
    if name and count != "1":
        said = f"{count} halves" if parts == 2 else f"{said}s"
    if whole and said == "1 half":
        said = "a half"
    return f"{whole} and {said}" if whole else said
