"""What a source of episodes is: a module with four names, listed in ``SOURCES``.

    NAME = "gsm8k"
    def add_options(parser: argparse.ArgumentParser) -> None: ...
    def open_rows(options: argparse.Namespace) -> Rows: ...
    def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Episode | Rejected | Count]: ...

``build_row`` yields a Draft for what can be used (``assemble`` shapes and cuts it), a Rejected for what cannot, a Count
for whatever else the manifest should tell; an Episode is taken as it is. Rows are read in spans, so that several
processes share an input and an interrupted build goes on. An episode whose ``source.split`` is "" is put into train or
test by the hash of its group.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, cast

from adasr_trl.core.episode import Episode
from data_builders.errors import BuildError

if TYPE_CHECKING:
    from data_builders.rows.outcome import Count, Rejected
    from data_builders.rows.row import Row
    from data_builders.rows.span import Rows
    from data_builders.text.draft import Draft

SOURCES = {
    "ledger": "stories in which things change hands, procedural, with exact traces",
    "gsm8k": "grade-school word problems with calculator steps",
    "gsm_symbolic": "GSM-Symbolic's rows, or its templates filled in",
    "metamathqa": "MetaMathQA: rewritten GSM8K and MATH problems with rationales",
    "svamp": "SVAMP: one-step word problems with equations",
    "gsm_infinite": "layered arithmetic told in shuffled sentences, procedural, with exact traces",
    "prosqa": "ProsQA: shuffled premises, of which a few form the proof; exact traces",
    "logicnli": "LogicNLI: facts and rules, then a statement",
    "folio": "FOLIO: premises, then a conclusion",
    "pubmedqa": "PubMedQA: abstracts with a yes/no/maybe question",
    "reasoning_gym": "tasks of the package reasoning_gym that read as a stream",
    "streamingthinker": "StreamingThinker's rows, which have traces (JSON or StreamingCoT parquet)",
    "transcript": "speech with times (segments, SRT, WebVTT) and questions about it",
    "custom": "any JSON, JSON Lines, parquet or Hub set, by the names of its columns",
}


class SourceModule(Protocol):
    """A module of this package that builds episodes."""

    NAME: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the source's own options."""

    def open_rows(self, options: argparse.Namespace) -> Rows:
        """The input."""

    def build_row(
        self, row: Row, options: argparse.Namespace
    ) -> Iterator[Draft | Episode | Rejected | Count]:
        """Yield what becomes of one row."""


def load_source(name: str) -> SourceModule:
    """The module of the source ``name``."""
    if name not in SOURCES:
        raise BuildError(f"unknown source {name!r}; known are {', '.join(SOURCES)}.")
    return cast(SourceModule, importlib.import_module(f"data_builders.sources.{name}"))
