"""One row of a data set, and the options of every source that reads rows.

    >>> Row("rows.jsonl:1", 1, "1", {"answer": 8}).text("answer")
    '8'

File formats are in ``inputs``. Text is cut and shaped in ``text``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
        columns: Values by column name.
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
        """The value in ``column`` as text: a number as its digits, null as ""."""
        value = self.get(column)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong_type(column, "text or a number")
        return str(value)

    def text_or(self, column: str, default: str) -> str:
        """The text in ``column``, or ``default`` for a missing or empty one."""
        return (self.text(column) if column in self.columns else "") or default

    def joined(self, column: str) -> str:
        """The text in ``column``; a list of texts is joined by spaces."""
        value = self.get(column)
        return " ".join(self.texts(column)) if isinstance(value, list) else self.text(column)

    def texts(self, column: str) -> tuple[str, ...]:
        """The list of texts in ``column``."""
        value = self.get(column)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong_type(column, "a list of texts")
        return tuple(value)

    def nested(self, column: str, columns: object) -> Row:
        """A row for the object inside ``column``; anything but a mapping has no columns."""
        inner = columns if isinstance(columns, Mapping) else {}
        return Row(f"{self.where}: {column}", self.number, self.key, inner)

    def _wrong_type(self, column: str, expected: str) -> BuildError:
        got = kind_of(self.columns[column])
        return BuildError(f"{self.where}: column {column!r} is {got}, expected {expected}.")


class Rows(Protocol):
    """An input, or the numbers of a generator."""

    def __len__(self) -> int:
        """Rows, for the progress line; blank lines of a file may count."""

    def __iter__(self) -> Iterator[Row]:
        """The rows in their order; memory must not grow with their number."""


def add_options(parser: argparse.ArgumentParser, *, licence: str) -> None:
    """The input and its licence."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--input", type=Path, metavar="FILE", help="a file of rows: .jsonl, .json or .parquet"
    )
    place.add_argument("--hub", metavar="ID", help="a data set on the Hub, such as openai/gsm8k")
    parser.add_argument("--subset", help="the Hub set's configuration, such as main")
    parser.add_argument("--split", default="train", help="the Hub set's split (default: train)")
    parser.add_argument("--revision", help="the source's revision; the commit to load from the Hub")
    parser.add_argument(
        "--licence", default=licence, help=f"the rows' licence (default: {licence})"
    )


def source_of(name: str, options: argparse.Namespace) -> Source:
    """Provenance of an input's episodes; their split is still open."""
    return Source(name, options.revision_read, options.licence, UNSPLIT)


def kind_of(value: object) -> str:
    """The type of a JSON value in words."""
    kinds = {dict: "a JSON object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
