r"""Tables: CSV, TSV, and texts between semicolons or bars, whose first line names the columns.

    q,c,a
    How many?,"Tom has 5, he says.",5

Each form of quoting that is in use is tried on the whole file, and the one with the most whole rows counts: doubled
quotes, quotes behind a backslash where there are any, and for tabs none. A row with another number of columns is
rejected, as is one whose open quote takes in the next one. A blank line is no row. A cell such as nan or NULL, as writers
of tables put for a value that is missing, has none. A line break in a column's name is a space.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.packed import opened
from data_builders.rows.row import Missing, Row, Rows
from data_builders.rows.shards import EmptyInputError

_DELIMITERS = ",;\t|"
_BACKSLASH: dict[str, Any] = {"doublequote": False, "escapechar": "\\"}
_UNQUOTED: dict[str, Any] = {"quoting": csv.QUOTE_NONE}
_MOST_LINES = 20  # of a header
_QUOTED = re.compile(r'"[^"]*"')
# Missing values as pandas, R, NumPy, databases and spreadsheets write them, and the errors of spreadsheets.
_MISSING = frozenset(
    (
        *("nan", "NaN", "-nan", "-NaN", "NaT", "None", "null", "NULL", "\\N"),
        *("NA", "<NA>", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A"),
        *("1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND"),
        *("#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#ERROR!"),
    )
)


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
    error, best, most = "", form, _Fit(0, -1)
    for quoting in _quotings(path, encoding, form):
        tried = replace(form, options={**form.options, **quoting})
        try:
            fit = _fit(path, encoding, tried)
        except csv.Error as failure:
            error = error or str(failure)
            continue
        if fit.good > most.good:
            best, most = tried, fit
        if fit.good == fit.count:
            break
    if most.good < 0:
        raise BuildError(
            f"{path}: invalid CSV ({error}); put texts with {form.delimiter!r} or line breaks in double quotes, and "
            f"double the quotes inside."
        )
    if not most.count:
        raise EmptyInputError(f"{path}: holds the names of columns and no row.")
    return Rows(most.count, _rows(path, encoding, best))


@dataclass(frozen=True)
class _Fit:
    """Records that a form of quoting gives, and those without a fault among them."""

    count: int
    good: int


def _fit(path: Path, encoding: str, form: _Form) -> _Fit:
    faults = [_fault(fields, form) for _, fields in _records(path, encoding, form)]
    return _Fit(len(faults), faults.count(""))


def _quotings(path: Path, encoding: str, form: _Form) -> Iterator[dict[str, Any]]:
    """The forms of quoting that a file may have."""
    yield {}
    with _text_of(path, encoding) as lines:
        if any('\\"' in line for line in lines):
            yield _BACKSLASH
    if form.delimiter == "\t":
        yield _UNQUOTED


def _fault(fields: list[str], form: _Form) -> str:
    """The reason why a record is no row, or ""."""
    expected = len(form.columns)
    if len(fields) != expected:
        return f"has {len(fields)} columns, not the {expected} of the first line"
    gap = re.compile(rf"{re.escape(form.delimiter)}(?!\s)")
    for field_text in fields:
        lines = field_text.splitlines()
        inside = [len(gap.findall(line)) for line in lines]
        is_two = len(lines) == 2 and sum(inside) == expected - 1 and inside[0] == expected - 2
        if expected > 2 and (is_two or expected - 1 in inside[1:-1]):
            taken = len(lines) - 1
            return (
                f"a quote that opens here takes in the next {taken} lines; double it, or close it"
            )
    return ""


def _form_of(path: Path, encoding: str) -> _Form:
    with _text_of(path, encoding) as lines:
        first, skipped = lines.readline(), 1
        if first.lower().startswith("sep="):  # Excel's note on the delimiter
            first, skipped = lines.readline(), 2
        header = _header(first, lines)
    first, skipped = "".join(header), skipped + len(header) - 1
    delimiter = _delimiter_of(first)
    spaced = f"{delimiter} " in _QUOTED.sub("", first)
    names = next(csv.reader(header, delimiter=delimiter, skipinitialspace=spaced), [])
    columns = tuple(" ".join(name.split()) for name in names)
    if len(columns) < 2:
        raise BuildError(
            f"{path}: its first line is {first.strip()[:60]!r}; expected JSON, parquet, or the names of a CSV file's "
            f"columns."
        )
    if double := next((name for name in columns if columns.count(name) > 1), None):
        raise BuildError(f"{path}: two columns are named {double!r}; rename one.")
    return _Form(delimiter, columns, skipped, {"skipinitialspace": spaced})


def _header(first: str, lines: io.TextIOWrapper) -> list[str]:
    """The lines of the names: the first, and those that its open quote takes in, if it closes soon and in the right place."""
    header = [first]
    while "".join(header).count('"') % 2 and len(header) < _MOST_LINES:
        header.append(lines.readline())
    try:
        records = list(csv.reader(header, delimiter=_delimiter_of("".join(header)), strict=True))
    except csv.Error:
        return [first]
    return header if len(records) == 1 else [first]


def _delimiter_of(header: str) -> str:
    """What stands most often between names, those in quotes left out where there are others."""
    bare = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=lambda mark: (bare.count(mark), header.count(mark)))


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
        cells = (Missing(cell) if cell.strip() in _MISSING else cell for cell in fields)
        columns = dict(zip(form.columns, cells, strict=False))
        yield Row(f"{path}:{line}", number, str(number), columns, _fault(fields, form))
