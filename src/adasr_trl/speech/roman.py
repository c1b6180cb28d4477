"""Roman numerals, read only where they are surely numbers.

    >>> in_digits("In World War II, Part I of Act IV. The part I like.")
    'In World War 2, Part 1 of Act 4. The part I like.'

"Henry I" and "Plan V" stay.
"""

from __future__ import annotations

import re

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_NUMERAL = re.compile("M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_PARTS = "Act|Appendix|Article|Book|Canto|Chapter|Episode|Lesson|Part|Phase|Scene|Section|Stage|Type|Unit|Volume"
_NUMBERED = re.compile(
    rf"\b(?:(World War)\s([IVX]+)|(War|Super Bowl|Vol\.|(?i:{_PARTS}))\s([IVXL]{{2,}})"
    rf"|({_PARTS})\s([VX]|I(?=[.,;:)?!]|$|\s(?:of|is|has|begins|ends)\b)))\b"
)


def roman_number(letters: str) -> int | None:
    """The value of capital letters as a Roman numeral; None for other letters."""
    if not letters or not _NUMERAL.fullmatch(letters):
        return None
    values = [_VALUES[letter] for letter in letters]
    behind = [*values[1:], 0]
    return sum(
        -value if value < larger else value for value, larger in zip(values, behind, strict=True)
    )


def in_digits(text: str) -> str:
    """A text with the numerals behind "Chapter" and its like in digits."""
    return _NUMBERED.sub(_numbered, text)


def _numbered(found: re.Match[str]) -> str:
    place, letters = (part for part in found.groups() if part)
    number = roman_number(letters)
    return f"{place} {number}" if number else found[0]
