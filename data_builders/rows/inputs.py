"""Inputs: JSON Lines, JSON, parquet, a folder of JSON files, a split on the Hub, or a generator's numbers.

    rows = open_input(options)    # --input FILE or --hub ID
    for row in rows.stream: ...

Rows are streamed; only a JSON document is parsed whole. A broken input (missing file, empty file, invalid JSON) ends the
build with file and line: it is never a rejected row. ``datasets`` and ``pyarrow`` are imported on use. Nothing is unpickled.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.row import Row, Rows, kind_of


def open_input(options: argparse.Namespace) -> Rows:
    """The input that ``--input`` or ``--hub`` names; a BuildError for a missing or empty one."""
    if options.hub:
        return _open_hub(options.hub, options.subset, options.split, options.revision)
    path: Path = options.input
    if path.is_dir():
        return _open_folder(path)
    openers = {".json": _open_document, ".parquet": _open_parquet}
    return openers.get(path.suffix.lower(), _open_lines)(path)


def numbers(name: str, count: int) -> Rows:
    """Rows without columns for a generator."""
    return Rows(count, _numbered(f"{name}:", repeat({}, count)))


def _open_lines(path: Path) -> Rows:
    """A JSON Lines file, after one pass that counts lines and parses nothing."""
    count, is_blank = 0, True
    with _opened(path) as lines:
        for line in lines:
            count += 1
            is_blank = is_blank and not line.strip()
    if is_blank:
        raise BuildError(f"{path}: the file is empty; expected one JSON object a line.")
    return Rows(count, _read_lines(path))


def _read_lines(path: Path) -> Iterator[Row]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield Row(where, number, str(number), _object(_parse(line, where), where))


def _open_document(path: Path) -> Rows:
    """A JSON file that is a list of rows, or an object of rows by their keys."""
    with _opened(path) as file:
        content = _parse(file.read(), str(path))
    if isinstance(content, list):
        content = {str(number): row for number, row in enumerate(content)}
    rows = _object(content, str(path))
    if not rows:
        raise BuildError(f"{path}: the file is empty; expected a list or an object of rows.")
    return Rows(len(rows), _read_document(path, rows))


def _read_document(path: Path, rows: Mapping[str, object]) -> Iterator[Row]:
    for number, (key, row) in enumerate(rows.items()):
        where = f"{path}: row {key}"
        yield Row(where, number, key, _object(row, where))


def _open_folder(path: Path) -> Rows:
    """A folder of JSON files, one row each."""
    files = sorted(path.glob("*.json"))
    if not files:
        raise BuildError(f"{path}: holds no .json file; expected one template a file.")
    return Rows(len(files), _read_files(files))


def _read_files(files: Sequence[Path]) -> Iterator[Row]:
    for number, path in enumerate(files):
        with _opened(path) as file:
            row = _object(_parse(file.read(), str(path)), str(path))
        yield Row(str(path), number, path.stem, row)


def _open_parquet(path: Path) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError:
        raise BuildError(f"{path}: no such file.") from None
    except pyarrow.ArrowInvalid as error:
        raise BuildError(f"{path}: not a parquet file ({error}).") from None
    count = file.metadata.num_rows
    if not count:
        raise BuildError(f"{path}: the file is empty; expected at least one row.")
    batches = file.iter_batches(batch_size=256)
    rows = (columns for batch in batches for columns in batch.to_pylist())
    return Rows(count, _numbered(f"{path}: row ", rows))


def _open_hub(name: str, subset: str | None, split: str, revision: str | None) -> Rows:
    """A split of a data set on the Hub; ``datasets`` maps it from its cache on disk."""
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:
        first_line = (str(error).strip() or repr(error)).splitlines()[0]
        raise BuildError(f"--hub {name} --split {split}: {first_line}") from error
    return Rows(len(rows), _numbered(f"{name}/{split}:", rows))


def _numbered(where: str, rows: Iterable[Mapping[str, object]]) -> Iterator[Row]:
    for number, columns in enumerate(rows):
        yield Row(f"{where}{number}", number, str(number), columns)


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
