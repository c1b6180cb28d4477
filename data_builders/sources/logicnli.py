"""LogicNLI: twelve facts, twelve rules, and statements that they entail, contradict, both or neither.

    {"facts": ["Tom is tall.", ...], "rules": ["If someone is tall, then ...", ...],
     "statements": ["Tom is kind.", ...], "labels": ["entailment", ...]}

Each statement becomes an episode; those of one row share a group. Rows with ``premise``, ``hypothesis`` and ``label``
are read as well. The set gives no proofs, so there is no trace, and it states no licence: give yours with --licence.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Rejected, Row, source_of
from data_builders.sources.common import add_text_options, joined_units, text_key
from data_builders.text.draft import Draft

NAME = "logicnli"
SUMMARY = "LogicNLI: facts and rules, then a statement"
LICENCE = "not stated"
LABELS = ("entailment", "contradiction", "neutral", "self_contradiction")
ASK = 'Do the facts and rules entail or contradict "{}"? Answer entailment, contradiction, neutral or self_contradiction.'

add_options = partial(add_text_options, licence=LICENCE)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a statement."""
    if "premise" in row.columns:
        units = sentence_chunks(row.text("premise"))
        group = f"{NAME}-{text_key(row.text('premise'))}"
        statements, labels = [row.text("hypothesis")], [row.text("label")]
    else:
        units = joined_units((*row.texts("facts"), *row.texts("rules")))
        group = f"{NAME}-{row.key}"
        statements, labels = list(row.texts("statements")), list(row.texts("labels"))
    if len(statements) != len(labels):
        detail = f"{len(statements)} statements and {len(labels)} labels"
        yield Rejected(row.where, "labels_do_not_fit", detail)
        return
    for number, (statement, label) in enumerate(zip(statements, labels, strict=True)):
        answer = label.strip().lower().replace("-", "_").replace(" ", "_")
        if answer not in LABELS:
            yield Rejected(row.where, "bad_gold", f"label {label!r} is none of {', '.join(LABELS)}")
            continue
        yield Draft(
            key=f"{NAME}-{row.key}-{number}",
            group=group,
            where=row.where,
            question=ASK.format(statement.strip()),
            units=units,
            answer=answer,
            answer_type=AnswerType.CHOICE,
            source=source_of(NAME, options),
            is_order_free=True,
        )
