"""The error of a user's input, and errors of the system and of libraries in one line."""

from __future__ import annotations


class UserError(ValueError):
    """A fault of the user's input; the message gives the value, the expected one and the remedy."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; the name of its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def told(error: OSError) -> str:
    """What failed and why, in one line: ``data/train.jsonl: File too large``."""
    name = error.filename2 or error.filename or "input or output"  # moved files have two
    words = " ".join((error.strerror or str(error)).split())  # transformers' have several lines
    return f"{name}: {words}"
