r"""MetaMathQA: GSM8K and MATH problems that a model rewrote, with rationales that end in "The answer is: 752".

    {"type": "GSM_Rephrased", "query": "...", "original_question": "...", "response": "...\n#### 752\nThe answer is: 752"}

All rewritings of one problem share a group. Answers of the MATH_* types are LaTeX; those that cannot be compared are
counted. Steps are sums with an equals sign, for there are no calculator annotations. MetaMath's backward questions over
GSM8K's test (``question``, ``answer``, and ``output`` or ``inv_question_pred_answer``) are read as well, as test episodes only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

from data_builders.rows.inputs import open_input
from data_builders.rows.outcome import Rejected
from data_builders.rows.row import Row, source_of
from data_builders.rows.span import Rows
from data_builders.sources.gsm8k import text_key
from data_builders.sources.options import add_text_options
from data_builders.sources.word_problems import Gold, Names, draft_problem
from data_builders.text.draft import Draft
from data_builders.traces import align

NAME = "metamathqa"
LICENCE = "MIT"
_FINAL = "The answer is:"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input, and how rationales are aligned."""
    add_text_options(parser, licence=LICENCE)
    align.add_options(parser)


def open_rows(options: argparse.Namespace) -> Rows:
    """The file or the Hub's split."""
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row."""
    source = source_of(NAME, options)
    if "query" not in row.columns:
        column = "output" if "output" in row.columns else "inv_question_pred_answer"
        problem, rationale = row.text("question"), row.text(column)
        answer, tag = row.text("answer"), "gsm_backward"
        source = replace(source, split="test")  # it comes from GSM8K's test
    else:
        problem, rationale = row.text("query"), row.text("response")
        answer, tag = rationale.rpartition(_FINAL)[2], row.text_or("type", "").lower()
        if _FINAL not in rationale:
            yield Rejected(
                row.where, "no_final_answer", f"nothing behind {_FINAL!r} in the response"
            )
            return
    if not problem.strip():
        yield Rejected(row.where, "empty_question", "the query is empty")
        return
    original = row.text_or("original_question", problem)
    names = Names(
        f"{NAME}-{row.key}", f"{NAME}-{text_key(original)}", row.where, (tag,) if tag else ()
    )
    gold = Gold(answer.strip().removesuffix("."), rationale, plain_sums=True)
    yield draft_problem(names, problem, gold, source, options)
