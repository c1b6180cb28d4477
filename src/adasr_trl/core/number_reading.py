r"""Quantities in prose, read whole or not at all.

    >>> [quantity.value for quantity in quantities("2½ cups; 1,00,000 rupees; 1.5 x 10^3 m")]
    [Fraction(5, 2), Fraction(100000, 1), Fraction(1500, 1)]
    >>> quantities("at 10:30")[0].value is None
    True

A quantity is the longest expression around its digits: sign (also in words), digit groups of several conventions,
decimals, fractions, powers of ten, magnitudes ("5 million"). An expression that is not understood, or that its words
change (``number_context``), has no value: a part of it never stands for the whole. Units and percent signs do not count. Numbers written as words are not read,
but for "five (5)".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from adasr_trl.core.characters import INVISIBLE, plain
from adasr_trl.core.number_context import REACH, changes_value, is_bracketed
from adasr_trl.core.number_words import NUMBER_WORD, spelled

# ruff: noqa: RUF001, RUF002 - typographic signs are meant
MAX_DIGITS = 100  # of one quantity, in characters
MAGNITUDES = {
    "dozen": 12,
    "hundred": 10**2,
    "k": 10**3,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
_HALVES = {"half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4)}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")

_GROUPED = (  # conventions for groups of digits; \d{2} groups are Indian
    r"(?!0)[0-9]{1,3}(?:(?:,|\{,\}|\\,|,\\!)[0-9]{3})++(?![0-9])(?:\.[0-9]++)?"
    r"|(?!0)[0-9]{1,2}(?:,[0-9]{2}(?=,)){1,9},[0-9]{3}(?![0-9])(?:\.[0-9]++)?"
    r"|(?!0)[0-9]{1,3}(?:[ '_][0-9]{3})++(?![0-9])(?:[.,][0-9]++)?"
    r"|(?!0)[0-9]{1,3}(?:\.[0-9]{3})++,[0-9]++|(?!0)[0-9]{1,3}(?:\.[0-9]{3}){2,}+(?![0-9])"
)
_DECIMAL_COMMA = r"(?:0,[0-9]{3}|[0-9]++,(?:[0-9]{1,2}|[0-9]{4,}))(?![0-9])"
_KEYCAPS = rf"(?:[0-9]{INVISIBLE}?\u20e3)++"
_DECIMAL = rf"{_KEYCAPS}|{_GROUPED}|{_DECIMAL_COMMA}|[0-9]++(?:\.[0-9]++)?|\.[0-9]++"
_VALUE = rf"(?:{_DECIMAL})(?:[eE][-+]?[0-9]{{1,3}}(?![0-9A-Za-z]))?"
_VULGAR = "[¼½¾⅐-⅞]"
_QUANTITY = re.compile(
    rf"""(?:\b(?P<sign_word>[Nn]egative|[Mm]inus)\s)?(?:(?<![\w)\]}}])(?P<sign>[-+]))?
    (?:(?P<currency>\\?[$£€¥₹]|Rs\.?)\s?(?P<minus>-)?)?(?<![A-Za-z0-9_\u0370-\u052f])(?<![0-9]\.)
    (?: (?:(?P<whole>[0-9]++)\s?)? \\[dtc]?frac\s?
        (?: \{{\s?(?P<latex_top>-?(?:{_VALUE}))\s?\}}\s?\{{\s?(?P<latex_bottom>-?(?:{_VALUE}))\s?\}}
          | (?P<short_top>[0-9])\s?(?P<short_bottom>[0-9]) )
      | (?P<mixed>[0-9]++)\s(?:and\s)?(?P<mixed_top>[0-9]++)/(?P<mixed_bottom>[0-9]++)
      | (?:(?P<vulgar_whole>[0-9]++)\s?)?(?P<vulgar>{_VULGAR})
      | (?P<top>{_VALUE})(?:\s?/\s?(?P<bottom>{_VALUE}))? )
    (?:\s(?:and|&)\s(?:(?:a|one)\s(?P<half>half|third|quarter)|(?P<bare_half>half(?!\sof)))\b)?
    (?:(?P<superscript>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}}))?
    (?:\s?(?:[x×*·]|\\times|\\cdot)\s?10
       (?:\s?\^\s?\{{?(?P<ten>[-+]?[0-9]{{1,3}})\}}?|(?P<ten_superscript>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}})))?
    (?P<magnitudes>[kK](?![A-Za-z0-9])
       |(?i:(?:[\s-](?:hundred|thousand|lakh|million|crore|billion|trillion|dozen)s?(?![A-Za-z])){{1,2}}+))?""",
    re.VERBOSE,
)
# "five (5)", "five dollars ($5)": the words before the brackets say the same.
_SAID_TWICE = re.compile(
    rf"((?:{NUMBER_WORD}[\s-](?:and\s)?){{1,8}})(?:[a-z]+\s)?\($", re.IGNORECASE
)
_CLOSED = re.compile(r"\\?%?\s?\)")
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Quantity:
    """A quantity in a text: its value, or None where it is not understood, and its offsets."""

    value: Fraction | None
    start: int
    end: int


def quantities(text: str) -> list[Quantity]:
    """All quantities of a text in order."""
    text = plain(text)
    return [_quantity(match, text) for match in _QUANTITY.finditer(text)]


def without_quantities(text: str) -> str:
    """The text without its quantities."""
    return _QUANTITY.sub("", plain(text))


def _quantity(match: re.Match[str], text: str) -> Quantity:
    before, behind = text[max(0, match.start() - REACH) : match.start()], text[match.end() :]
    is_money = match["currency"] is not None
    if before.endswith("(") and (closed := _CLOSED.match(behind)):
        words = _SAID_TWICE.search(before)
        if words and spelled(words[1]) == _value(match):
            before, behind = before[: words.start()], behind[closed.end() :]
    value = None
    if not changes_value(before, match.group(), behind, is_money=is_money):
        value = _value(match)
        if value is not None and is_bracketed(before, behind):
            value = -value if is_money and value > 0 else None  # "($5)" as accounts write a loss
    return Quantity(value, match.start(), match.end())


def _value(match: re.Match[str]) -> Fraction | None:
    """The exact value of a match; None for a denominator of zero or far too many digits."""
    if len(match.group()) > MAX_DIGITS:
        return None
    parts = match.groupdict()
    if parts["vulgar"]:
        top, bottom = _vulgar(parts["vulgar"]), Fraction(1)
    else:
        top = _exact(next(part for name, part in parts.items() if part and name.endswith("top")))
        bottom = _exact(
            next((part for name, part in parts.items() if part and name.endswith("bottom")), "1")
        )
    if bottom == 0:
        return None
    value = _exact(parts["whole"] or parts["mixed"] or parts["vulgar_whole"] or "0") + top / bottom
    half = parts["half"] or parts["bare_half"]
    value += _HALVES[half] if half else 0
    if parts["superscript"]:
        power = int(parts["superscript"].translate(_SUPERSCRIPT))
        if abs(power) > 10 or value == 0 or len(match.group()) > 20:
            return None
        value **= power
    ten = parts["ten"] or (parts["ten_superscript"] or "0").translate(_SUPERSCRIPT)
    value *= Fraction(10) ** int(ten)
    for magnitude in re.findall("[a-z]+", (parts["magnitudes"] or "").lower()):
        value *= MAGNITUDES[magnitude if magnitude == "k" else magnitude.removesuffix("s")]
    is_negative = parts["sign"] == "-" or parts["minus"] or parts["sign_word"]
    return -value if is_negative else value


def _vulgar(character: str) -> Fraction:
    """The value of "½", from its decomposition "1⁄2"."""
    top, _, bottom = unicodedata.normalize("NFKC", character).partition("⁄")
    return Fraction(int(top), int(bottom))


def _exact(digits: str) -> Fraction:
    """The value of digits in any convention of ``_VALUE``."""
    mantissa, _, exponent = digits.lower().partition("e")
    mantissa = re.sub(rf"[{{}}\\! '_{INVISIBLE}\u20e3]", "", mantissa)
    if re.fullmatch(
        r"-?(?:[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|0,[0-9]{3}|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))",
        mantissa,
    ):
        mantissa = mantissa.replace(".", "").replace(",", ".")  # decimal comma
    elif mantissa.count(".") > 1:
        mantissa = mantissa.replace(".", "")  # groups with stops
    return Fraction(mantissa.replace(",", "")) * Fraction(10) ** int(exponent or 0)


def last_numbers(thoughts: Sequence[str]) -> list[str | None]:
    """The last number of each thought, as it is written."""
    numbers = [_PLAIN_NUMBER.findall(thought) for thought in thoughts]
    return [values[-1] if values else None for values in numbers]


def latest_number(thoughts: Sequence[str]) -> Fraction | None:
    """The last number that any of the thoughts has."""
    values = [value for value in last_numbers(thoughts) if value is not None]
    return Fraction(values[-1]) if values else None
