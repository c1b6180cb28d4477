"""The numbers that thoughts come to, to compare a rollout's with its episode's own trace.

>>> last_numbers(["Tom 5", "", "Tom 5 + 3 = 8"])
['5', None, '8']
>>> latest_number(["Tom 5", ""])
Fraction(5, 1)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def last_numbers(thoughts: Sequence[str]) -> list[str | None]:
    """The last number of each thought, as it is written."""
    found = [_NUMBER.findall(thought) for thought in thoughts]
    return [each[-1] if each else None for each in found]


def latest_number(thoughts: Sequence[str]) -> Fraction | None:
    """The last number that any of the thoughts has."""
    values = [value for value in last_numbers(thoughts) if value is not None]
    return Fraction(values[-1]) if values else None
