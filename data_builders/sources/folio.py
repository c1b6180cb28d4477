"""FOLIO: premises in natural language and a conclusion that is true, false or uncertain.

    {"premises": ["All cats purr.", "Tom is a cat."], "conclusion": "Tom purrs.", "label": "True", "story_id": 7}

Premises are a list, or lines of one text. Conclusions of one story share a group. ``Unknown`` (train) and ``Uncertain``
(validation) are one label. There is no trace.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from adasr_trl.core.episode import AnswerType
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Rejected, Row, source_of
from data_builders.sources.common import add_text_options, joined_units, text_key
from data_builders.text.draft import Draft

NAME = "folio"
SUMMARY = "FOLIO: premises, then a conclusion"
LICENCE = "CC-BY-SA-4.0"
LABELS = {"true": "true", "false": "false", "uncertain": "uncertain", "unknown": "uncertain"}
ASK = 'Is "{}" true, false or uncertain?'

add_options = partial(add_text_options, licence=LICENCE)
open_rows = open_input


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a conclusion."""
    is_text = isinstance(row.get("premises"), str)
    premises = row.text("premises").splitlines() if is_text else row.texts("premises")
    story = row.text_or("story_id", "") or row.text_or("story-id", text_key(" ".join(premises)))
    label = row.text("label").strip()
    if label.lower() not in LABELS:
        yield Rejected(row.where, "bad_gold", f"label {label!r} is none of {', '.join(LABELS)}")
        return
    yield Draft(
        key=f"{NAME}-{row.key}",
        group=f"{NAME}-story-{story}",
        where=row.where,
        question=ASK.format(row.text("conclusion").strip()),
        units=joined_units(premises),
        answer=LABELS[label.lower()],
        answer_type=AnswerType.CHOICE,
        source=source_of(NAME, options),
        is_order_free=True,
    )
