"""Rows inside JSON: a list, an object of rows by keys, a list under a key, or a dotted path through nested lists.

    {"canary": "...", "examples": [{...}, ...]}                        the only list of objects, or --rows examples
    {"data": [{"paragraphs": [{"context": ..., "qas": [{...}]}]}]}     --rows data.paragraphs.qas

A nested row has the columns of the objects around it, too; its own ones win. ``*`` in a path stands for every value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_builders.errors import BuildError
from data_builders.rows.row import Row, kind_of


def rows_of_document(content: object, where: str, path: str | None) -> Iterator[Row]:
    """The rows of a parsed JSON file; a BuildError that names the lists where it is not clear which one is meant."""
    if path is not None and isinstance(content, Mapping):
        row = Row(where, 0, "0", content)
        yield from _renumbered(rows_at(row, path))
        return
    if isinstance(content, Mapping) and (name := _only_list(content, where)):
        content = content[name]
    listed = (
        {str(number): row for number, row in enumerate(content)}
        if isinstance(content, list)
        else content
    )
    if not isinstance(listed, Mapping):
        raise BuildError(f"{where}: got {kind_of(listed)}; expected a JSON object.")
    for number, (key, columns) in enumerate(listed.items()):
        at = f"{where}: row {key}"
        if not isinstance(columns, Mapping):
            raise BuildError(f"{at}: got {kind_of(columns)}; expected a JSON object.")
        row = Row(at, number, key, columns)
        yield from [row] if path is None else rows_at(row, path)


def rows_at(row: Row, path: str) -> Iterator[Row]:
    """The rows at a dotted path inside a row, with the columns of what is around them."""
    yield from _descend(row.columns, path.split("."), row, {})


def _descend(
    value: object, parts: list[str], row: Row, around: Mapping[str, object], place: str = ""
) -> Iterator[Row]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _descend(item, parts, row, around, f"{place}.{number}")
        return
    if not isinstance(value, Mapping):
        raise BuildError(
            f"{row.where}{place}: got {kind_of(value)}; expected an object with {parts[:1] or 'columns'}."
        )
    if not parts:
        yield Row(f"{row.where}{place}", row.number, f"{row.key}{place}", {**around, **value})
        return
    head, *rest = parts
    if head != "*" and head not in value:
        lists = [name for name, inner in value.items() if isinstance(inner, list | Mapping)]
        known = ", ".join(lists) or ", ".join(map(str, value)) or "none"
        raise BuildError(f"--rows {head}: {row.where}{place} has no {head!r}; it has {known}.")
    inside = value.items() if head == "*" else [(head, value[head])]
    plain = {
        n: v for n, v in value.items() if head != "*" and n != head and not isinstance(v, list)
    }
    for name, inner in inside:
        yield from _descend(inner, rest, row, {**around, **plain}, f"{place}.{name}")


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


def _renumbered(rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows):
        yield Row(row.where, number, row.key.removeprefix("0."), row.columns)
