"""SVAMP: a body, a question, an equation of one or two steps.

    {"ID": "chal-1", "Body": "Tom has 5 pens. He buys 3", "Question": "How many has he?", "Equation": "( 5.0 + 3.0 )",
     "Answer": 8.0, "Type": "Addition"}

Many bodies lack their final stop; the text stays unchanged. The equation's inner steps are the rationale, its last one
answers. Rows whose equation does not give their answer are counted, and get no trace. Rows with the same body apart from
its numbers share a group.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import partial

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Count, Row, source_of
from data_builders.sources.common import add_text_options, text_key
from data_builders.text.draft import Draft
from data_builders.traces.align import aligned, needed_units

NAME = "svamp"
SUMMARY = "SVAMP: one-step word problems with equations"
LICENCE = "MIT"
MOST_EQUATION = 500  # characters
_INNERMOST = re.compile(r"\(\s*(-?[\d.]+)\s*([-+*/])\s*(-?[\d.]+)\s*\)")

add_options = partial(add_text_options, licence=LICENCE, is_aligned=True)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Count]:
    """One episode a row."""
    answer = float(row.text("Answer"))
    body, question = row.text("Body"), row.text("Question").strip()
    rationale, value = read_equation(row.text("Equation"))
    is_right = value is not None and abs(value - answer) < 1e-4
    if not is_right:
        yield Count("equation_does_not_give_the_answer")
    units = sentence_chunks(body)
    yield Draft(
        key=f"{NAME}-{row.text_or('ID', row.key)}",
        group=f"{NAME}-{text_key(re.sub('[0-9]+', '0', body))}",
        where=row.where,
        question=question,
        units=units,
        answer=spell(answer),
        answer_type=AnswerType.NUMBER,
        source=source_of(NAME, options),
        needed=lambda: needed_units(rationale, question, units),
        tracer=aligned(rationale, options) if is_right else None,
        tags=(row.text_or("Type", "").strip().lower().replace(" ", "_"),),
    )


def read_equation(equation: str) -> tuple[str, float | None]:
    """The steps of an equation, innermost first, and its value; None for an unreadable one."""
    lines: list[str] = []
    text, value = equation[:MOST_EQUATION], None
    while operation := _INNERMOST.search(text):
        left, operator, right = float(operation[1]), operation[2], float(operation[3])
        if operator == "/" and not right:
            return "", None
        value = {"+": left + right, "-": left - right, "*": left * right}.get(operator)
        value = left / right if value is None else value
        step = f"{spell(left)}{operator}{spell(right)}={spell(value)}"
        lines.append(f"{step.replace('=', ' = ')}<<{step}>>")
        text = text[: operation.start()] + f" {value!r} " + text[operation.end() :]
    is_whole = re.fullmatch(r"\s*-?[\d.e+-]+\s*", text) is not None
    return "\n".join(lines), value if is_whole else None


def spell(number: float) -> str:
    """51.0 as 51, 0.3333333 as 0.3333."""
    rounded = round(number, 4)
    # The general format turns to exponents from a million on.
    return f"{rounded:g}" if abs(number) < 1e6 else str(rounded).removesuffix(".0")
