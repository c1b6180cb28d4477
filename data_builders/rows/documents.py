"""Rows inside JSON: a list, an object of rows by keys, a list under a key, columns, or a dotted path through nested lists.

    {"canary": "...", "examples": [{...}, ...]}                        the only list of objects, or --rows examples
    {"data": [{"paragraphs": [{"context": ..., "qas": [{...}]}]}]}     --rows data.paragraphs.qas
    {"article": ..., "questions": [...], "answers": [...]}             --rows questions,answers
    {"q": ["...", ...], "a": [1, ...]}                                 columns of equal length

A nested row has the columns of the objects around it, too; its own ones win. ``*`` in a path stands for every value.
What is no row where one is expected is a row with a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from data_builders.errors import BuildError
from data_builders.rows.json_text import JsonError, list_in_text
from data_builders.rows.row import Row, kind_of


def rows_of_document(content: object, where: str, path: str | None) -> Iterator[Row]:
    """The rows of a parsed JSON file; a BuildError that names the lists where it is not clear which one is meant."""
    content = unquoted(content)
    if path is not None and isinstance(content, Mapping):
        row = Row(where, 0, "0", content)
        yield from _renumbered(rows_at(row, path))
        return
    if isinstance(content, Mapping):
        content = in_columns(content) or content
    if isinstance(content, Mapping) and (name := _only_list(content, where)):
        content = content[name]
    if isinstance(content, Mapping):
        _refuse_mixed(content, where)
    listed = (
        {str(number): row for number, row in enumerate(content)}
        if isinstance(content, list)
        else content
    )
    if not isinstance(listed, Mapping):
        raise BuildError(f"{where}: got {kind_of(listed)}; expected a JSON object.")
    for number, (key, columns) in enumerate(listed.items()):
        row = row_of(columns, f"{where}: row {key}", number, key)
        yield from [row] if path is None or row.fault else rows_at(row, path)


def row_of(value: object, where: str, number: int, key: str) -> Row:
    """A row of an object, or of a list, whose columns are its positions; any other value is a fault."""
    value = unquoted(value)
    if isinstance(value, list):
        value = {str(position): item for position, item in enumerate(value)}
    if isinstance(value, Mapping):
        return Row(where, number, key, value)
    return Row(where, number, key, {}, f"got {kind_of(value)}; expected a JSON object")


def unquoted(value: object) -> object:
    """What a text spells that was written as JSON twice; any other value as it is."""
    try:
        spelled = list_in_text(value.strip()) if isinstance(value, str) else None
    except JsonError:
        return value
    return value if spelled is None else spelled


def rows_at(row: Row, path: str) -> Iterator[Row]:
    """The rows at a dotted path inside a row, with the columns of what is around them."""
    yield from [row] if row.fault else _descend(row.columns, path.split("."), row, {})


def _descend(
    value: object, parts: list[str], row: Row, around: Mapping[str, object], place: str = ""
) -> Iterator[Row]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _descend(item, parts, row, around, f"{place}.{number}")
        return
    here = replace(row, where=f"{row.where}{place}", key=f"{row.key}{place}")
    if not isinstance(value, Mapping):
        expected = f"an object with {parts[:1] or 'columns'}"
        yield replace(here, fault=f"got {kind_of(value)}; expected {expected}")
        return
    if not parts:
        yield replace(here, columns={**around, **value})
        return
    head, *rest = parts
    names = head.split(",")
    if head != "*" and (missing := next((name for name in names if name not in value), None)):
        lists = [name for name, inner in value.items() if isinstance(inner, list | Mapping)]
        known = ", ".join(lists) or ", ".join(map(str, value)) or "none"
        yield replace(here, fault=f"--rows: there is no {missing!r}; it has {known}")
        return
    plain = {
        name: inner
        for name, inner in value.items()
        if head != "*" and name not in names and not isinstance(inner, list)
    }
    if len(names) > 1:
        yield from _side_by_side(value, names, here, {**around, **plain})
        return
    for name, inner in value.items() if head == "*" else [(head, value[head])]:
        yield from _descend(inner, rest, row, {**around, **plain}, f"{place}.{name}")


def _side_by_side(
    value: Mapping[str, object], names: list[str], row: Row, around: Mapping[str, object]
) -> Iterator[Row]:
    """One row for each position of lists of the same length."""
    lists = {name: inner for name in names if isinstance(inner := value[name], list)}
    sizes = {name: len(inner) for name, inner in lists.items()}
    if len(lists) < len(names) or len(set(sizes.values())) > 1:
        found = ", ".join(f"{n} ({sizes.get(n, kind_of(value[n]))})" for n in names)
        yield replace(row, fault=f"--rows: {found} are not lists of the same length")
        return
    for number, items in enumerate(zip(*lists.values(), strict=True)):
        columns = {**around, **dict(zip(names, items, strict=True))}
        yield Row(f"{row.where}.{number}", row.number, f"{row.key}.{number}", columns)


def holds_rows(parsed: Mapping[str, object]) -> bool:
    """Whether an object is a document of rows rather than a row: objects, lists of them, or columns."""
    values = list(parsed.values())
    lists = [v for v in values if isinstance(v, list) and v and isinstance(v[0], dict)]
    by_key = bool(values) and all(isinstance(value, dict) for value in values)
    return bool(lists) or by_key or in_columns(parsed) is not None


def in_columns(content: Mapping[str, object]) -> list[object] | None:
    """Rows of a table that is written by columns, as pandas and datasets do; None for any other object."""
    names, table = content.get("columns"), content.get("data")
    if isinstance(names, list) and isinstance(table, list) and table:
        if all(isinstance(row, list) and len(row) == len(names) for row in table):
            return [dict(zip(map(str, names), row, strict=True)) for row in table]
        return None
    columns = list(content.values())
    if all(isinstance(column, Mapping) and column for column in columns):
        keys = {tuple(column) for column in columns if isinstance(column, Mapping)}
        if len(columns) < 2 or len(keys) != 1 or not all(key.isdecimal() for key in min(keys)):
            return None
        columns = [list(column.values()) for column in columns if isinstance(column, Mapping)]
    lists = [column for column in columns if isinstance(column, list)]
    is_table = len(columns) > 1 and len(lists) == len(columns) and len(set(map(len, lists))) == 1
    if not is_table or all(isinstance(item, Mapping) for column in lists for item in column):
        return None
    return [dict(zip(content, items, strict=True)) for items in zip(*lists, strict=True)]


def _only_list(content: Mapping[str, object], where: str) -> str | None:
    """The key of the only list of objects; None where there is none, as in an object of rows by keys."""
    lists = {
        name: value
        for name, value in content.items()
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
    }
    if len(lists) > 1:
        sizes = ", ".join(f"{name!r} ({len(value)} rows)" for name, value in lists.items())
        raise BuildError(f"{where}: holds one object with the lists {sizes}; say --rows KEY.")
    return next(iter(lists), None)


def _refuse_mixed(content: Mapping[str, object], where: str) -> None:
    """Refuse an object that is neither rows by keys nor a list under a key."""
    odd = next((name for name, value in content.items() if not isinstance(value, Mapping)), None)
    if odd is None:
        return
    lists = [name for name, value in content.items() if isinstance(value, list | Mapping)]
    way = f"; say --rows KEY, such as {lists[0]}" if lists else ""
    raise BuildError(
        f"{where}: row {odd}: got {kind_of(content[odd])}; expected a JSON object{way}."
    )


def _renumbered(rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows):
        yield replace(row, number=number, key=row.key.removeprefix("0."))
