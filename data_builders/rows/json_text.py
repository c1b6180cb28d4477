r"""JSON as others write it: numbers print as written, NaN is null, a key that stands twice is ambiguous.

>>> str(parse(b'{"a": 9007199254740993.0}')["a"])
'9007199254740993.0'
>>> [row["a"] for row in parse_several(b'{"a": 1},\n{"a": 2}')]
[1, 2]
"""

from __future__ import annotations

import json
import re
from typing import Any

from data_builders.rows.python_text import CutOffError, read_python

_SEPARATORS = " \t\r\n,"
_LIST_OF_TEXTS = re.compile(r"\[\s*['\"].*['\"]\s*\]", re.DOTALL)


class JsonError(ValueError):
    """Text that is no JSON; the message gives the reason and the place in the text."""


class Written(float):
    """A number that prints as it was written: 9007199254740993.0, not ...992.0."""

    text: str

    def __new__(cls, text: str) -> Written:
        """Read a number."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        """The digits as they were written."""
        return self.text


class Doubled(dict[str, object]):
    """An object in which a key stands twice; reading that key is refused."""

    doubled: frozenset[str]


def object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object of some keys and values; a key that stands twice is noted."""
    columns = dict(pairs)
    if len(columns) == len(pairs):
        return columns
    names = [name for name, _ in pairs]
    ambiguous = Doubled(columns)
    ambiguous.doubled = frozenset(name for name in columns if names.count(name) > 1)
    return ambiguous


_DECODER = json.JSONDecoder(
    object_pairs_hook=object_of, parse_float=Written, parse_constant=lambda _: None
)


def parse(data: bytes) -> Any:
    """The value that UTF-8 text holds (JsonError)."""
    text = _decoded(data)
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise _named(error) from None


def parse_several(data: bytes) -> list[Any]:
    """Values one after another, with white space or commas between them (JsonError)."""
    text, position = _decoded(data), 0
    values: list[Any] = []
    while True:
        while position < len(text) and text[position] in _SEPARATORS:
            position += 1
        if position == len(text):
            return values
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise _named(error) from None
        values.append(value)


def list_in_text(text: str) -> object:
    """The list or object that a text spells in JSON or Python, as cells of tables do; None for any other text.

    A JsonError for a list of texts that is broken or was cut off.
    """
    if not text.startswith(("[", "{")) or not text.endswith(("]", "}")):
        return None
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        pass
    try:
        value = read_python(text)
    except CutOffError as error:
        raise JsonError(str(error)) from None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if _LIST_OF_TEXTS.fullmatch(text):
            raise JsonError("is a list of texts with a fault; write it as JSON") from None
        return None
    return value if isinstance(value, list | dict) else None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 text (byte {error.start + 1}); say --encoding") from None


def _named(error: Exception) -> JsonError:
    if isinstance(error, json.JSONDecodeError):
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}"
        bracket = error.doc[error.pos : error.pos + 1]
        if bracket in ("]", "}") and error.doc[: error.pos].rstrip().endswith(","):
            return JsonError(f"invalid JSON (a comma before {bracket!r} at {place}; remove it)")
        return JsonError(f"invalid JSON ({error.msg} at {place})")
    if isinstance(error, RecursionError):
        return JsonError("invalid JSON (nested too deep)")
    # An integer of more digits than Python converts.
    return JsonError(f"invalid JSON ({str(error).partition(';')[0]})")
