"""Ranges of numbers as they are said, and differences that look like them.

    >>> ranges_in_words("5-10 days, $5-10, 10%-20%, 20%-10%, (5)-(3), 5.5-6.5 and 555-1234")
    '5 to 10 days, 5 to $10, 10 to 20%, 20% minus 10%, (5) minus (3), 5.5 to 6.5 and 555-1234'

Numbers that rise are a range. Others are a difference if they have units or brackets, or before "="; plain ones may be a
score, and stay.
"""

from __future__ import annotations

import re

from adasr_trl.speech.money import CURRENCY, SCALE, scale_word

_DASH = r"[-\u2013\u2212~]"
_NUMBER = r"(?:\d{1,3}(?:,\d{3})++|\d{1,4})(?:\.\d++)?"
_MARK = rf"(?:{SCALE}|\s?%|\s?\u00b0(?:\s?[CF]\b)?|['\"\u201d])?"
_RANGE = re.compile(
    r"(?<!\d['\"])((?<![\w.,)\]\-\u2013])[-\u2212]|(?<![\d.,/\-\u2013]))(?!\d{3}-\d{4}\b)"
    rf"(?<!{CURRENCY})(?<!{CURRENCY}\s)(?:(?P<sign>{CURRENCY})\s?)?(?P<first>{_NUMBER})(?P<mark>{_MARK})"
    rf"(?P<dash>\s?{_DASH}\s?)"
    rf"(?:(?P<sign_2>{CURRENCY})\s?)?(?P<last>{_NUMBER})(?P<mark_2>{_MARK})"
    r"(?!/?\d|[-\u2013.,:]\d|-[A-Z]{2})(?P<equals>(?=\s?=))?"
)
_BRACKETED = re.compile(rf"(?<=\()({_NUMBER})\)\s?[-\u2013\u2212]\s?\(({_NUMBER})(?=\)(\s?=)?)")
_FRACTIONS = re.compile(
    r"(?<![\d/.\-\u2013])(\d{1,3})/(\d{1,3})[-\u2013](\d{1,3})/(\d{1,3})(?![\d/]|\.\d)"
)
_TIMES = re.compile(
    r"(?<![\w:.\-])(\d{1,2}(?::\d\d)?(?:\s?[ap]\.?m\b\.?)?)\s?[-\u2013]\s?(?=\d{1,2}:\d\d(?![\d:])|\d{1,2}\s?[ap]\.?m\b)",
    re.IGNORECASE,
)
_CALCULATION = re.compile(
    r"(?<![\w.,+*/\-])(?!\d{4}-\d\d-\d\d|\d{3}-\d{4}\b)\d[\d.,]*+(?:[-+*/\u00d7\u00f7\u2212][\d.,]++)++(?=\s?=)"
)
_LENGTHS = {"'": " feet", '"': " inches", "\u201d": " inches"}
_HEIGHT = re.compile(r"(?<![\d.,'])(\d{1,2})'\s?(\d{1,2})[\"\u201d](\s?[-\u2013]\s?(?=\d))?")
_POWERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}


def ranges_in_words(text: str) -> str:
    """A text with "to" and "minus" between numbers."""
    text = _CALCULATION.sub(lambda found: re.sub("[-\u2212]", " minus ", found[0]), text)
    text = _TIMES.sub(r"\1 to ", text)
    text = _RANGE.sub(_range, text)
    text = _HEIGHT.sub(_height, text)
    text = _BRACKETED.sub(_bracketed, text)
    return _FRACTIONS.sub(_fractions, text)


def _range(found: re.Match[str]) -> str:
    sign, sign_2 = (found[name] or "" for name in ("sign", "sign_2"))
    mark, mark_2 = found["mark"], found["mark_2"]
    is_plain = not (sign or sign_2 or mark)
    if is_plain and (found[1] or found["dash"] not in "-\u2013~"):
        return found[0]
    if (mark.strip(), mark_2) == ("'", '"'):  # feet and inches
        return f"{found[1]}{found['first']}'{found['last']}\""
    if found["equals"] is not None or not _rises(found):
        return found[0] if is_plain else _joined(found, " minus ")
    has_cents = bool(sign) and "." in found["first"] and not (mark or mark_2)
    if mark_2.strip().startswith(mark.strip()) and sign in ("", sign_2 or sign) and not has_cents:
        unit = _LENGTHS.get(mark_2, mark_2) if mark else mark_2
        return f"{found[1]}{found['first']} to {sign_2 or sign}{found['last']}{unit}"
    return _joined(found, " to ")


def _joined(found: re.Match[str], word: str) -> str:
    sign = found["sign"] or ""
    before = f"{found[1]}{sign}{found['first']}{found['mark']}"
    return f"{before}{word}{found['sign_2'] or sign}{found['last']}{found['mark_2']}"


def _rises(found: re.Match[str]) -> bool:
    powers = [_POWERS.get(scale_word(found[mark]), 0) for mark in ("mark", "mark_2")]
    first, last = (_value(found[name]) for name in ("first", "last"))
    first = -first if found[1] else first
    return first * 10.0 ** (powers[0] or powers[1]) < last * 10.0 ** powers[1]


def _height(found: re.Match[str]) -> str:
    feet = f"{found[1]} {'foot' if found[1] == '1' else 'feet'}"
    inches = f"{found[2]} {'inch' if found[2] == '1' else 'inches'}"
    return f"{feet} {inches}{' to ' if found[3] else ''}"


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _bracketed(found: re.Match[str]) -> str:
    is_range = _value(found[1]) < _value(found[2]) and not found[3]
    return f"{found[1]}) {'to' if is_range else 'minus'} ({found[2]}"


def _fractions(found: re.Match[str]) -> str:
    above, below, above_2, below_2 = map(int, found.groups())
    word = "to" if above * below_2 < above_2 * below else "minus"
    return f"{above}/{below} {word} {above_2}/{below_2}"
