r"""GSM8K: a question, and a rationale that ends in ``#### answer``.

    {"question": "Tom has 5 apples. He buys 3. How many has he?",
     "answer": "Tom has 5 + 3 = <<5+3=8>>8 apples.\n#### 8"}

    adasr data gsm8k --input train.jsonl --chunk sentence --out data/gsm8k

The problem is streamed. Its question is known first (``--question first``, as in StreamingThinker), arrives at its place
in the text, or comes last. The trace comes from the calculator steps (``traces.align``). A column ``original_id`` or
``original_question`` puts variants of one problem into one group.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from data_builders.rows.inputs import open_input
from data_builders.rows.row import Rejected, Row, source_of
from data_builders.sources.common import add_text_options, text_key
from data_builders.sources.word_problems import Problem, draft_problem
from data_builders.text.draft import Draft

NAME = "gsm8k"
SUMMARY = "grade-school word problems with calculator steps"
LICENCE = "MIT"

add_options = partial(add_text_options, licence=LICENCE, is_aligned=True)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row."""
    yield draft_row(row, NAME, options)


def draft_row(row: Row, name: str, options: argparse.Namespace) -> Draft | Rejected:
    """Draft of a row of GSM8K's format, under the name of its source."""
    text, rationale = row.text("question"), row.text("answer")
    _, separator, gold = rationale.rpartition("####")
    if not text.strip():
        return Rejected(row.where, "empty_question", "the question is empty")
    if not separator or not gold.strip():
        return Rejected(row.where, "no_final_answer", "nothing behind #### in the answer")
    problem = Problem(f"{name}-{row.key}", _group(row, name), row.where, text, gold, rationale)
    return draft_problem(problem, source_of(name, options), options)


def _group(row: Row, name: str) -> str:
    """One group for the variants of a problem."""
    if key := row.text_or("original_id", ""):
        return f"{name}-original-{key}"
    if text := row.text_or("original_question", ""):
        return f"{name}-original-{text_key(text)}"
    return f"{name}-{row.key}"
