r"""Timed transcripts of speech: what was said, and when it had been said. SRT, WebVTT, and Whisper's JSON.

    >>> read_transcript("1\n00:00:00,500 --> 00:00:02,000\nGood morning.\n")
    (Segment(end_seconds=2.0, text='Good morning.'),)
    >>> read_transcript('{"segments": [{"start": 0.5, "end": 2, "text": " Good morning."}]}')
    (Segment(end_seconds=2.0, text=' Good morning.'),)

A segment arrives when it ends. Tags (``<i>``) are left out, and so are who speaks, styles and confidences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from adasr_trl.core.errors import UserError

LATEST_SECONDS = 1e9
_TIMES = re.compile(
    r"^[ \t]*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}[ \t]*-->[ \t]*(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})[^\n]*\n",
    re.MULTILINE,
)
_TAG = re.compile(r"<[^<>\n]{0,40}>")


class TranscriptError(UserError):
    """No transcript, or one with a segment that cannot be used."""


@dataclass(frozen=True)
class Segment:
    """What was said at once, and when it had been said."""

    end_seconds: float
    text: str


def read_transcript(text: str) -> tuple[Segment, ...]:
    """The segments with text, in order, by whatever format the text is in.

    Raises:
        TranscriptError: It is none of the three, or has no segment with text.
    """
    if text.lstrip().startswith(("{", "[")):
        found: Sequence[Segment] = whisper_segments(_parsed(text))
    else:
        found = captions(text)
        if not found:
            raise TranscriptError(
                "holds no caption times such as 00:00:01.000 --> 00:00:02.500; expected SRT, WebVTT, or "
                "Whisper's JSON."
            )
    said = [segment for segment in found if segment.text.strip()]
    if not said:
        raise TranscriptError("has no segment with text.")
    return tuple(said)


def captions(text: str) -> list[Segment]:
    """The captions of an SRT or WebVTT text; none if it is neither."""
    pieces = _TIMES.split(text.replace("\r\n", "\n"))
    segments = []
    for hours, minutes, seconds, fraction, said in zip(
        *(pieces[i::5] for i in range(1, 6)), strict=True
    ):
        end = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")
        body, _, number = said.rstrip().rpartition("\n")
        if not number.strip().isdecimal():  # else the number of the next caption
            body = said
        segments.append(Segment(end, " ".join(_TAG.sub("", body).split())))
    return segments


def whisper_segments(found: object) -> list[Segment]:
    """The segments of what Whisper writes as JSON: a list of them, or an object that has it as ``segments``."""
    listed = found.get("segments") if isinstance(found, Mapping) else found
    if not isinstance(listed, list):
        raise TranscriptError(
            'has no list of segments; expected {"segments": [{"end": 2.1, "text": "..."}]}, as Whisper writes it.'
        )
    return [_segment(given, f"segments[{number}]") for number, given in enumerate(listed)]


def in_order(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same with times that never go back: one that does is set to the latest so far, and none is below 0."""
    latest, mended = 0.0, []
    for segment in segments:
        latest = max(latest, segment.end_seconds)
        mended.append(replace(segment, end_seconds=latest))
    return tuple(mended)


def spaced(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts of segments as one text: white space between any two."""
    found: list[str] = []
    for text in texts:
        joins = not found or text[:1].isspace() or found[-1][-1:].isspace()
        found.append(text if joins else f" {text}")
    return tuple(found)


def _segment(given: object, where: str) -> Segment:
    fields = given if isinstance(given, Mapping) else {}
    end, text = fields.get("end"), fields.get("text")
    if isinstance(end, bool) or not isinstance(end, int | float) or not 0 <= end < LATEST_SECONDS:
        raise TranscriptError(f"{where}: end is {end!r}; expected seconds.")
    if not isinstance(text, str):
        raise TranscriptError(f"{where}: text is {text!r}; expected what was said.")
    return Segment(float(end), text)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"is no JSON ({error}).") from error
