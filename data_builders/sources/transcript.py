r"""Speech with its times: a transcript in segments, and a question about it. Chunks arrive when they were said.

    {"question": "When is the exam?", "answer": "Friday", "segments": [{"start": 0.0, "end": 2.1, "text": "Good morning."}]}

    adasr data transcript --input talks.jsonl --answer-type text --licence MIT --out data/talks

``segments`` is the JSON of a recogniser, such as a list with ``end`` in seconds and ``text``, or the text of an SRT or
WebVTT file. With ``--transcripts DIR`` it may be the name of a file with one of these inside DIR. ``--chunk source`` streams one segment at a time; in
any other cut, times are interpolated within a segment. Times that go back by
a second at most are set to the latest so far, and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from adasr_trl.core.decoding import read_text
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.errors import UserError
from adasr_trl.core.transcripts import (
    Segment,
    TranscriptError,
    ends_chunk,
    in_order,
    read_transcript,
    recognised_segments,
    spaced,
)
from data_builders.rows.inputs import open_input
from data_builders.rows.options import path_of
from data_builders.rows.row import Count, Rejected, Row, Rows, source_of
from data_builders.sources.common import add_text_options, require_licence
from data_builders.text.draft import Draft

_MAX_NAME = 255  # bytes of a file's name
NAME = "transcript"
SUMMARY = "speech with times (segments, SRT, WebVTT) and questions about it"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input and how answers are compared."""
    add_text_options(parser, licence="")
    what = "folder of SRT, WebVTT and JSON files"
    parser.add_argument("--transcripts", type=path_of, metavar="DIR", help=what)
    kinds = [kind.value for kind in AnswerType]
    parser.add_argument("--answer-type", choices=kinds, default="text", help="default: text")
    parser.add_argument("--name", default=NAME, help=f"what the set is called (default: {NAME})")


def open_rows(options: argparse.Namespace) -> Rows:
    """The file or the Hub's split."""
    require_licence(options)
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected | Count]:
    """One episode a row."""
    try:
        segments = [segment for segment in _segments(row, options) if segment.text.strip()]
    except TranscriptError as error:
        yield Rejected(row.where, "bad_transcript", f"segments: {error}")
        return
    question = row.text("question").strip()
    if not question or not segments:
        reason = "no_chunks" if question else "empty_question"
        yield Rejected(row.where, reason, "no question, or no segment with text")
        return
    ordered = in_order(segments)
    if ordered != tuple(segments):
        yield Count("times_that_go_back")
    key = f"{options.name}-{row.text_or('id', row.key)}"
    yield Draft(
        key=key,
        group=f"{options.name}-{row.text_or('group', key)}",
        where=row.where,
        question=question,
        units=spaced(segment.text for segment in ordered),
        ends_chunk=ends_chunk(ordered),
        answer=row.text("answer"),
        answer_type=AnswerType(options.answer_type),
        source=source_of(options.name, options),
        is_sentences=False,
        arrival_seconds=tuple(segment.end_seconds for segment in ordered),
    )


def _segments(row: Row, options: argparse.Namespace) -> Sequence[Segment]:
    given = row.get("segments")
    if isinstance(given, list | dict):
        return recognised_segments(given)
    text = row.text("segments")
    if "-->" in text or text.lstrip().startswith(("{", "[")):
        return read_transcript(text)
    if options.transcripts is None:
        raise TranscriptError("holds no transcript; for names of files give --transcripts DIR.")
    return read_transcript(_read_inside(options.transcripts, text, options.encoding))


def _read_inside(folder: Path, name: str, encoding: str) -> str:
    """Text of a file in the folder; a name that leads out of it is refused."""
    if "\0" in name or len(name) > _MAX_NAME:
        raise TranscriptError(f"is neither a transcript nor a file's name ({name[:40]!r}...).")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise TranscriptError(f"no transcript {name!r} in {folder}.")
    try:
        return read_text(path, encoding)
    except UserError as error:
        raise TranscriptError(str(error)) from error
