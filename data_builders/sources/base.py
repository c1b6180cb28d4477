"""The interface of a source: a module of this package with five names.

    NAME = "gsm8k"
    SUMMARY = "grade-school word problems with calculator steps"
    def add_options(parser: argparse.ArgumentParser) -> None: ...
    def open_rows(options: argparse.Namespace) -> Rows: ...
    def build_row(row: Row, options: argparse.Namespace) -> Iterator[SourceItem]: ...

``build_row`` yields a Draft for a usable row (``pipeline.assemble`` shapes and cuts it), a Rejected for any other, and
Counts for the manifest; an Episode is taken as it is. One whose ``source.split`` is "" goes to train or test by the hash
of its group. A module NAME_check beside it may hold an exact check of its traces.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

from data_builders.errors import BuildError
from data_builders.rows.row import Row, Rows
from data_builders.text.draft import SourceItem
from data_builders.traces.future_facts import Texts

_FOLDER = Path(__file__).parent
_SUMMARY = re.compile(r'^SUMMARY = "(.+)"$', re.MULTILINE)

FindChunk = Callable[[str, int], int | None]
"""From a clause and its chunk to the chunk that gives its fact; None for a clause that the check does not know."""

Check = Callable[[str, Texts], FindChunk]
"""An exact check of traces on one text: a question and its chunks."""


class SourceModule(Protocol):
    """A module of this package that builds episodes."""

    NAME: str
    SUMMARY: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the source's own options."""

    def open_rows(self, options: argparse.Namespace) -> Rows:
        """The input."""

    def build_row(self, row: Row, options: argparse.Namespace) -> Iterator[SourceItem]:
        """Yield the outcomes of one row."""


@functools.cache
def sources() -> Mapping[str, str]:
    """Summary of each source by its name."""
    # The text is searched: importing every source would add 40 % to the time of --help.
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.py"))}
    return {name: stated[1] for name, text in texts.items() if (stated := _SUMMARY.search(text))}


def load_source(name: str) -> SourceModule:
    """The module of the source ``name``."""
    if name not in sources():
        raise BuildError(f"unknown source {name!r}; known are {', '.join(sources())}.")
    return cast(SourceModule, importlib.import_module(f"{__package__}.{name}"))


@functools.cache
def load_check(name: str) -> Check | None:
    """The exact check of a source's traces, or None."""
    if name not in sources() or not (_FOLDER / f"{name}_check.py").is_file():
        return None
    return cast(Check, importlib.import_module(f"{__package__}.{name}_check").check)
