"""Rows of a data set: a JSON Lines file, or a split of a set on the Hub.

    python -m data_builders custom --input questions.jsonl ...
    python -m data_builders gsm8k --hub openai/gsm8k --subset main --split train ...

A broken input (missing file, empty file, invalid JSON, a missing column) ends the build with file and line: it is
never a rejected row. ``datasets`` is imported for ``--hub`` only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.chunking import chunk
from data_builders.source import BuildError


@dataclass(frozen=True)
class Row:
    """One row of the input.

    Attributes:
        where: File and line, or set and index, for messages.
        number: Its line (from 1) or index (from 0).
        columns: The row itself.
    """

    where: str
    number: int
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
                f"{self.where}: column {column!r} is {_kind(value)}, expected text or a number."
            )
        return str(value)

    def joined(self, column: str) -> str:
        """The same for text, or a list of texts, which a space joins."""
        value = self.get(column)
        return " ".join(self.texts(column)) if isinstance(value, list) else self.text(column)

    def texts(self, column: str) -> tuple[str, ...]:
        """The value in ``column`` as a list of texts."""
        value = self.get(column)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BuildError(
                f"{self.where}: column {column!r} is {_kind(value)}, expected a list of texts."
            )
        return tuple(value)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where rows come from, how their text is cut, and how they are split."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--input", type=Path, metavar="FILE", help="a JSON Lines file")
    place.add_argument("--hub", metavar="ID", help="a data set on the Hub, such as openai/gsm8k")
    parser.add_argument("--subset", help="the Hub set's configuration, such as main")
    parser.add_argument("--split", default="train", help="the Hub set's split (default: train)")
    parser.add_argument("--revision", help="the source's revision; the commit to load from the Hub")
    parser.add_argument(
        "--chunk",
        type=_chunk_spec,
        default="sentence",
        metavar="SPEC",
        help="what arrives at once: sentence (default), word:N, clock:SECONDS",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--test-share",
        type=_share,
        default=0.1,
        metavar="X",
        help="share of the groups for test; 0 and 1 write one file only (default: 0.1)",
    )
    size.add_argument(
        "--test-count", type=_count, metavar="N", help="at least N test episodes, in whole groups"
    )


def read_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Every row of the input, in order."""
    return _hub_rows(options) if options.hub else _file_rows(options.input)


def revision_of(options: argparse.Namespace) -> str:
    """The revision as given; else the file's hash, so that the manifest names what was read."""
    if options.revision:
        return str(options.revision)
    return "main" if options.hub else f"sha256:{sha256_of(options.input)[:16]}"


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BuildError(f"{path}: no such file.") from None
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {error.strerror}.") from error


def _file_rows(path: Path) -> Iterator[Row]:
    count = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    count += 1
                    yield Row(f"{path}:{number}", number, _parse(line, f"{path}:{number}"))
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {error.strerror}.") from error
    if not count:
        raise BuildError(f"{path}: the file is empty; expected one JSON object a line.")


def _parse(line: bytes, where: str) -> dict[str, object]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BuildError(f"{where}: not UTF-8 text (byte {error.start + 1}).") from None
    except json.JSONDecodeError as error:
        raise BuildError(f"{where}: invalid JSON ({error.msg} at column {error.colno}).") from None
    except RecursionError:
        raise BuildError(f"{where}: invalid JSON (nested too deep).") from None
    if not isinstance(row, dict):
        raise BuildError(f"{where}: got {_kind(row)}; expected a JSON object.")
    return row


def _hub_rows(options: argparse.Namespace) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        rows = load_dataset(
            options.hub, options.subset, split=options.split, revision=options.revision
        )
    except (OSError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise BuildError(f"--hub {options.hub} --split {options.split}: {first_line}") from error
    for number, row in enumerate(rows):
        yield Row(f"{options.hub}/{options.split}:{number}", number, row)


def _kind(value: object) -> str:
    kinds = {dict: "a JSON object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")


def _chunk_spec(text: str) -> str:
    try:
        chunk("a", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number from 0 to 1.")
    return share


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number above 0.")
    return int(text)
