r"""Timed transcripts of speech as segments with times: SRT, WebVTT, and the JSON of common recognisers.

    >>> read_transcript("1\n00:00:00,500 --> 00:00:02,000\nGood morning.\n")
    (Segment(end_seconds=2.0, text='Good morning.', start_seconds=0.5),)
    >>> read_transcript('{"chunks": [{"timestamp": [0.5, null], "text": " Good morning."}]}')
    (Segment(end_seconds=1.3, text=' Good morning.', start_seconds=0.5),)

A segment arrives when it ends. Captions are read cue by cue: notes, styles and names of cues are not speech, a line that
is only a number is, tags go and entities are decoded, and a rolling caption is read once. JSON is read in the forms of
Whisper, whisper.cpp, OpenAI, Hugging Face pipelines, Vosk, YouTube and plain lists of words. Speakers, styles and
confidences are left out.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from adasr_trl.core.chunking import spoken_words
from adasr_trl.core.errors import UserError
from adasr_trl.core.sentences import sentence_chunks

LATEST_SECONDS = 1e9
SECONDS_PER_WORD = 0.4  # of a segment without an end: 150 words a minute
PAUSE_SECONDS = 1.0  # of silence that end a chunk whatever was said
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_TAG = re.compile(
    r"</?(?:[ibus]|c|v|lang|ruby|rt|font|span|br)(?:[.\s][^<>\n]*)?/?>|<(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}>|\{\\an?\d[^{}]*\}",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,31});")
_INLINE_TIME = re.compile(r"<(?:\d+:)?\d{1,2}:\d{2}\.\d{3}>")
_LISTS = ("segments", "chunks", "transcription", "events", "words", "result")
_EXPECTED = 'expected {"segments": [{"start": 0.5, "end": 2.1, "text": "..."}]}, or chunks, transcription or words'


class TranscriptError(UserError):
    """No transcript, or one with a segment that cannot be used."""


@dataclass(frozen=True)
class Segment:
    """Words that were said at once: when they ended, and when they began where that is known."""

    end_seconds: float
    text: str
    start_seconds: float | None = None


def read_transcript(text: str) -> tuple[Segment, ...]:
    """The segments with text, in order, by whatever format the text is in.

    Raises:
        TranscriptError: It is none of them, or has no segment with text.
    """
    if text.lstrip().startswith(("{", "[")):
        segments: Sequence[Segment] = recognised_segments(_parsed(text))
    else:
        segments = captions(text)
        if not segments:
            raise TranscriptError(
                "holds no caption times such as 00:00:01.000 --> 00:00:02.500; expected SRT, WebVTT, or "
                "the JSON of a recogniser."
            )
    spoken = [segment for segment in segments if segment.text.strip()]
    if not spoken:
        raise TranscriptError("has no segment with text.")
    return tuple(spoken)


def captions(text: str) -> list[Segment]:
    """The captions of an SRT or WebVTT text in order of their times; none if it is neither.

    Raises:
        TranscriptError: A time line is broken, or text stands outside of a cue, with the line's number.
    """
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    is_vtt = lines[0].startswith("WEBVTT")
    cues = _vtt_cues(lines) if is_vtt else _srt_cues(lines)
    cues.sort(key=lambda cue: (cue.start, cue.end))
    plain = [[_plain(line) for line in cue.lines] for cue in cues]
    shown = [[line for line in cue if line] for cue in plain]
    if _is_rolling(shown, text):
        shown = _unrolled(shown)
    return [
        Segment(cue.end, " ".join(words), cue.start) for cue, words in zip(cues, shown, strict=True)
    ]


@dataclass(frozen=True)
class _Cue:
    start: float
    end: float
    lines: tuple[str, ...]


def _vtt_cues(lines: Sequence[str]) -> list[_Cue]:
    """Blocks between blank lines: a cue has its times in the first or second line."""
    cues: list[_Cue] = []
    for number, block in _blocks(lines):
        if number == 1 or re.match(r"(?:NOTE|STYLE|REGION)(?:\s|$)", block[0]):
            continue
        at = next((i for i, line in enumerate(block[:2]) if "-->" in line), None)
        if at is None:
            raise TranscriptError(
                f"line {number}: {block[0][:40]!r} stands outside of a cue; expected times such as "
                f"00:01.000 --> 00:02.500 above it, or NOTE."
            )
        cues.append(_Cue(*_times(block[at], number + at), tuple(block[at + 1 :])))
    return cues


def _blocks(lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line."""
    blocks: list[tuple[int, list[str]]] = []
    is_open, before = False, ""
    for number, line in enumerate(lines, start=1):
        # YouTube writes a line of one space where a caption's first line is empty: it ends no cue.
        belongs = bool(line.strip()) or "-->" in before
        if belongs and not is_open:
            blocks.append((number, []))
        if belongs:
            blocks[-1][1].append(line)
        is_open, before = belongs, line
    return blocks


def _srt_cues(lines: Sequence[str]) -> list[_Cue]:
    """All that stands between two time lines, but for the number above the second one."""
    starts = [i for i, line in enumerate(lines) if _is_time_line(lines, i)]
    cues: list[_Cue] = []
    for at, behind in pairwise((*starts, len(lines))):
        body = list(lines[at + 1 : behind])
        if behind < len(lines) and body and body[-1].strip().isdecimal():
            is_apart = len(body) == 1 or not body[-2].strip()
            if is_apart or int(body[-1]) == len(cues) + 2:
                body.pop()  # the number of the next cue
        cues.append(_Cue(*_times(lines[at], at + 1), tuple(body)))
    return cues


def _is_time_line(lines: Sequence[str], i: int) -> bool:
    """Whether a line is meant for times: an arrow behind digits, or at a cue's head."""
    if "-->" not in lines[i]:
        return False
    is_head = i == 0 or not lines[i - 1].strip() or lines[i - 1].strip().isdecimal()
    return is_head or re.match(r"\s*[\d:.,]+\s*-->", lines[i]) is not None


def _times(line: str, number: int) -> tuple[float, float]:
    times = _TIMES.fullmatch(line)
    if times is None:
        raise TranscriptError(
            f"line {number}: {line.strip()[:60]!r} is no time line; expected 00:00:01.000 --> 00:00:02.500."
        )
    start, end = _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:])
    if end < start:
        raise TranscriptError(f"line {number}: ends before it begins ({line.strip()[:60]!r}).")
    return start, end


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{fraction or 0}")


def _plain(line: str) -> str:
    """A line of a caption without tags, its entities decoded, its white space single."""
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), _TAG.sub("", line))
    return " ".join(text.split())


def _is_rolling(cues: Sequence[Sequence[str]], text: str) -> bool:
    """Whether each caption repeats the lines of the one before: by its word times, or in half of the captions."""
    if _INLINE_TIME.search(text):
        return True
    repeats = [
        0 < _overlap(before, cue) < len(cue) for before, cue in pairwise(cues) if before and cue
    ]
    return len(repeats) > 1 and 2 * sum(repeats) >= len(repeats)


def _overlap(before: Sequence[str], cue: Sequence[str]) -> int:
    """How many lines at the start of a caption are the last ones of the caption before."""
    return max(
        n
        for n in range(min(len(before), len(cue)) + 1)
        if list(before[len(before) - n :]) == list(cue[:n])
    )


def _unrolled(cues: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each caption's new lines."""
    before: Sequence[str] = ()
    new = []
    for cue in cues:
        new.append(list(cue[_overlap(before, cue) :]))
        before = cue or before
    return new


def recognised_segments(parsed: object) -> list[Segment]:
    """The segments of a recogniser's JSON: a list of them, or an object that holds it under a usual name.

    A segment without an end ends where the next one begins, the last one after ``SECONDS_PER_WORD`` a word.
    """
    name, listed = "segments", parsed
    if isinstance(parsed, Mapping):
        name = next((key for key in _LISTS if isinstance(parsed.get(key), list)), "segments")
        listed = parsed.get(name)
    if not isinstance(listed, list):
        raise TranscriptError(f"has no list of segments; {_EXPECTED}.")
    items = [_item(given, f"{name}[{number}]") for number, given in enumerate(listed)]
    starts = [*(item.start for item in items[1:]), None]
    return [item.segment(following) for item, following in zip(items, starts, strict=True)]


@dataclass(frozen=True)
class _Item:
    where: str
    text: str
    start: float | None
    end: float | None

    def segment(self, following: float | None) -> Segment:
        """The segment, ended by the next one's start where it has no end."""
        end = self.end if self.end is not None else following
        if end is None and self.start is not None:
            end = self.start + spoken_words(self.text) * SECONDS_PER_WORD
        if end is None:
            raise TranscriptError(f"{self.where}: end is None; expected seconds.")
        return Segment(end, self.text, self.start)


def _item(given: object, where: str) -> _Item:
    fields = given if isinstance(given, Mapping) else {}
    start, end = fields.get("start"), fields.get("end")
    scale = 1.0
    if isinstance(times := fields.get("timestamp"), Sequence) and len(times) == 2:  # Hugging Face
        start, end = times
    elif isinstance(offsets := fields.get("offsets"), Mapping):  # whisper.cpp
        start, end, scale = offsets.get("from"), offsets.get("to"), 1000.0
    elif "tStartMs" in fields:  # YouTube
        start, end, scale = (
            fields["tStartMs"],
            _sum(fields["tStartMs"], fields.get("dDurationMs")),
            1000.0,
        )
    elif end is None and "duration" in fields:
        end = _sum(start, fields["duration"])
    text = fields.get("text", fields.get("word"))
    if text is None and isinstance(pieces := fields.get("segs"), list):
        text = "".join(str(piece.get("utf8", "")) for piece in pieces if isinstance(piece, Mapping))
    if not isinstance(text, str) and "tStartMs" not in fields:
        raise TranscriptError(f"{where}: text is {text!r}; expected words.")
    bounds = [
        None if bound is None else _bound(bound, scale, f"{where}: {name}")
        for name, bound in (("start", start), ("end", end))
    ]
    return _Item(where, str(text or ""), *bounds)


def _sum(start: object, duration: object) -> object:
    is_known = isinstance(start, int | float) and isinstance(duration, int | float)
    return start + duration if is_known else None  # type: ignore[operator]  # both are numbers


def _bound(value: object, scale: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TranscriptError(f"{where} is {value!r}; expected seconds.")
    if not (math.isfinite(value) and 0 <= value / scale < LATEST_SECONDS):
        raise TranscriptError(f"{where} is {value!r}; expected seconds.")
    return float(value) / scale


def in_order(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same with times that never go back: one that does is set to the latest so far, and none is below 0."""
    latest, ordered = 0.0, []
    for segment in segments:
        latest = max(latest, segment.end_seconds)
        ordered.append(replace(segment, end_seconds=latest))
    return tuple(ordered)


def ends_chunk(segments: Sequence[Segment]) -> tuple[bool, ...]:
    """Whether a chunk ends behind each segment, whatever its words: at a pause, or where no sentence ever ends.

    A speech with fewer than one sentence end in four segments is taken for one without punctuation.
    """
    text = "".join(spaced(segment.text for segment in segments)).rstrip()
    ends = len(sentence_chunks(text)) - text[-1:].isalnum()
    is_unpunctuated = 4 * ends < len(segments)
    pauses = [
        following.start_seconds is not None
        and following.start_seconds - segment.end_seconds >= PAUSE_SECONDS
        for segment, following in pairwise(segments)
    ]
    return tuple(is_unpunctuated or pause for pause in (*pauses, False)) if segments else ()


def spaced(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts of segments as one text: white space between any two."""
    joined: list[str] = []
    for text in texts:
        joins = not joined or text[:1].isspace() or joined[-1][-1:].isspace()
        joined.append(text if joins else f" {text}")
    return tuple(joined)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"is no JSON ({error}).") from error
