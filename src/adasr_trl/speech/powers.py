"""Powers and long numbers: "^" in words, and groups of thousands that white space parts.

    >>> powers_in_words("10^2 m^3, 2^10 and 10^-3"), grouped("1 000 000 of 2 300")
    ('10 squared m cubed, 2 to the power of 10 and 10 to the power of -3', '1,000,000 of 2 300')

Groups that might be several numbers stay apart.
"""

from __future__ import annotations

import re

_POWER = re.compile(
    r"(?<=[^\W_]|[)\]])(?:\s?\^\s?(?=[-+\u2212]?\d)|\^|\*\*(?=\d)|(?<=\d)\s\*\*\s(?=\d))"
    r"(?:\{([^{}]{1,20})\}|([-+\u2212]?(?:\d+(?:[.,]\d+)*|[^\W_](?![^\W_])))|(?=\())"
)
_LONG_WORD = re.compile(r"[^\W\d_]{3}$")
_SPACES = " \u00a0\u2007\u2009\u202f"
_GROUPS = re.compile(
    rf"(?<![\w.,])(?<!\d[{_SPACES}])([1-9]\d{{0,2}})((?:[{_SPACES}]\d{{3}})+)(?![\w\u00b2\u00b3]|[{_SPACES}]\d|,\d|-\d{{4}}\b)"
)
_GROUP = re.compile(rf"[{_SPACES}](?=\d{{3}})")


def powers_in_words(text: str) -> str:
    """A text with its powers in words; other "^" are a part of pictures."""
    return _POWER.sub(_power, text).replace("^", " ")


def _power(found: re.Match[str]) -> str:
    exponent = found[1] or found[2] or ""
    behind = " " if found.string[found.end() : found.end() + 1].isalnum() else ""
    if exponent in ("2", "3"):
        return f" {'squared' if exponent == '2' else 'cubed'}{behind}"
    if exponent and _LONG_WORD.search(found.string, max(0, found.start() - 3), found.start()):
        return f" {exponent}{behind}"  # the number of a note
    return f" to the power of {exponent}{behind}"


def grouped(text: str) -> str:
    """A text with commas between the groups of a number, where they surely are one number."""
    return _GROUPS.sub(_joined, text)


def _joined(found: re.Match[str]) -> str:
    is_sure = " " not in found[2] or " 0" in found[2]  # no number begins with 0
    return f"{found[1]}{_GROUP.sub(',', found[2])}" if is_sure else found[0]
