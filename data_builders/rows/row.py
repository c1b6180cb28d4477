"""One row of a data set, and the options that every source of rows has.

    >>> Row("rows.jsonl:1", 1, "1", {"answer": 8}).text("answer")
    '8'

Where rows come from is in ``inputs``; how text is cut and shaped in ``assemble`` and ``shape``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.core.episode import Source
from data_builders.errors import BuildError

UNSPLIT = ""  # split of an episode that the hash of its group decides


@dataclass(frozen=True)
class Row:
    """One row of the input.

    Attributes:
        where: File and line, or set and index, for messages.
        number: Its line (from 1) or index (from 0).
        key: Its key, where the input has keys; else its number.
        columns: The row itself.
    """

    where: str
    number: int
    key: str
    columns: Mapping[str, object]

    def get(self, column: str) -> object:
        """The value in ``column``; a BuildError names the columns that exist."""
        if column not in self.columns:
            known = ", ".join(self.columns) or "none"
            raise BuildError(f"{self.where}: no column {column!r}; the row has {known}.")
        return self.columns[column]

    def text(self, column: str) -> str:
        """The value in ``column`` as text; a number becomes its digits, null becomes ""."""
        value = self.get(column)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BuildError(
                f"{self.where}: column {column!r} is {kind_of(value)}, expected text or a number."
            )
        return str(value)

    def text_or(self, column: str, default: str) -> str:
        """The same, or ``default`` where there is no such column or it is empty."""
        return (self.text(column) if column in self.columns else "") or default

    def joined(self, column: str) -> str:
        """The same for text, or a list of texts, which a space joins."""
        value = self.get(column)
        return " ".join(self.texts(column)) if isinstance(value, list) else self.text(column)

    def texts(self, column: str) -> tuple[str, ...]:
        """The value in ``column`` as a list of texts."""
        value = self.get(column)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BuildError(
                f"{self.where}: column {column!r} is {kind_of(value)}, expected a list of texts."
            )
        return tuple(value)


def add_options(parser: argparse.ArgumentParser, *, licence: str) -> None:
    """Where rows come from, and under which licence."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--input", type=Path, metavar="FILE", help="a file of rows: .jsonl, .json or .parquet"
    )
    place.add_argument("--hub", metavar="ID", help="a data set on the Hub, such as openai/gsm8k")
    add_hub_options(parser)
    parser.add_argument(
        "--licence", default=licence, help=f"the rows' licence (default: {licence})"
    )


def add_hub_options(parser: argparse.ArgumentParser) -> None:
    """Which part of a set on the Hub."""
    parser.add_argument("--subset", help="the Hub set's configuration, such as main")
    parser.add_argument("--split", default="train", help="the Hub set's split (default: train)")
    parser.add_argument("--revision", help="the source's revision; the commit to load from the Hub")


def source_of(name: str, options: argparse.Namespace) -> Source:
    """The provenance of an input's episodes; their split is still open."""
    return Source(name, options.revision_read, options.licence, UNSPLIT)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "a JSON object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
