"""Where rows come from: JSON Lines, JSON, parquet, a folder of JSON files, a split on the Hub, or a generator's numbers.

    rows = open_input(options)            # --input FILE or --hub ID
    for span in rows.plan(2000):          # a few thousand rows, for one process
        for row in rows.read(span): ...

A broken input (missing file, empty file, invalid JSON) ends the build with file and line: it is never a rejected row.
``datasets`` and ``pyarrow`` are imported only where they are needed; nothing is ever unpickled.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.row import Row, kind_of
from data_builders.rows.span import Rows, Span


@dataclass(frozen=True)
class Numbers:
    """The rows of a generator: only their numbers.

    Attributes:
        name: Of the source.
        count: How many.
    """

    name: str
    count: int

    def plan(self, size: int) -> Sequence[Span]:
        """Spans of numbers."""
        return _ranges(self.count, size)

    def read(self, span: Span) -> Iterator[Row]:
        """Rows without columns."""
        for number in range(span.start, span.stop):
            yield Row(f"{self.name}:{number}", number, str(number), {})


@dataclass(frozen=True)
class LinesFile:
    """A JSON Lines file; spans are byte ranges."""

    path: Path

    def plan(self, size: int) -> Sequence[Span]:
        """One pass over the file that parses nothing."""
        spans, start, first, count, filled, position = [], 0, 1, 0, 0, 0
        with _opened(self.path) as lines:
            for number, line in enumerate(lines, start=1):
                position += len(line)
                count += 1
                filled += bool(line.strip())
                if count == size:
                    spans.append(Span(start, position, first))
                    start, first, count = position, number + 1, 0
        if not filled:
            raise BuildError(f"{self.path}: the file is empty; expected one JSON object a line.")
        return [*spans, Span(start, position, first)] if count else spans

    def read(self, span: Span) -> Iterator[Row]:
        """Parse the lines of a span."""
        with _opened(self.path) as lines:
            lines.seek(span.start)
            position, number = span.start, span.line
            while position < span.stop and (line := lines.readline()):
                if line.strip():
                    where = f"{self.path}:{number}"
                    yield Row(where, number, str(number), _object(_parse(line, where), where))
                position += len(line)
                number += 1


@dataclass(frozen=True)
class Document:
    """A JSON file that is a list of rows, or an object of rows by their keys; it is read whole."""

    path: Path

    def plan(self, size: int) -> Sequence[Span]:
        """Spans of positions."""
        return _ranges(len(_document(self.path)), size)

    def read(self, span: Span) -> Iterator[Row]:
        """The rows at some positions."""
        rows = _document(self.path)
        for number in range(span.start, span.stop):
            key, row = rows[number]
            where = f"{self.path}: row {key}"
            yield Row(where, number, key, _object(row, where))


@dataclass(frozen=True)
class Folder:
    """A folder of JSON files, one row each."""

    path: Path

    def plan(self, size: int) -> Sequence[Span]:
        """Spans of files."""
        return _ranges(len(self._files()), size)

    def read(self, span: Span) -> Iterator[Row]:
        """Parse some of the files."""
        for number, path in enumerate(self._files()[span.start : span.stop], start=span.start):
            row = _object(_parse(_bytes_of(path), str(path)), str(path))
            yield Row(str(path), number, path.stem, row)

    def _files(self) -> list[Path]:
        files = sorted(self.path.glob("*.json"))
        if not files:
            raise BuildError(f"{self.path}: holds no .json file; expected one template a file.")
        return files


@dataclass(frozen=True)
class Parquet:
    """A parquet file, read by row groups."""

    path: Path

    def plan(self, size: int) -> Sequence[Span]:
        """Spans of rows."""
        return _ranges(self._file().metadata.num_rows, size)

    def read(self, span: Span) -> Iterator[Row]:
        """Stream over the row groups that hold the span."""
        number = 0
        file = self._file()
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if number + rows > span.start and number < span.stop:
                yield from self._read_group(file, group, number, span)
            number += rows

    def _read_group(self, file: Any, group: int, number: int, span: Span) -> Iterator[Row]:
        for batch in file.iter_batches(batch_size=256, row_groups=[group]):
            for row in batch.to_pylist():
                if span.start <= number < span.stop:
                    yield Row(f"{self.path}: row {number}", number, str(number), row)
                number += 1

    def _file(self) -> Any:
        import pyarrow
        import pyarrow.parquet

        try:
            file = pyarrow.parquet.ParquetFile(self.path)
        except FileNotFoundError:
            raise BuildError(f"{self.path}: no such file.") from None
        except pyarrow.ArrowInvalid as error:
            raise BuildError(f"{self.path}: not a parquet file ({error}).") from None
        if not file.metadata.num_rows:
            raise BuildError(f"{self.path}: the file is empty; expected at least one row.")
        return file


@dataclass(frozen=True)
class HubSplit:
    """A split of a data set on the Hub; ``datasets`` maps it from its cache on disk."""

    name: str
    subset: str | None
    split: str
    revision: str | None

    def plan(self, size: int) -> Sequence[Span]:
        """Spans of rows."""
        return _ranges(len(_hub_rows(self.name, self.subset, self.split, self.revision)), size)

    def read(self, span: Span) -> Iterator[Row]:
        """Read some of the rows."""
        rows = _hub_rows(self.name, self.subset, self.split, self.revision)
        for number in range(span.start, span.stop):
            yield Row(f"{self.name}/{self.split}:{number}", number, str(number), rows[number])


def open_input(options: argparse.Namespace) -> Rows:
    """The input that ``--input`` or ``--hub`` names."""
    if options.hub:
        return HubSplit(options.hub, options.subset, options.split, options.revision)
    path: Path = options.input
    if path.is_dir():
        return Folder(path)
    kinds: dict[str, type[Document | Parquet]] = {".json": Document, ".parquet": Parquet}
    return kinds.get(path.suffix.lower(), LinesFile)(path)


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, or of those of a folder's JSON files."""
    try:
        if path.is_dir():
            names = "".join(
                f"{file.name} {sha256_of(file)}\n" for file in sorted(path.glob("*.json"))
            )
            return hashlib.sha256(names.encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BuildError(f"{path}: no such file.") from None
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {error.strerror}.") from error


def _ranges(count: int, size: int) -> list[Span]:
    return [Span(start, min(start + size, count)) for start in range(0, count, size)]


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise BuildError(f"{path}: no such file.") from None
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {error.strerror}.") from error


def _bytes_of(path: Path) -> bytes:
    with _opened(path) as file:
        content: bytes = file.read()
    return content


def _parse(text: bytes, where: str) -> object:
    try:
        return json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BuildError(f"{where}: not UTF-8 text (byte {error.start + 1}).") from None
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}"
        raise BuildError(f"{where}: invalid JSON ({error.msg} at {place}).") from None
    except RecursionError:
        raise BuildError(f"{where}: invalid JSON (nested too deep).") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise BuildError(f"{where}: invalid JSON ({str(error).partition(';')[0]}).") from None


def _object(row: object, where: str) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise BuildError(f"{where}: got {kind_of(row)}; expected a JSON object.")
    return row


@functools.lru_cache(maxsize=1)
def _document(path: Path) -> list[tuple[str, object]]:
    """The rows of a JSON file with their keys; several spans of one process parse it once."""
    found = _parse(_bytes_of(path), str(path))
    if isinstance(found, list):
        rows = [(str(number), row) for number, row in enumerate(found)]
    else:
        rows = list(_object(found, str(path)).items())
    if not rows:
        raise BuildError(f"{path}: the file is empty; expected a list or an object of rows.")
    return rows


@functools.lru_cache(maxsize=1)
def _hub_rows(name: str, subset: str | None, split: str, revision: str | None) -> Any:
    from datasets import load_dataset

    try:
        return load_dataset(name, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise BuildError(f"--hub {name} --split {split}: {first_line}") from error
