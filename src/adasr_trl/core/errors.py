"""The error of a user's input."""

from __future__ import annotations


class UserError(ValueError):
    """A fault of the user's input; the message gives the value, the expected one and the remedy."""
