"""Numbers that JSON has no form for, by one rule: an infinite one or none stands as text.

>>> plain_numbers({"words_per_minute": math.inf, "logprobs": (-0.5, math.nan)})
{'words_per_minute': 'inf', 'logprobs': [-0.5, 'nan']}
>>> number("inf")
inf

``json.dumps`` would write Infinity and NaN, which no other reader of JSON takes, and ``json.loads`` takes them in silence.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

NOT_FINITE = ("inf", "-inf", "nan")


def plain_numbers(value: object) -> object:
    """The same dictionaries and lists, with such numbers as text; other values stay."""
    if isinstance(value, dict):
        return {key: plain_numbers(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(child) for child in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float | str) -> float:
    """The number that such a value stands for; a ValueError for any other text."""
    if isinstance(value, str) and value not in NOT_FINITE:
        raise ValueError(f"got {value!r}; expected a number, or {', '.join(NOT_FINITE)}.")
    return float(value)


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text; a ValueError where it has the words NaN or Infinity, which are no JSON."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(word: str) -> NoReturn:
    raise ValueError(
        f"got {word}, which is no JSON; expected a number, or text ({', '.join(NOT_FINITE)})."
    )
