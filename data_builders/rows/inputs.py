"""Inputs: JSON Lines, JSON, CSV, parquet, a folder of JSON files, a split on the Hub, or a generator's numbers.

    rows = open_input(options)    # --input FILE or --hub ID
    for row in rows.stream: ...

The kind of a file is found in its content, not in its name; gzip is unpacked. Rows are streamed; only a JSON document is
parsed whole. A broken input (missing file, empty file, invalid JSON) ends the build with file and line: it is never a
rejected row. ``datasets`` and ``pyarrow`` are imported on use. Nothing is unpickled.
"""

from __future__ import annotations

import argparse
import codecs
import csv
import gzip
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.documents import rows_at, rows_of_document
from data_builders.rows.row import Row, Rows, kind_of

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BOM = codecs.BOM_UTF8
_LINES = (".jsonl", ".ndjson")
_SHORT = ("float32", "float16")
_LOOK = 1 << 20  # bytes of a file that tell its kind


def open_input(options: argparse.Namespace) -> Rows:
    """The input that ``--input`` or ``--hub`` names; a BuildError for a missing or empty one."""
    rows_path: str | None = options.rows if "rows" in options else None
    if options.hub:
        rows = _open_hub(options.hub, options.subset, options.split, options.revision)
        return _nested(rows, rows_path)
    path: Path = options.input
    if path.is_dir():
        return _open_folder(path)
    with _opened(path) as file:
        start = file.read(_LOOK).removeprefix(_BOM).lstrip()
    if not start:
        raise BuildError(
            f"{path}: the file is empty; expected rows as JSON Lines, JSON, CSV or parquet."
        )
    if start.startswith(_PARQUET):
        return _nested(_open_parquet(path), rows_path)
    if path.suffix.lower() in _LINES or _is_lines(start):
        return _nested(_open_lines(path), rows_path)
    if not start.startswith((b"{", b"[")):
        return _open_table(path)
    return _open_document(path, rows_path)


def _is_lines(start: bytes) -> bool:
    """Whether a file is one JSON object a line, whatever its name: its first line is a whole object, and another follows."""
    first, _, rest = start.partition(b"\n")
    try:
        parsed = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and (bool(rest.strip()) or not _holds_rows(parsed))


def _holds_rows(parsed: Mapping[str, object]) -> bool:
    """Whether an object is a document of rows rather than a row: it holds objects, or lists of them."""
    values = list(parsed.values())
    lists = [v for v in values if isinstance(v, list) and v and isinstance(v[0], dict)]
    return bool(lists) or (bool(values) and all(isinstance(value, dict) for value in values))


def _nested(rows: Rows, rows_path: str | None) -> Rows:
    """The rows at a path inside each row (``--rows``)."""
    if rows_path is None:
        return rows
    return Rows(rows.count, (inner for row in rows.stream for inner in rows_at(row, rows_path)))


def numbers(name: str, count: int) -> Rows:
    """Rows without columns for a generator."""
    return Rows(count, _numbered(f"{name}:", repeat({}, count)))


def _open_lines(path: Path) -> Rows:
    """A JSON Lines file, after one pass that counts lines and parses nothing."""
    with _opened(path) as lines:
        count = sum(1 for _ in lines)
    return Rows(count, _read_lines(path))


def _read_lines(path: Path) -> Iterator[Row]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            text = line.removeprefix(_BOM) if number == 1 else line
            if text.strip():
                where = f"{path}:{number}"
                yield Row(where, number, str(number), _object(_parse(text, where), where))


def _open_table(path: Path) -> Rows:
    """A CSV or TSV file whose first line names its columns."""
    with _opened(path) as file:
        count = sum(1 for _ in file) - 1
    return Rows(max(count, 1), _read_table(path))


def _read_table(path: Path) -> Iterator[Row]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with _opened(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            first = lines.readline()
            delimiter = max(",;\t", key=first.count)
            columns = next(csv.reader([first], delimiter=delimiter), [])
            if len(columns) < 2 or len(set(columns)) != len(columns):
                raise BuildError(
                    f"{path}: its first line is {first.strip()[:60]!r}; expected JSON, parquet, or the names of a CSV "
                    f"file's columns."
                )
            reader = csv.DictReader(lines, columns, delimiter=delimiter, restkey=None, strict=True)
            for number, row in enumerate(reader):
                where = f"{path}:{reader.line_num + 1}"
                if None in row or None in row.values():
                    raise BuildError(
                        f"{where}: has not the {len(columns)} columns of the first line."
                    )
                yield Row(where, number, str(number), row)
        except UnicodeDecodeError as error:
            raise BuildError(f"{path}: not UTF-8 text (byte {error.start + 1}).") from None
        except csv.Error as error:
            raise BuildError(f"{path}: invalid CSV ({error}).") from None


def _open_document(path: Path, rows_path: str | None) -> Rows:
    """A JSON file that is a list of rows, an object of rows by their keys, or an object with a list of rows."""
    with _opened(path) as file:
        content = _parse(file.read().removeprefix(_BOM), str(path))
    rows = list(rows_of_document(content, str(path), rows_path))
    if not rows:
        raise BuildError(f"{path}: the file is empty; expected a list or an object of rows.")
    return Rows(len(rows), iter(rows))


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
    short = {f.name for f in file.schema_arrow if f.type in (pyarrow.float32(), pyarrow.float16())}
    batches = file.iter_batches(batch_size=256)
    rows = (_shortest(columns, short) for batch in batches for columns in batch.to_pylist())
    return Rows(count, _numbered(f"{path}: row ", rows))


def _open_hub(name: str, subset: str | None, split: str, revision: str | None) -> Rows:
    """A split of a data set on the Hub; ``datasets`` maps it from its cache on disk."""
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:
        first_line = (str(error).strip() or repr(error)).splitlines()[0]
        raise BuildError(f"--hub {name} --split {split}: {first_line}") from error
    features = getattr(rows, "features", {}).items()
    short = {name for name, kind in features if str(getattr(kind, "dtype", "")) in _SHORT}
    return Rows(len(rows), _numbered(f"{name}/{split}:", (_shortest(row, short) for row in rows)))


def _shortest(columns: Mapping[str, object], short: set[str]) -> Mapping[str, object]:
    """Numbers of 32 bits as they were written: 0.1, not 0.10000000149011612."""
    if not short:
        return columns
    import numpy

    return {
        name: float(str(numpy.float32(value)))
        if name in short and isinstance(value, float)
        else value
        for name, value in columns.items()
    }


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
        file = path.open("rb")
        is_packed = file.read(2) == _GZIP
        file.seek(0)
        return gzip.open(file) if is_packed else file
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
