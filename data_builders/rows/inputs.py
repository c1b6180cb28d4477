"""Inputs: JSON Lines, JSON, parquet, a folder of JSON files, a split on the Hub, or a generator's numbers.

    rows = open_input(options)    # --input FILE or --hub ID
    for row in rows: ...

Rows are streamed; only a JSON document is parsed whole. A broken input (missing file, empty file, invalid JSON) ends the
build with file and line: it is never a rejected row. ``datasets`` and ``pyarrow`` are imported on use. Nothing is unpickled.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.row import Row, Rows, kind_of


@dataclass(frozen=True)
class Numbers:
    """Rows without columns for a generator.

    Attributes:
        name: Of the source.
        count: How many.
    """

    name: str
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Row]:
        for number in range(self.count):
            yield Row(f"{self.name}:{number}", number, str(number), {})


@dataclass(frozen=True)
class LinesFile:
    """A JSON Lines file."""

    path: Path

    def __len__(self) -> int:
        """Lines, blank ones included; one pass that parses nothing."""
        count, is_blank = 0, True
        with _opened(self.path) as lines:
            for line in lines:
                count += 1
                is_blank = is_blank and not line.strip()
        if is_blank:
            raise BuildError(f"{self.path}: the file is empty; expected one JSON object a line.")
        return count

    def __iter__(self) -> Iterator[Row]:
        with _opened(self.path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{self.path}:{number}"
                    yield Row(where, number, str(number), _object(_parse(line, where), where))


@dataclass(frozen=True)
class Document:
    """A JSON file that is a list of rows, or an object of rows by their keys."""

    path: Path

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        for number, (key, row) in enumerate(self._rows.items()):
            where = f"{self.path}: row {key}"
            yield Row(where, number, key, _object(row, where))

    @cached_property
    def _rows(self) -> Mapping[str, object]:
        content = _parse(_bytes_of(self.path), str(self.path))
        if isinstance(content, list):
            content = {str(number): row for number, row in enumerate(content)}
        rows = _object(content, str(self.path))
        if not rows:
            raise BuildError(
                f"{self.path}: the file is empty; expected a list or an object of rows."
            )
        return rows


@dataclass(frozen=True)
class Folder:
    """A folder of JSON files, one row each."""

    path: Path

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Row]:
        for number, path in enumerate(self._files):
            row = _object(_parse(_bytes_of(path), str(path)), str(path))
            yield Row(str(path), number, path.stem, row)

    @cached_property
    def _files(self) -> list[Path]:
        files = sorted(self.path.glob("*.json"))
        if not files:
            raise BuildError(f"{self.path}: holds no .json file; expected one template a file.")
        return files


@dataclass(frozen=True)
class Parquet:
    """A parquet file."""

    path: Path

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def __iter__(self) -> Iterator[Row]:
        number = 0
        for batch in self._file.iter_batches(batch_size=256):
            for columns in batch.to_pylist():
                yield Row(f"{self.path}: row {number}", number, str(number), columns)
                number += 1

    @cached_property
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

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        for number, columns in enumerate(self._rows):
            yield Row(f"{self.name}/{self.split}:{number}", number, str(number), columns)

    @cached_property
    def _rows(self) -> Any:
        from datasets import load_dataset

        try:
            return load_dataset(self.name, self.subset, split=self.split, revision=self.revision)
        except (OSError, ValueError, RuntimeError) as error:
            first_line = (str(error).strip() or repr(error)).splitlines()[0]
            raise BuildError(f"--hub {self.name} --split {self.split}: {first_line}") from error


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
    """Hash of a file's bytes, or of the JSON files of a folder."""
    if path.is_dir():
        names = "".join(f"{file.name} {sha256_of(file)}\n" for file in sorted(path.glob("*.json")))
        return hashlib.sha256(names.encode()).hexdigest()
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        position = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}"
        reason = f"{error.msg} at {position}"
    except RecursionError:
        reason = "nested too deep"
    except ValueError as error:  # an integer of more digits than Python converts
        reason = str(error).partition(";")[0]
    raise BuildError(f"{where}: invalid JSON ({reason}).")


def _object(row: object, where: str) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise BuildError(f"{where}: got {kind_of(row)}; expected a JSON object.")
    return row
