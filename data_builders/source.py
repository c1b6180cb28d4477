"""What a source of episodes is: a module with two functions, listed in ``SOURCES``.

    NAME = "gsm8k"
    def add_options(parser: argparse.ArgumentParser) -> None: ...
    def build(options: argparse.Namespace) -> Iterator[Episode | Rejected | Count]: ...

``build`` yields an Episode for each row that can be used, a Rejected for each that cannot, and a Count for whatever
else the manifest should tell. An episode whose ``source.split`` is "" is put into train or test by the hash of its
group; a source that splits by itself (the ledger) sets "train" or "test".
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from adasr_trl.episode import Episode

SOURCES = {
    "ledger": "stories in which things change hands, procedural, with exact traces",
    "gsm8k": "grade-school word problems with calculator steps (GSM8K, GSM-Symbolic)",
    "custom": "any JSON Lines or Hub set, by the names of its columns",
}
UNSPLIT = ""


class BuildError(ValueError):
    """A build that cannot go on; the message names the file and line, or the flag."""


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


class SourceModule(Protocol):
    """A module of this package that builds episodes."""

    NAME: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the source's own options."""

    def build(self, options: argparse.Namespace) -> Iterator[Episode | Rejected | Count]:
        """Yield what becomes of each row, in the order of the input."""


def load_source(name: str) -> SourceModule:
    """The module of the source ``name``; one that is not asked for is never imported."""
    if name not in SOURCES:
        raise BuildError(f"unknown source {name!r}; known are {', '.join(SOURCES)}.")
    return cast(SourceModule, importlib.import_module(f"data_builders.{name}"))
