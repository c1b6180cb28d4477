"""Fractions as they are said.

    >>> fractions_in_words("2-1/2 miles, 3/4 of it and 3/13, open 24/7")
    '2 and a half miles, 3 quarters of it and 3 over 13, open 24 7'

Two numbers are said for 24/7, 9/11, 20/20, and for shares of a hundred whose first is no smaller (50/50, 80/20), unless "of"
or a calculation shows a fraction.
"""

from __future__ import annotations

import re

_WORDS = "equals|plus|minus|times|divided"
_FRACTION = re.compile(
    r"(?<![\d/.])(?:(\d+)(\s)|(\d{1,3})([\-\u2013]))?(\d{1,3})/(\d{1,3})(?![\d/]|\.\d)"
    rf"(?P<fraction>(?=\s(?:of|as|{_WORDS})\b))?"
)
_CALCULATION = re.compile(rf"(?:{_WORDS}|by)\s$")
_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth"}
_PARTS |= {9: "ninth", 10: "tenth", 100: "hundredth"}
_PAIRS = ((24, 7), (9, 11), (20, 20))


def fractions_in_words(text: str) -> str:
    """A text with its fractions in words."""
    return _FRACTION.sub(_in_words, text)


def _in_words(fraction: re.Match[str]) -> str:
    whole, between = fraction[1] or fraction[3] or "", fraction[2] or fraction[4] or ""
    count, parts = int(fraction[5]), int(fraction[6])
    if _is_pair(fraction, count, parts):
        return f"{whole}{between}{count} {parts}"
    name = _PARTS.get(parts)
    said = f"{count} over {parts}" if name is None else f"{count} {name}"
    if name and count != 1:
        said = f"{count} halves" if parts == 2 else f"{said}s"
    if fraction[4] and not (name and count < parts):  # no mixed number
        return f"{whole}{between}{said}"
    return f"{whole} and {'a half' if said == '1 half' else said}" if whole else said


def _is_pair(fraction: re.Match[str], count: int, parts: int) -> bool:
    is_share = count + parts == 100 and count >= parts > 0
    if not (is_share or (count, parts) in _PAIRS) or fraction["fraction"] is not None:
        return False
    start = fraction.start()
    return not _CALCULATION.search(fraction.string[max(0, start - 10) : start])
