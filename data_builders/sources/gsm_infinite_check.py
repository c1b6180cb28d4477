"""Exact check of gsm_infinite traces: a value is allowed once it follows from the sentences read.

>>> list(values_by_chunk(("There are 4 blue caps in Elm Hall.",)))
[{'blue caps in Elm Hall': 4}]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from data_builders.sources.base import FindChunk
from data_builders.sources.gsm_infinite import compute
from data_builders.traces.future_facts import Texts

_QUANTITY = r"\w+ \w+ in \w+ Hall"
_GIVEN = re.compile(rf"[Tt]here are (\d+) ({_QUANTITY})\.")
_DERIVED = re.compile(
    rf"[Tt]he number of ({_QUANTITY}) is (\d+) (more than|less than|times) the number of ({_QUANTITY})\."
)
_SUM = re.compile(
    rf"[Tt]he number of ({_QUANTITY}) is the sum of the number of ({_QUANTITY}) and the number of ({_QUANTITY})\."
)
_CLAIM = re.compile(rf"({_QUANTITY}) = (?:.* = )?(-?\d+)$")
_OPERATORS = {"more than": "+", "less than": "-", "times": "*"}

_Definition = tuple[str, tuple[str, ...], int]  # operator, operands, number


def check(_question: str, chunks: Texts) -> FindChunk:
    """A value that follows only from later sentences is early."""
    known = list(values_by_chunk(chunks))

    def find_chunk(clause: str, chunk: int) -> int | None:
        claim = _CLAIM.match(clause)
        if claim is None:
            return None
        name, value = claim[1], int(claim[2])
        return next((i for i in range(chunk, len(chunks)) if known[i].get(name) == value), None)

    return find_chunk


def values_by_chunk(chunks: Texts) -> Iterator[dict[str, int]]:
    """Behind each sentence, every value that follows by then; a later sentence corrects an earlier one."""
    definitions: dict[str, _Definition] = {}
    values: dict[str, int] = {}
    for chunk in chunks:
        if sentence := _read_sentence(chunk):
            name, definition = sentence
            # Values may rest on the corrected quantity: all are derived anew.
            values = {} if name in definitions else dict(values)
            definitions[name] = definition
            _derive(definitions, values)
        yield values


def _read_sentence(chunk: str) -> tuple[str, _Definition] | None:
    """A quantity's name and definition."""
    if given := _GIVEN.search(chunk):
        return given[2], ("given", (), int(given[1]))
    if derived := _DERIVED.search(chunk):
        return derived[1], (_OPERATORS[derived[3]], (derived[4],), int(derived[2]))
    if total := _SUM.search(chunk):
        return total[1], ("sum", (total[2], total[3]), 0)
    return None


def _derive(definitions: Mapping[str, _Definition], values: dict[str, int]) -> None:
    """Add every value that follows."""
    waiting = [name for name in definitions if name not in values]
    while ready := [name for name in waiting if values.keys() >= set(definitions[name][1])]:
        for name in ready:
            operator, operands, number = definitions[name]
            values[name] = compute(operator, [values[operand] for operand in operands], number)
        waiting = [name for name in waiting if name not in values]
