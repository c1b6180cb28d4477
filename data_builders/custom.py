r"""Any question-answering set, by the names of its columns.

    {"ask": "Who owns the boat?", "story": "The boat is Ann's. Bob rows it.", "gold": "Ann"}

    python -m data_builders custom --input rows.jsonl --question-column ask --context-column story \
        --answer-column gold --answer-type text --name boats --licence MIT --out data/boats

A column of numbers is read as text, a context that is a list is joined by spaces. Thoughts are a list of texts, one
a chunk ("" is a skip). Rows without a trace train by reinforcement only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from adasr_trl.answers import AnswerError, check_gold
from adasr_trl.chunking import chunk
from adasr_trl.episode import AnswerType, Episode, EpisodeError, Source
from data_builders.rows import Row, read_rows, revision_of
from data_builders.rows import add_options as add_row_options
from data_builders.source import UNSPLIT, BuildError, Rejected

NAME = "custom"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input and its columns."""
    add_row_options(parser)
    for column, what in (("question", "asked first"), ("context", "streamed"), ("answer", "gold")):
        parser.add_argument(f"--{column}-column", required=True, metavar="COLUMN", help=what)
    parser.add_argument("--thoughts-column", metavar="COLUMN", help="a list, one text a chunk")
    parser.add_argument("--deep-column", metavar="COLUMN", help="reasoning behind the last thought")
    parser.add_argument(
        "--group-column", metavar="COLUMN", help="rows that share it stay in one split"
    )
    parser.add_argument("--id-column", metavar="COLUMN", help="unique (default: the line)")
    kinds = [kind.value for kind in AnswerType]
    parser.add_argument("--answer-type", choices=kinds, required=True, help="how it is compared")
    parser.add_argument("--name", required=True, help="what the set is called")
    parser.add_argument("--licence", required=True, help="the set's licence, for the model card")


def build(options: argparse.Namespace) -> Iterator[Episode | Rejected]:
    """One episode a row."""
    if bool(options.thoughts_column) != bool(options.deep_column):
        raise BuildError(
            "--thoughts-column and --deep-column form one trace: give both or neither."
        )
    source = Source(options.name, revision_of(options), options.licence, UNSPLIT)
    for row in read_rows(options):
        yield _build_row(row, source, options)


def _build_row(row: Row, source: Source, options: argparse.Namespace) -> Episode | Rejected:
    question = row.text(options.question_column).strip()
    chunks = chunk(row.joined(options.context_column), options.chunk)
    answer = row.text(options.answer_column).strip()
    thoughts, deep = _trace(row, options)
    key = row.text(options.id_column) if options.id_column else f"{options.name}-{row.number}"
    kind = AnswerType(options.answer_type)
    if not question:
        return Rejected(row.where, "empty_question", f"column {options.question_column!r} is empty")
    if not chunks:
        return Rejected(row.where, "no_chunks", f"column {options.context_column!r} is empty")
    if thoughts is not None and len(thoughts) != len(chunks):
        detail = f"{len(thoughts)} thoughts for {len(chunks)} chunks"
        return Rejected(row.where, "thoughts_do_not_fit", detail)
    try:
        check_gold(answer, kind)
        return Episode(
            id=key,
            group=row.text(options.group_column) if options.group_column else key,
            question=question,
            chunks=chunks,
            answer=answer,
            answer_type=kind,
            source=source,
            thoughts=thoughts,
            deep=deep,
        )
    except AnswerError as error:
        return Rejected(row.where, "bad_gold", str(error))
    except EpisodeError as error:
        return Rejected(row.where, "invalid", str(error))


def _trace(row: Row, options: argparse.Namespace) -> tuple[tuple[str, ...] | None, str | None]:
    """The row's trace; None for both where it has no columns for one or null in them."""
    if not options.thoughts_column or row.get(options.thoughts_column) is None:
        return None, None
    thoughts = tuple(thought.strip() for thought in row.texts(options.thoughts_column))
    return thoughts, row.text(options.deep_column).strip()
