"""The error of a user's input."""

from __future__ import annotations


class UserError(ValueError):
    """Something only the user can fix; the message says what was got, what was expected and what to do."""
