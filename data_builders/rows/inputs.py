"""Inputs: JSON Lines, JSON, tables, parquet, Arrow, a folder of JSON files, a split on the Hub, or a generator's numbers.

    rows = open_input(options)    # --input FILE ... or --hub ID
    for row in rows.stream: ...

Several files (``shards``) are one input, read one after another. The kind of a file is found in its content, not in its name;
archives are unpacked (``packed``). Rows are streamed; only a JSON document is parsed whole. A line that cannot be read is a
row with a fault, which is rejected and counted. A broken input (missing, empty, of no known kind) ends the build.
``datasets`` and ``pyarrow`` are imported on use. Nothing is unpickled.
"""

from __future__ import annotations

import argparse
import codecs
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from adasr_trl.core.decoding import UTF_8
from adasr_trl.core.errors import first_line
from adasr_trl.core.signatures import PARQUET, packing_of
from data_builders.errors import BuildError
from data_builders.rows.documents import (
    holds_rows,
    in_columns,
    row_of,
    rows_at,
    rows_of_document,
    unquoted,
)
from data_builders.rows.json_text import JsonError, parse, parse_several
from data_builders.rows.packed import opened, seekable
from data_builders.rows.row import Row, Rows
from data_builders.rows.shards import (
    LINES,
    OF_ROWS,
    TRAIN,
    EmptyInputError,
    documents,
    is_saved,
)
from data_builders.rows.tables import open_table
from data_builders.rows.typed import as_written, plan_of

_ARROW = (b"ARROW1", b"\xff\xff\xff\xff")
_BOM = codecs.BOM_UTF8
_LOOK = 1 << 20  # bytes of a file that tell its kind
_FIRST_LINES = 20
_BATCH = 256  # rows of a typed table that are read at once
_BLANK = b" \t\r\n\x0b\x0c\x1e"  # JSON text sequences begin with the last one
# Beginnings of files without rows, and the way to a file with rows.
_FOREIGN = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file; fetch it with git lfs pull",
    b"<": "a web page or XML; download the file itself, or convert it to JSON",
    b"\x80": "a pickle, which can run code; save its rows as JSON Lines or parquet",
    b"\x93NUMPY": "an array of NumPy; save its rows as JSON Lines or parquet",
    b"%PDF": "a PDF; extract its text into JSON Lines or CSV",
    b"\xd0\xcf\x11\xe0": "an old Office file; save its sheet as CSV",
    b"\x89HDF": "an HDF5 file; save its table as CSV or parquet",
    b"Obj\x01": "an Avro file; save its rows as JSON Lines or parquet",
    b"ORC": "an ORC file; save its rows as parquet",
    b"SQLite": "a database; export its table as CSV",
    b"FEA1": "Feather of version 1; save it as version 2 or parquet",
    b"7z\xbc\xaf": "a 7z archive; unpack it and give the file",
    b"Rar!": "a RAR archive; unpack it and give the file",
    b"\x04\x22\x4d\x18": "packed by LZ4; unpack it and give the file",
    b"]\0\0": "packed by LZMA without xz; unpack it and give the file",
    **dict.fromkeys((b"//", b"/*"), "JSON with comments; remove them"),
    b"{'": "Python's notation; write it with json.dumps",
    b"[{'": "Python's notation; write it with json.dumps",
}


def open_input(options: argparse.Namespace) -> Rows:
    """The input that ``--input`` (its ``input_files``) or ``--hub`` names; a BuildError for a missing or empty one."""
    if options.hub:
        rows = _open_hub(options.hub, options.subset, options.split or TRAIN, options.revision)
        return _nested(rows, options.rows)
    files: Sequence[Path] = options.input_files
    return _open(files[0], options) if len(files) == 1 else _open_several(files, options)


def _open_several(files: Sequence[Path], options: argparse.Namespace) -> Rows:
    """Files one after another; each is opened once before, so that a broken one ends the build at its start."""
    total = sum(_count_of(file, options) for file in files)
    if not total:
        raise BuildError(f"{files[0]}: is empty, as is every other of the {len(files)} files.")
    read: Counter[str] = Counter({str(file): 0 for file in files})
    return Rows(total, _read_several(files, options, read), read)


def _count_of(path: Path, options: argparse.Namespace) -> int:
    try:
        return _open(path, options).count
    except EmptyInputError:
        return 0


def _read_several(
    files: Sequence[Path], options: argparse.Namespace, read: Counter[str]
) -> Iterator[Row]:
    """Rows whose keys begin with the position of their file, from 0; ``read`` counts those of each file."""
    for position, path in enumerate(files):
        name = str(path)
        try:
            rows = _open(path, options)
        except EmptyInputError:
            continue
        for row in rows.stream:
            read[name] += 1
            yield replace(row, key=f"{position}-{row.key}", file=name)


def _open(path: Path, options: argparse.Namespace) -> Rows:
    """One file, or a folder that is read as one."""
    rows_path: str | None = options.rows if "rows" in options else None
    encoding: str = options.encoding if "encoding" in options else UTF_8
    if path.is_dir():
        return _nested(_open_saved(path), rows_path) if is_saved(path) else _open_folder(path)
    with opened(path, encoding) as file:
        start = file.read(_LOOK).removeprefix(_BOM).lstrip(_BLANK)
    if not start:
        raise EmptyInputError(
            f"{path}: the file is empty; expected rows as JSON Lines, JSON, CSV or parquet."
        )
    if start.startswith(PARQUET):
        return _nested(_open_parquet(path), rows_path)
    if start.startswith(_ARROW):
        return _nested(_open_arrow(path), rows_path)
    _refuse_foreign(path, start)
    if _is_lines(start, _columns_of(options), is_named_so=path.suffix.lower() in LINES):
        return _nested(_open_lines(path, encoding), rows_path)
    if not start.startswith((b"{", b"[", b'"{', b'"[')):
        return _nested(open_table(path, encoding), rows_path)
    return _open_document(path, encoding, rows_path)


def _refuse_foreign(path: Path, start: bytes) -> None:
    for beginning, kind in _FOREIGN.items():
        if start.startswith(beginning):
            raise BuildError(f"{path}: {kind}.")
    if packing_of(start):
        raise BuildError(f"{path}: packed twice; unpack it once.")
    if start[257:262] == b"ustar":
        raise BuildError(f"{path}: a tar archive; unpack it and give one file.")
    if b"\0" in start.partition(b"\n")[0] and not start.startswith((b"{", b"[")):
        raise BuildError(
            f"{path}: binary data of no known kind; save its rows as JSON Lines or parquet."
        )


def _columns_of(options: argparse.Namespace) -> set[str]:
    """Names of the columns that the options name."""
    given = [value for name, value in vars(options).items() if name.endswith("_column") and value]
    return {str(column).partition(".")[0] for column in given}


def _is_lines(start: bytes, columns: set[str], *, is_named_so: bool) -> bool:
    """Whether a file is one JSON object a line.

    Its first line is a whole object, or its name says so and some line is one. A single object is a row if it has the
    columns that are asked for, else a document where it holds rows.
    """
    first, _, rest = start.partition(b"\n")
    parsed = _object_in(first)
    if parsed is not None:
        is_row = is_named_so or bool(columns and columns <= parsed.keys())
        return bool(rest.strip()) or not (in_columns(parsed) if is_row else holds_rows(parsed))
    if not is_named_so or first.strip() in (b"[", b"{"):  # a document's bracket stands alone
        return False
    some = islice(filter(bytes.strip, start.split(b"\n")), _FIRST_LINES)
    is_cut_or_broken = first.startswith(b'{"')
    return is_cut_or_broken or any(_object_in(line) is not None for line in some)


def _object_in(line: bytes) -> dict[str, object] | None:
    try:
        value = unquoted(parse(_without_comma(line)))
    except JsonError:
        return None
    return value if isinstance(value, dict) else None


def _without_comma(line: bytes) -> bytes:
    """A line of a list that lost its brackets."""
    return line.strip(_BLANK).removesuffix(b",")


def _nested(rows: Rows, rows_path: str | None) -> Rows:
    """The rows at a path inside each row (``--rows``)."""
    if rows_path is None:
        return rows
    return Rows(rows.count, (inner for row in rows.stream for inner in rows_at(row, rows_path)))


def numbers(name: str, count: int) -> Rows:
    """Rows without columns for a generator."""
    return Rows(count, _numbered(f"{name}:", repeat({}, count)))


def _open_lines(path: Path, encoding: str) -> Rows:
    """A JSON Lines file, after one pass that counts lines and parses nothing."""
    with opened(path, encoding) as lines:
        count = sum(1 for _ in lines)
    return Rows(count, _read_lines(path, encoding))


def _read_lines(path: Path, encoding: str) -> Iterator[Row]:
    with opened(path, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            text = line.removeprefix(_BOM)  # also inside, where files were joined
            if not text.strip():
                continue
            where, key = f"{path}:{number}", str(number)
            try:
                yield row_of(parse(_without_comma(text)), where, number, key)
            except JsonError as error:
                yield Row(where, number, key, {}, str(error))


def _open_document(path: Path, encoding: str, rows_path: str | None) -> Rows:
    """A JSON file of rows in one of the forms of ``documents``, or of objects one after another."""
    with opened(path, encoding) as file:
        data = file.read().removeprefix(_BOM)
    try:
        content = parse(data)
    except JsonError as error:
        content = _several(data)
        if content is None:
            raise BuildError(f"{path}: {error}.") from None
    rows = list(rows_of_document(content, str(path), rows_path))
    if not rows:
        raise EmptyInputError(f"{path}: the file is empty; expected a list or an object of rows.")
    return Rows(len(rows), iter(rows))


def _several(data: bytes) -> list[object] | None:
    try:
        values = parse_several(data)
    except JsonError:
        return None
    return values if len(values) > 1 or isinstance(values[0], dict) else values[0]


def _open_folder(path: Path) -> Rows:
    """A folder of JSON files, one row each; other files of rows in it are refused, not passed over."""
    files = documents(path)
    others = (f for f in path.rglob("[!.]*") if f not in files and f.is_file())
    if more := next((f for f in others if OF_ROWS.intersection(f.suffixes)), None):
        raise BuildError(
            f"{path}: a folder of .json files, one row each, that also holds {more.relative_to(path)}; name one file, "
            f"or some by a pattern (such as {more.parent}/*{more.suffix}), or move that one away."
        )
    return Rows(len(files), _read_files(files))


def _read_files(files: Sequence[Path]) -> Iterator[Row]:
    for number, path in enumerate(files):
        with opened(path) as file:
            data = file.read().removeprefix(_BOM)
        try:
            yield row_of(parse(data), str(path), number, path.stem)
        except JsonError as error:
            yield Row(str(path), number, path.stem, {}, str(error))


def _open_parquet(path: Path) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(seekable(path))
    except pyarrow.ArrowInvalid as error:
        raise BuildError(f"{path}: not a parquet file ({error}).") from None
    batches = file.iter_batches(batch_size=_BATCH)
    return _of_batches(path, file.schema_arrow, file.metadata.num_rows, batches)


def _open_arrow(path: Path) -> Rows:
    """A table as ``datasets`` keeps it on disk."""
    import pyarrow
    import pyarrow.ipc

    source = seekable(path)
    try:
        if source.read(6) == _ARROW[0]:
            file = pyarrow.ipc.open_file(source)
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
            schema = file.schema
        else:
            source.seek(0)
            stream = pyarrow.ipc.open_stream(source)
            schema, batches = stream.schema, list(stream)  # mapped, not read
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise BuildError(f"{path}: not an Arrow file ({error}).") from None
    return _of_batches(path, schema, sum(batch.num_rows for batch in batches), batches)


def _of_batches(path: Path, schema: Any, count: int, batches: Iterable[Any]) -> Rows:
    if not count:
        raise EmptyInputError(f"{path}: the file is empty; expected at least one row.")
    return Rows(count, _numbered(f"{path}: row ", _values(str(path), schema, batches)))


def _values(where: str, schema: Any, batches: Iterable[Any]) -> Iterator[Mapping[str, object]]:
    """The rows of Arrow's batches or tables as they were written."""
    plan = plan_of(schema, where)
    return (as_written(row, plan) for batch in batches for row in batch.to_pylist())


def _open_hub(name: str, subset: str | None, split: str, revision: str | None) -> Rows:
    """A split of a data set on the Hub; ``datasets`` maps it from its cache on disk."""
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:
        raise BuildError(f"--hub {name} --split {split}: {first_line(error)}") from error
    return _of_dataset(rows, f"{name}/{split}:")


def _open_saved(path: Path) -> Rows:
    """The folder of a data set's ``save_to_disk``."""
    from datasets import DatasetDict, load_from_disk

    try:
        rows = load_from_disk(str(path))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BuildError(
            f"{path}: no folder of save_to_disk that can be read: {first_line(error)}"
        ) from error
    if isinstance(rows, DatasetDict):
        splits = ", ".join(rows)
        raise BuildError(
            f"{path}: holds the splits {splits}; name one, such as {path / next(iter(rows))}."
        )
    return _of_dataset(rows, f"{path}: row ")


def _of_dataset(rows: Any, where: str) -> Rows:
    """The rows of a ``datasets.Dataset``: all columns whatever its format, none decoded, such as images that may be broken."""
    features = getattr(rows, "features", None)
    if not features:
        return Rows(len(rows), _numbered(where, rows))
    tables = rows.with_format("arrow").iter(batch_size=_BATCH)
    return Rows(len(rows), _numbered(where, _values(where, features.arrow_schema, tables)))


def _numbered(where: str, rows: Iterable[Mapping[str, object]]) -> Iterator[Row]:
    for number, columns in enumerate(rows):
        yield Row(f"{where}{number}", number, str(number), columns)


def sha256_of_input(files: Sequence[Path]) -> str:
    """Hash of one file's bytes, or of several files with their names, in their order."""
    if len(files) == 1:
        return sha256_of(files[0])
    return _sha256_of_names(files)


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, or of a folder's files of rows."""
    if path.is_dir():
        return _sha256_of_names(sorted([*documents(path), *path.glob("*.arrow")]))
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_names(files: Iterable[Path]) -> str:
    names = "".join(f"{file.name} {sha256_of(file)}\n" for file in files)
    return hashlib.sha256(names.encode()).hexdigest()
