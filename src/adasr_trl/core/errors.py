"""The error of a user's input, and the line of an error of the system."""

from __future__ import annotations


class UserError(ValueError):
    """A fault of the user's input; the message gives the value, the expected one and the remedy."""


def told(error: OSError) -> str:
    """What failed and why, in one line: ``data/train.jsonl: File too large``."""
    name = error.filename2 or error.filename or "input or output"  # moved files have two
    words = " ".join((error.strerror or str(error)).split())  # transformers' have several lines
    return f"{name}: {words}"
