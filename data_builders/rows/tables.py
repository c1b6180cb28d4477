r"""Tables: CSV, TSV, and texts between semicolons or bars, whose first line names the columns.

    q,c,a
    How many?,"Tom has 5, he says.",5

Each form of quoting that is in use is tried on the whole file: doubled quotes, quotes behind a backslash, and for tabs
none. A row with another number of columns is rejected. A blank line is no row.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.packed import opened
from data_builders.rows.row import Row, Rows

_DELIMITERS = ",;\t|"
_QUOTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"doublequote": False, "escapechar": "\\"},
)
_UNQUOTED: dict[str, Any] = {"quoting": csv.QUOTE_NONE}


@dataclass(frozen=True)
class _Form:
    delimiter: str
    columns: tuple[str, ...]
    skipped: int  # lines before the rows, with that of the names
    options: dict[str, Any] = field(default_factory=dict)  # of csv.reader


def open_table(path: Path, encoding: str) -> Rows:
    """The rows of a table; a BuildError where no form of quoting reads it."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    form = _form_of(path, encoding)
    error = csv.Error()
    unquoted = (_UNQUOTED,) if form.delimiter == "\t" else ()
    for quoting in (*_QUOTINGS, *unquoted):
        tried = _Form(form.delimiter, form.columns, form.skipped, {**form.options, **quoting})
        try:
            count = sum(1 for _ in _records(path, encoding, tried))
        except csv.Error as failure:
            error = failure
            continue
        if not count:
            raise BuildError(f"{path}: holds the names of columns and no row.")
        return Rows(count, _rows(path, encoding, tried))
    raise BuildError(
        f"{path}: invalid CSV ({error}); put texts with {form.delimiter!r} or line breaks in double quotes, and double "
        f"the quotes inside."
    )


def _form_of(path: Path, encoding: str) -> _Form:
    with _text_of(path, encoding) as lines:
        first, skipped = lines.readline(), 1
        if first.lower().startswith("sep="):  # Excel's note on the delimiter
            first, skipped = lines.readline(), 2
    delimiter = max(_DELIMITERS, key=first.count)
    spaced = f"{delimiter} " in first
    names = next(csv.reader([first], delimiter=delimiter, skipinitialspace=spaced), [])
    columns = tuple(name.strip() for name in names)
    if len(columns) < 2:
        raise BuildError(
            f"{path}: its first line is {first.strip()[:60]!r}; expected JSON, parquet, or the names of a CSV file's "
            f"columns."
        )
    if double := next((name for name in columns if columns.count(name) > 1), None):
        raise BuildError(f"{path}: two columns are named {double!r}; rename one.")
    return _Form(delimiter, columns, skipped, {"skipinitialspace": spaced})


@contextmanager
def _text_of(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    with opened(path, encoding) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            yield lines
        except UnicodeDecodeError as error:
            raise BuildError(
                f"{path}: not UTF-8 text (byte {error.start + 1}); say --encoding."
            ) from None
        finally:
            lines.detach()


def _records(path: Path, encoding: str, form: _Form) -> Iterator[tuple[int, list[str]]]:
    """The line and the fields of each record."""
    with _text_of(path, encoding) as lines:
        for _ in range(form.skipped):
            lines.readline()
        reader = csv.reader(lines, delimiter=form.delimiter, strict=True, **form.options)
        last = form.skipped
        for fields in reader:
            if fields:
                yield last + 1, fields
            last = form.skipped + reader.line_num


def _rows(path: Path, encoding: str, form: _Form) -> Iterator[Row]:
    for number, (line, fields) in enumerate(_records(path, encoding, form)):
        where, fault = f"{path}:{line}", ""
        if len(fields) != len(form.columns):
            fault = f"has {len(fields)} columns, not the {len(form.columns)} of the first line"
        columns = dict(zip(form.columns, fields, strict=False))
        yield Row(where, number, str(number), columns, fault)
