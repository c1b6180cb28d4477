"""GSM-Symbolic (Apple): variants of 100 GSM8K test problems, as the official rows or from its templates.

    adasr data gsm_symbolic --input GSM_symbolic.jsonl --ephemeral -- adasr eval --data.test {out}/test.jsonl
    adasr data gsm_symbolic --input templates/symbolic --instances 50 --licence "Apple sample code" --out DIR

Variants of one problem share a group (``original_id``). The official rows are CC BY-NC-ND with a canary against training:
adapted ones may not be passed on, so they build with ``--ephemeral`` only, for the run of one command, and under no other
licence. Templates are a folder of JSON files; their problems are not the official set.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

from data_builders.errors import BuildError
from data_builders.rows.inputs import open_input
from data_builders.rows.options import add_number, check_number
from data_builders.rows.row import Rejected, Row, Rows
from data_builders.sources.common import add_text_options
from data_builders.sources.gsm8k import draft_row
from data_builders.sources.gsm_symbolic_templates import FillError, fill, read_template
from data_builders.text.draft import Draft

NAME = "gsm_symbolic"
SUMMARY = "GSM-Symbolic's rows, or its templates filled in"
LICENCE = "CC-BY-NC-ND-4.0"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input, and how often templates are filled."""
    add_text_options(parser, licence=LICENCE, is_aligned=True)
    add_number(parser, "instances", 50, "problems a template")


def open_rows(options: argparse.Namespace) -> Rows:
    """The rows, or the templates."""
    check_number(options, "instances", 1)
    if options.licence == LICENCE and not options.ephemeral:
        raise BuildError(
            f"--licence: these rows are {LICENCE}, which forbids to write adapted ones; build them with --ephemeral for "
            f"one command, or name the licence of rows that you made from the templates."
        )
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row, or several a template."""
    if "question_annotated" in row.columns:
        yield from _fill_template(row, options)
        return
    if "canary" in row.columns and not options.ephemeral:
        raise BuildError(
            f"{row.where}: a row with a canary is of the official set ({LICENCE}); build it with --ephemeral."
        )
    instance = f"{row.text_or('id', row.key)}-{row.text_or('instance', row.key)}"
    columns = {**row.columns, "original_question": ""}
    yield draft_row(Row(row.where, row.number, instance, columns), NAME, options)


def _fill_template(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    original = row.text_or("id_orig", row.key)
    try:
        template = read_template(row.columns, row.where)
    except FillError as error:
        yield Rejected(row.where, "bad_template", str(error))
        return
    seen: set[str] = set()
    for instance in range(options.instances):
        rng = random.Random(f"{options.seed}/{original}/{instance}")
        try:
            columns = fill(template, rng) | {"original_id": original}
        except FillError as error:
            yield Rejected(row.where, "template_not_filled", str(error))
            return
        if columns["question"] not in seen:
            seen.add(columns["question"])
            key = f"{row.key}-{instance}"
            yield draft_row(Row(row.where, row.number, key, columns), NAME, options)
