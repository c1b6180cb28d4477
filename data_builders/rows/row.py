"""One row of a data set, and its outcomes beside an episode.

    >>> Row("rows.jsonl:1", 1, "1", {"answer": 8}).text("answer")
    '8'

File formats are in ``inputs``. Text is cut and shaped in ``text``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adasr_trl.core.episode import Source
from data_builders.errors import BuildError

UNSPLIT = ""  # split of an episode that the hash of its group decides


class RowError(BuildError):
    """A row with a value that cannot be used: it is rejected and counted."""


class MissingColumnError(RowError):
    """A row without a column; of the first row it ends the build."""


@dataclass(frozen=True)
class Row:
    """One row of the input."""

    where: str  # file and line, or set and index, for messages
    number: int  # its line (from 1) or index (from 0)
    key: str  # its key, where the input has keys; else its number
    columns: Mapping[str, object]  # values by column name

    def get(self, column: str) -> object:
        """The value in ``column``, dotted for nested ones ("answers.text.0"); a RowError names the columns that exist."""
        if column in self.columns:
            return self.columns[column]
        value: object = self.columns
        for part in column.split("."):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            elif (
                isinstance(value, list)
                and value
                and all(isinstance(v, Mapping) and part in v for v in value)
            ):
                value = [item[part] for item in value]
            else:
                known = ", ".join(self.columns) or "none"
                raise MissingColumnError(
                    f"{self.where}: no column {column!r}; the row has {known}."
                )
        return value

    def text(self, column: str) -> str:
        """The value in ``column`` as text: a number as its digits, true as "true", null as "", a list of one as its text."""
        value = self.get(column)
        if isinstance(value, Mapping) and isinstance(value.get("text"), str | list):
            value = value["text"]  # SQuAD's answers
        if isinstance(value, list) and len({str(item) for item in value}) == 1:
            value = value[0]
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float):
            hint = f"; say {column}.0 for its first" if isinstance(value, list) and value else ""
            raise self._wrong_type(column, f"text or a number{hint}")
        return str(value)

    def text_or(self, column: str, default: str) -> str:
        """The text in ``column``, or ``default`` for a missing or empty one."""
        try:
            return self.text(column) or default
        except MissingColumnError:
            return default

    def joined(self, column: str) -> str:
        """The text in ``column``; a list of texts is joined by spaces."""
        value = self.get(column)
        return " ".join(self.texts(column)) if isinstance(value, list) else self.text(column)

    def texts(self, column: str) -> tuple[str, ...]:
        """The list of texts in ``column``."""
        value = self.get(column)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            odd = (
                next((item for item in value if not isinstance(item, str)), value)
                if isinstance(value, list)
                else value
            )
            inside = f", in which one is {kind_of(odd)}" if isinstance(value, list) else ""
            raise RowError(
                f"{self.where}: column {column!r} is {kind_of(value)}{inside}, expected a list of texts."
            )
        return tuple(value)

    def nested(self, column: str, columns: object) -> Row:
        """A row for the object inside ``column``; anything but a mapping has no columns."""
        inner = columns if isinstance(columns, Mapping) else {}
        return Row(f"{self.where}: {column}", self.number, self.key, inner)

    def _wrong_type(self, column: str, expected: str) -> RowError:
        got = kind_of(self.get(column))
        return RowError(f"{self.where}: column {column!r} is {got}, expected {expected}.")


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used."""

    row: str  # where it stands, such as "gsm8k.jsonl:12"
    reason: str  # a short code under which it is counted, such as "bad_gold"
    detail: str  # the fault in words


@dataclass(frozen=True)
class Count:
    """Adds ``by`` to the manifest's count ``name``."""

    name: str
    by: int = 1


@dataclass(frozen=True)
class Rows:
    """An input, or the numbers of a generator."""

    count: int  # for the progress line; blank lines of a file may count
    # The rows in their order, read once; memory does not grow with their number.
    stream: Iterator[Row]


def source_of(name: str, options: argparse.Namespace) -> Source:
    """Provenance of an input's episodes; their split is still open."""
    return Source(name, options.revision_read, options.licence, UNSPLIT)


def kind_of(value: object) -> str:
    """The type of a JSON value in words."""
    kinds = {dict: "a JSON object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
