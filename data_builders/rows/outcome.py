"""Outcomes of a row that are no episode: a rejection, or something to count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        row: Where it stands, such as ``gsm8k.jsonl:12``.
        reason: A short code under which it is counted, such as ``bad_gold``.
        detail: What is wrong with it, in words.
    """

    row: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Count:
    """Adds ``by`` to the number that the manifest shows under ``name``."""

    name: str
    by: int = 1
