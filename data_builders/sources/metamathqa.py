r"""MetaMathQA: GSM8K and MATH problems that a model rewrote, with rationales that end in "The answer is: 752".

    {"type": "GSM_Rephrased", "query": "...", "original_question": "...", "response": "...\n#### 752\nThe answer is: 752"}

All rewritings of one problem share a group. Answers of the MATH_* types are LaTeX; those that cannot be compared are
counted. Steps are sums with an equals sign, without calculator annotations. MetaMath's backward questions over GSM8K's
test (``question``, ``answer``, and ``output`` or ``inv_question_pred_answer``) become test episodes only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from data_builders.rows.inputs import open_input
from data_builders.rows.row import Rejected, Row, source_of
from data_builders.sources.common import add_text_options, text_key
from data_builders.sources.word_problems import Problem, draft_problem
from data_builders.text.draft import Draft

NAME = "metamathqa"
SUMMARY = "MetaMathQA: rewritten GSM8K and MATH problems with rationales"
LICENCE = "MIT"
_FINAL = "The answer is:"

add_options = partial(add_text_options, licence=LICENCE, is_aligned=True)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row."""
    source = source_of(NAME, options)
    if "query" not in row.columns:
        column = "output" if "output" in row.columns else "inv_question_pred_answer"
        text, rationale = row.text("question"), row.text(column)
        answer, tag = row.text("answer"), "gsm_backward"
        source = replace(source, split="test")  # it comes from GSM8K's test
    else:
        text, rationale = row.text("query"), row.text("response")
        answer, tag = rationale.rpartition(_FINAL)[2], row.text_or("type", "").lower()
        if _FINAL not in rationale:
            detail = f"nothing behind {_FINAL!r} in the response"
            yield Rejected(row.where, "no_final_answer", detail)
            return
    if not text.strip():
        yield Rejected(row.where, "empty_question", "the query is empty")
        return
    problem = Problem(
        key=f"{NAME}-{row.key}",
        group=f"{NAME}-{text_key(row.text_or('original_question', text))}",
        where=row.where,
        text=text,
        answer=answer.strip().removesuffix("."),
        rationale=rationale,
        plain_sums=True,
        tags=(tag,) if tag else (),
    )
    yield draft_problem(problem, source, options)
