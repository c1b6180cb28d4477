r"""StreamingThinker's rows (arXiv 2510.17238): a context in sentences, one thought for each, and the deep reasoning.

    {"Instruct_Context": {"context": "Tom has 5.<EOS> He buys 3.<EOS>", "instruct": "How many?"},
     "streaming_reasoning": "We want the number.<EOQ> Tom has 5.<EOT> 5 + 3 = 8.<EOT>",
     "deep_reasoning": "So 8. <EOR> The answer is \\box{8}.<EOA>", "answer": "\\boxed{8}"}

JSON files (a list) and parquet files of the same columns are read; columns may be JSON in text. Depth D1 has no deep
reasoning, D2 one part, D3 a self-check up to ``<EOF>``, which joins the deep part; the tag says which. The restated
question before ``<EOQ>`` has no place in our traces and is left out.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from adasr_trl.core.episode import AnswerType
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Count, Rejected, Row, source_of
from data_builders.sources.common import add_text_options, joined_units, text_key
from data_builders.text.draft import Draft
from data_builders.traces.given import given_tracer

NAME = "streamingthinker"
SUMMARY = "StreamingThinker's rows, which have traces (JSON or StreamingCoT parquet)"
LICENCE = "Apache-2.0"
_MARKER = re.compile(r"<(?:EOS|EOT|EOQ|EOR|EOF|EOA|skip)>")
_NUMBER = re.compile(r"\\(?:box|boxed)\s*\{\s*-?[\d.,/]+\s*\}")

add_options = partial(add_text_options, licence=LICENCE)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected | Count]:
    """One episode a row."""
    context, question = _context(row)
    sentences = [sentence for sentence in context.split("<EOS>") if sentence.strip()]
    if not sentences or not question:
        yield Rejected(row.where, "empty_question", "no context, or no instruct")
        return
    if any(_MARKER.search(text) for text in (*sentences, question)):
        yield Count("marker_text_in_the_input")
    streaming = row.text_or("streaming_reasoning", "")
    restated, _, rest = streaming.rpartition("<EOQ>")
    if restated.strip():
        yield Count("restated_question_left_out")
    thoughts = [_tidy(thought) for thought in rest.split("<EOT>")[:-1]]
    deep, depth = _deep(row.text_or("deep_reasoning", ""))
    answer = row.text("answer").strip()
    yield Draft(
        key=f"{NAME}-{Path(row.where.partition(':')[0]).stem}-{row.key}",
        group=f"{NAME}-{text_key(context + question)}",
        where=row.where,
        question=question,
        units=joined_units(sentences),
        answer=answer,
        answer_type=AnswerType.NUMBER if _NUMBER.search(answer) else AnswerType.TEXT,
        source=source_of(NAME, options),
        tracer=given_tracer(thoughts, deep) if streaming else None,
        tags=(depth,),
    )


def _context(row: Row) -> tuple[str, str]:
    """Context and instruction, from a nested object, JSON in text, or flat columns."""
    inner = row
    if "Instruct_Context" in row.columns or "instruct" not in row.columns:
        nested = row.get("Instruct_Context")
        if isinstance(nested, str):
            with suppress(ValueError):  # else no column of it is found
                nested = json.loads(nested)
        inner = row.nested("Instruct_Context", nested)
    return inner.text("context"), inner.text("instruct").strip()


def _deep(text: str) -> tuple[str, str]:
    """The deep reasoning with its self-check, and the depth."""
    reasoning, _, rest = text.partition("<EOR>")
    self_check, has_check, _ = rest.partition("<EOF>")
    if has_check:
        return f"{_tidy(reasoning)} {_tidy(self_check)}", "D3"
    return _tidy(reasoning), "D2" if reasoning.strip() else "D1"


def _tidy(text: str) -> str:
    """One line; "" for a skip."""
    line = " ".join(text.split())
    return "" if line == "<skip>" else line
