"""Outcomes of a row beside episodes: a rejection, or an addition to a count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        row: Where it stands, such as ``gsm8k.jsonl:12``.
        reason: A short code under which it is counted, such as ``bad_gold``.
        detail: The fault in words.
    """

    row: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Count:
    """Adds ``by`` to the manifest's count ``name``."""

    name: str
    by: int = 1
