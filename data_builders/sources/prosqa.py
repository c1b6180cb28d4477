"""ProsQA (Coconut): shuffled premises about made-up kinds, and which of two a person belongs to.

    {"question": "Every zib is a lop. Tom is a zib. ... Is Tom a lop or wex?", "answer": "Tom is a lop.",
     "steps": ["Tom is a zib.", "Every zib is a lop."]}

The steps of the proof are premises word for word, so an exact trace exists: each is noted when it is read, all other
premises are skipped, and the deep part puts the steps into their order.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.rows.inputs import open_input
from data_builders.rows.outcome import Count, Rejected
from data_builders.rows.row import Row, source_of
from data_builders.rows.span import Rows
from data_builders.sources.options import add_text_options
from data_builders.text.asking import find_asking
from data_builders.text.draft import Draft, Told, Trace, Tracer

NAME = "prosqa"
LICENCE = "MIT"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input."""
    add_text_options(parser, licence=LICENCE)


def open_rows(options: argparse.Namespace) -> Rows:
    """The file or the Hub's split."""
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected | Count]:
    """One episode a row."""
    units = sentence_chunks(row.text("question"))
    steps = [step.strip() for step in row.texts("steps")]
    asking = find_asking(units)
    if asking is None:
        yield Rejected(row.where, "no_question", "no sentence asks")
        return
    places = {unit.strip(): i for i, unit in enumerate(units) if i != asking}
    proof = [places.get(step, -1) for step in steps]
    if -1 in proof:
        yield Count("steps_that_are_no_premise")
    key = f"{NAME}-{row.key}"
    is_exact = bool(proof) and -1 not in proof
    yield Draft(
        key=key,
        group=key,
        where=row.where,
        question=units[asking].strip(),
        units=units,
        answer=row.text("answer"),
        answer_type=AnswerType.TEXT,
        source=source_of(NAME, options),
        asking=asking,
        is_order_free=True,
        needed=(lambda: frozenset(proof)) if is_exact else None,
        tracer=proof_tracer(steps, proof) if is_exact else None,
    )


def proof_tracer(steps: list[str], proof: list[int]) -> Tracer:
    """Notes each step of a proof where its unit is read; ``proof`` has the unit of each step."""

    def trace(told: Told) -> Trace:
        lines: list[list[str]] = [[] for _ in told.chunks]
        for step, unit in sorted(zip(steps, proof, strict=True), key=lambda one: one[1]):
            if unit in told.fact_chunk:
                lines[told.fact_chunk[unit]].append(step.rstrip("."))
        deep = "; ".join(step.rstrip(".") for step in steps)
        if told.is_missing:
            deep = "A premise that this needs is not given"
        return Trace(tuple("; ".join(line) for line in lines), deep)

    return trace
