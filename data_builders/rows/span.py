"""Spans of an input: consecutive rows that one process reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from data_builders.rows.row import Row


@dataclass(frozen=True)
class Span:
    """Some rows of an input that follow each other.

    Attributes:
        start: The first row; in a JSON Lines file, the byte where it starts.
        stop: The same of the row behind the last one.
        line: Line of the first one in a JSON Lines file, else 0.
    """

    start: int
    stop: int
    line: int = 0


class Rows(Protocol):
    """An input, or what is generated in its place."""

    def plan(self, size: int) -> Sequence[Span]:
        """Spans of at most ``size`` rows that together are the input."""

    def read(self, span: Span) -> Iterator[Row]:
        """The rows of a span."""
