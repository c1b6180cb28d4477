"""Values of typed columns as they were written: numbers of few bits, and labels that are kept as numbers.

    plan = plan_of(schema, "rows.parquet")     # {"a": "float32", "b": ("no", "yes")}
    as_written({"a": 0.10000000149011612, "b": 1}, plan)     # {"a": 0.1, "b": "yes"}

Parts of objects and items of lists are read alike, however deep they lie. Other types are as ``pyarrow`` gives them.
A name that two columns have is refused, a key that stands twice in a map is ambiguous (``json_text``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_builders.errors import BuildError
from data_builders.rows.json_text import object_of


@dataclass(frozen=True)
class OfMap:
    """The plan of a map's values, whose pairs become an object."""

    values: Plan
    lists: int = 0  # of maps around it


# The name of a number's type, the names of a label, or the plans of an object's parts; lists need none of their own.
Plan = str | tuple[str, ...] | Mapping[str, Any] | OfMap
# Numbers of less than 64 bits, by their names in Arrow.
_SHORT = {"float": "float32", "halffloat": "float16"}


def plan_of(schema: Any, where: str) -> Mapping[str, Plan]:
    """What is to be changed in rows of an Arrow schema, with the labels that ``datasets`` notes in it.

    Raises:
        BuildError: Two columns, or two parts of an object, have one name; ``where`` is the file.
    """
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        noted = {}
    try:
        return _of_parts(schema, noted)
    except _DoubledError as error:
        raise BuildError(f"{where}: two columns are named {str(error)!r}; rename one.") from None


class _DoubledError(ValueError):
    """A name that two parts have."""


def _of_parts(fields: Any, noted: object) -> Mapping[str, Plan]:
    notes = noted if isinstance(noted, Mapping) else {}
    names = [field.name for field in fields]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise _DoubledError(double)
    plans = {field.name: _plan(field.type, notes.get(field.name)) for field in fields}
    return {name: plan for name, plan in plans.items() if plan}


def _plan(kind: Any, noted: object) -> Plan:
    import pyarrow

    noted = _item_of(noted)
    if isinstance(noted, Mapping) and noted.get("_type") == "ClassLabel":
        names = noted.get("names")
        return tuple(map(str, names)) if isinstance(names, list) else ()
    if pyarrow.types.is_struct(kind):
        return _of_parts([kind.field(n) for n in range(kind.num_fields)], noted)
    if pyarrow.types.is_map(kind):
        return OfMap(_plan(kind.item_type, None))
    if pyarrow.types.is_nested(kind) and not pyarrow.types.is_union(kind):  # lists of each kind
        plan = _plan(kind.value_type, noted)
        return replace(plan, lists=plan.lists + 1) if isinstance(plan, OfMap) else plan
    return _SHORT.get(str(kind), "")


def _item_of(noted: object) -> object:
    """What is noted of a list's items, however deep they lie; anything else as it is."""
    while True:
        if isinstance(noted, list) and noted:
            noted = noted[0]
        elif isinstance(noted, Mapping) and "_type" in noted and "feature" in noted:
            noted = noted["feature"]
        else:
            return noted


def as_written(value: Any, plan: Plan) -> Any:
    """Numbers of few bits as they were written (0.1, not 0.10000000149011612), and labels by their names."""
    if not plan or value is None:
        return value
    if isinstance(plan, OfMap):
        return _of_map(value, plan)
    if isinstance(value, list):
        return [as_written(item, plan) for item in value]
    if isinstance(plan, Mapping):
        return {k: as_written(part, plan.get(k, "")) for k, part in value.items()}
    if isinstance(plan, tuple):
        is_label = isinstance(value, int) and 0 <= value < len(plan)
        return plan[value] if is_label else None  # -1: the label is withheld
    if not isinstance(value, float):
        return value
    import numpy

    return float(str(numpy.dtype(plan).type(value)))


def _of_map(value: Any, plan: OfMap) -> Any:
    if plan.lists:
        return [as_written(item, replace(plan, lists=plan.lists - 1)) for item in value]
    return object_of([(str(key), as_written(part, plan.values)) for key, part in value])
