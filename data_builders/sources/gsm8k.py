r"""GSM8K: a question, and a rationale that ends in ``#### answer``.

    {"question": "Tom has 5 apples. He buys 3. How many has he?",
     "answer": "Tom has 5 + 3 = <<5+3=8>>8 apples.\n#### 8"}

    python -m data_builders gsm8k --input train.jsonl --chunk sentence --out data/gsm8k

The problem is streamed; the sentence that asks is known first (``--question first``, as in StreamingThinker), arrives
where it stands, or comes at the very end. The trace comes from the calculator steps (``align``). A column
``original_id`` or ``original_question`` puts variants of one problem into one group.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator

from data_builders.rows.inputs import open_input
from data_builders.rows.outcome import Rejected
from data_builders.rows.row import Row, source_of
from data_builders.rows.span import Rows
from data_builders.sources.options import add_text_options
from data_builders.sources.word_problems import Gold, Names, draft_problem
from data_builders.text.draft import Draft
from data_builders.traces import align

NAME = "gsm8k"
LICENCE = "MIT"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input, and how rationales are aligned."""
    add_text_options(parser, licence=LICENCE)
    align.add_options(parser)


def open_rows(options: argparse.Namespace) -> Rows:
    """The file or the Hub's split."""
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row."""
    yield draft_row(row, NAME, options)


def draft_row(row: Row, name: str, options: argparse.Namespace) -> Draft | Rejected:
    """A row of GSM8K's format, under the name of its source."""
    problem, rationale = row.text("question"), row.text("answer")
    _, separator, gold = rationale.rpartition("####")
    if not problem.strip():
        return Rejected(row.where, "empty_question", "the question is empty")
    if not separator or not gold.strip():
        return Rejected(row.where, "no_final_answer", "nothing behind #### in the answer")
    names = Names(f"{name}-{row.key}", group_of(row, name), row.where)
    return draft_problem(names, problem, Gold(gold, rationale), source_of(name, options), options)


def group_of(row: Row, name: str) -> str:
    """Variants of one problem share a group."""
    if key := row.text_or("original_id", ""):
        return f"{name}-original-{key}"
    if text := row.text_or("original_question", ""):
        return f"{name}-original-{text_key(text)}"
    return f"{name}-{row.key}"


def text_key(text: str) -> str:
    """A short key of a text, the same for the same words."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()[:16]
