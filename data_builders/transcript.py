r"""Speech with its times: a transcript in segments, and a question about it. Chunks arrive when they were said.

    {"question": "When is the exam?", "answer": "Friday", "segments": [{"start": 0.0, "end": 2.1, "text": "Good morning."}]}

    python -m data_builders transcript --input talks.jsonl --answer-type text --licence MIT --out data/talks

``segments`` is a list with ``end`` in seconds and ``text`` (Whisper's), or the text of an SRT or WebVTT file. With
``--transcripts DIR`` it may be the name of such a file inside DIR. ``--chunk source`` streams one segment at a time; in
any other cut, times are interpolated within a segment. Times that go back are set to the latest so far, and counted.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from adasr_trl.episode import AnswerType, Source
from data_builders.draft import Draft
from data_builders.inputs import open_input
from data_builders.options import add_text_options
from data_builders.rows import Row
from data_builders.source import UNSPLIT, BuildError, Count, Rejected, Rows

NAME = "transcript"
_TIMES = re.compile(
    r"^[ \t]*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}[ \t]*-->[ \t]*(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})[^\n]*\n",
    re.MULTILINE,
)
_TAG = re.compile(r"<[^<>\n]{0,40}>")

Segment = tuple[float, str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input and how answers are compared."""
    add_text_options(parser, licence="")
    parser.add_argument(
        "--transcripts", type=Path, metavar="DIR", help="folder of SRT and WebVTT files"
    )
    kinds = [kind.value for kind in AnswerType]
    parser.add_argument("--answer-type", choices=kinds, default="text", help="default: text")
    parser.add_argument("--name", default=NAME, help=f"what the set is called (default: {NAME})")


def open_rows(options: argparse.Namespace) -> Rows:
    """The file or the Hub's split."""
    if not options.licence:
        raise BuildError("--licence: is missing; name the set's licence, for the model card.")
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected | Count]:
    """One episode a row."""
    segments = [(end, text) for end, text in _segments(row, options) if text.strip()]
    question = row.text("question").strip()
    if not question or not segments:
        reason = "no_chunks" if question else "empty_question"
        yield Rejected(row.where, reason, "no question, or no segment with text")
        return
    times: list[float] = []
    for end, _ in segments:
        times.append(max([0.0, end, *times[-1:]]))
    if times != [end for end, _ in segments]:
        yield Count("times_that_go_back")
    key = f"{options.name}-{row.text_or('id', row.key)}"
    yield Draft(
        key=key,
        group=f"{options.name}-{row.text_or('group', key)}",
        where=row.where,
        question=question,
        units=_spaced([text for _, text in segments]),
        answer=row.text("answer"),
        answer_type=AnswerType(options.answer_type),
        source=Source(options.name, options.revision_read, options.licence, UNSPLIT),
        is_sentences=False,
        arrival_seconds=tuple(times),
    )


def read_captions(text: str) -> list[Segment]:
    """When each caption of an SRT or WebVTT text ends, and what it says."""
    pieces = _TIMES.split(text.replace("\r\n", "\n"))
    segments = []
    for hours, minutes, seconds, fraction, said in zip(
        *(pieces[i::5] for i in range(1, 6)), strict=True
    ):
        end = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")
        body, _, number = said.rstrip().rpartition("\n")
        if not number.strip().isdecimal():  # else the number of the next caption
            body = said
        segments.append((end, " ".join(_TAG.sub("", body).split())))
    return segments


def _segments(row: Row, options: argparse.Namespace) -> list[Segment]:
    given = row.get("segments")
    if isinstance(given, list):
        return [_segment(row, number, one) for number, one in enumerate(given)]
    text = row.text("segments")
    if options.transcripts is not None and "-->" not in text:
        text = _read_inside(options.transcripts, text, row.where)
    segments = read_captions(text)
    if not segments:
        raise BuildError(
            f"{row.where}: segments is no list and holds no caption times such as 00:00:01.000 --> 00:00:02.500"
            f"{'' if options.transcripts else '; for names of files give --transcripts DIR'}."
        )
    return segments


def _segment(row: Row, number: int, given: object) -> Segment:
    where = f"{row.where}: segments[{number}]"
    inner = Row(where, number, row.key, given if isinstance(given, dict) else {})
    end = inner.get("end")
    if isinstance(end, bool) or not isinstance(end, int | float) or not 0 <= end < 1e9:
        raise BuildError(f"{where}: end is {end!r}; expected seconds.")
    return float(end), inner.text("text")


def _read_inside(folder: Path, name: str, where: str) -> str:
    """A file of the folder; a name that leads out of it is refused."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise BuildError(f"{where}: no transcript {name!r} in {folder}.")
    return path.read_text(encoding="utf-8", errors="replace")


def _spaced(texts: Sequence[str]) -> tuple[str, ...]:
    """Texts of segments as one text: white space between any two."""
    return tuple(
        text if i == 0 or text[:1].isspace() or texts[i - 1][-1:].isspace() else f" {text}"
        for i, text in enumerate(texts)
    )
