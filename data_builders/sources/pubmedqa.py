"""PubMedQA: the abstract of a paper without its conclusion, and a question that it answers with yes, no or maybe.

    {"QUESTION": "Does tea help?", "CONTEXTS": ["Background ...", "Results ..."], "LABELS": ["BACKGROUND", "RESULTS"],
     "LONG_ANSWER": "Tea seems to help.", "final_decision": "yes"}

``--chunk source`` (or ``paragraph``) streams one section at a time. Official files (objects of rows by PubMed id) and the
Hub's rows are read. The conclusion (LONG_ANSWER) never enters the stream, and there is no trace.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Row, source_of
from data_builders.sources.common import add_text_options
from data_builders.text.draft import Draft

NAME = "pubmedqa"
SUMMARY = "PubMedQA: abstracts with a yes/no/maybe question"
LICENCE = "MIT (abstracts: PubMed)"

add_options = partial(add_text_options, licence=LICENCE)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft]:
    """One episode a row."""
    units: list[str] = []
    sections: list[int] = []
    for section, text in enumerate(_contexts(row)):
        sentences = sentence_chunks(text if not units else f"\n{text}")
        units += sentences
        sections += [section] * len(sentences)
    key = f"{NAME}-{row.text_or('pmid', '') or row.text_or('pubid', row.key)}"
    # Official name, or the Hub's in lower case.
    question = row.text("QUESTION" if "QUESTION" in row.columns else "question")
    yield Draft(
        key=key,
        group=key,
        where=row.where,
        question=question.strip(),
        units=tuple(units),
        answer=row.text("final_decision"),
        answer_type=AnswerType.CHOICE,
        source=source_of(NAME, options),
        sections=tuple(sections),
    )


def _contexts(row: Row) -> tuple[str, ...]:
    if "CONTEXTS" in row.columns:
        return row.texts("CONTEXTS")
    context = row.get("context")  # the Hub's rows nest them
    contexts = context.get("contexts") if isinstance(context, dict) else None
    return row.nested("context", {"contexts": contexts}).texts("contexts")
