"""ProsQA (Coconut): shuffled premises about made-up kinds, and which of two a person belongs to.

    {"question": "Every zib is a lop. Tom is a zib. ... Is Tom a lop or wex?", "answer": "Tom is a lop.",
     "steps": ["Tom is a zib.", "Every zib is a lop."]}

The steps of the proof are premises word for word, so the trace is exact: each step is noted behind its premise, all other
premises are skipped, and the deep part gives the steps in their order.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Count, Rejected, Row, source_of
from data_builders.sources.common import add_text_options
from data_builders.text.asking import find_asking
from data_builders.text.draft import Draft, StreamedText, Trace, Tracer

NAME = "prosqa"
SUMMARY = "ProsQA: shuffled premises, of which a few form the proof; exact traces"
LICENCE = "MIT"
MISSING_DEEP = "A premise that this needs is not given"

add_options = partial(add_text_options, licence=LICENCE)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected | Count]:
    """One episode a row."""
    units = sentence_chunks(row.text("question"))
    steps = [step.strip() for step in row.texts("steps")]
    asking = find_asking(units)
    if asking is None:
        yield Rejected(row.where, "no_question", "no sentence asks")
        return
    premises = {unit.strip(): i for i, unit in enumerate(units) if i != asking}
    proof = [premises.get(step, -1) for step in steps]
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
    """Tracer that notes each step of a proof behind its unit; ``proof`` has the unit of each step."""
    lines = [step.rstrip(".") for step in steps]

    def trace(text: StreamedText) -> Trace:
        by_unit = sorted(zip(proof, lines, strict=True), key=lambda pair: pair[0])
        chunks = text.fact_chunk
        thoughts = text.thoughts((chunks[unit], line) for unit, line in by_unit if unit in chunks)
        return Trace(thoughts, MISSING_DEEP if text.is_missing else "; ".join(lines))

    return trace
