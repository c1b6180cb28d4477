"""The JSON of speech recognisers as segments with times.

    >>> recognised_segments({"segments": [{"start": 0.5, "end": 2.0, "text": " Tom has 5."}]})
    [Segment(end_seconds=2.0, text=' Tom has 5.', start_seconds=0.5)]

Read are Whisper and its kin, whisper.cpp, OpenAI, Hugging Face pipelines, WhisperX, NeMo, Vosk, gentle, YouTube, AssemblyAI,
AWS Transcribe, Azure, Deepgram, ElevenLabs, Fireflies, Google, Premiere, Recall, Rev, Teams and Watson, by their own keys, and lists of segments or words, also as JSON Lines.
Units follow from the keys; times in a unit that no key tells are refused. The first alternative counts. Speakers, styles
and confidences are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeGuard

from adasr_trl.core.chunking import spoken_words
from adasr_trl.core.segments import (
    LATEST_SECONDS,
    SECONDS_PER_WORD,
    Segment,
    TranscriptError,
    said_once,
)

# Names of lists of segments, of words, of what holds such lists; the first one that is not empty counts.
_NAMES = (
    *("segments", "chunks", "transcription", "events", "utterances", "phrases"),
    *("recognizedPhrases", "monologues", "sentences", "audio_segments", "segment"),
    *("transcript", "word_segments", "snippets"),
    *("words", "result", "items", "word", "elements", "timestamps"),
    *("results", "channels", "alternatives", "timestamp", "paragraphs"),
    *("annotationResults", "speechTranscriptions", "entries"),
)
_TEXTS = (
    *("punctuated_word", "text", "word", "transcript", "segment", "content", "value"),
    *("display", "DisplayText", "Display", "body", "sentence"),
)
_MILLI, _TICKS = 1e-3, 1e-7
_STARTS = {
    **dict.fromkeys(
        ("start", "start_time", "startTime", "startOffset", "ts", "start_timestamp"), 1.0
    ),
    **dict.fromkeys(
        ("tStartMs", "startMs", "startTimeMs", "start_ms", "offsetMilliseconds"), _MILLI
    ),
    **dict.fromkeys(("offsetInTicks", "Offset"), _TICKS),
}
_ENDS = {
    **dict.fromkeys(
        (
            *("end", "end_time", "endTime", "endOffset", "end_ts", "resultEndTime"),
            *("resultEndOffset", "end_timestamp"),
        ),
        1.0,
    ),
    **dict.fromkeys(("endMs", "endTimeMs", "end_ms"), _MILLI),
}
_DURATIONS = {
    "duration": 1.0,
    **dict.fromkeys(("dDurationMs", "durationMs", "duration_ms", "durationMilliseconds"), _MILLI),
    **dict.fromkeys(("durationInTicks", "Duration"), _TICKS),
}
_PAIRS = ("timestamp", "offsets")  # start and end together
_UNKNOWN_UNITS = ("stop", "t0", "t1", "from", "to", "start_sample", "end_sample")
_WRITTEN = {
    *("start_time", "end_time", "startTime", "endTime", "startOffset", "endOffset"),
    *("resultEndTime", "resultEndOffset"),
}
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s?")  # "1.200s"
_ISO_SECONDS = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")  # Azure's
# "00:00:01.200", under any name.
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:[.,]\d{1,9})?)")
_BACK_SECONDS = 1.0  # by which a segment may begin before the one above it
_SLOWEST = 30.0  # seconds a word, over a whole transcript, that no speech has
_EXPECTED = 'expected {"segments": [{"start": 0.5, "end": 2.1, "text": "..."}]}, or chunks, transcription or words'


def parsed_json(text: str) -> object:
    """JSON; of several values one behind another, as Vosk prints them or JSON Lines have them, a list of all.

    Raises:
        TranscriptError: It is none.
    """
    decoder = json.JSONDecoder()
    values: list[object] = []
    text = text.strip("\ufeff \t\r\n")
    try:
        while text:
            value, end = decoder.raw_decode(text)
            values.append(value)
            text = text[end:].lstrip()
        return values[0] if len(values) == 1 else [i for value in values for i in _items_of(value)]
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"is no JSON ({error}).") from error


def _items_of(value: object) -> list[object]:
    """What one of several values holds: itself if it is a segment, segments or words, or nothing, as Vosk's silence."""
    fields = value if isinstance(value, Mapping) else {"": value}
    if _is_timed(value) and _text(fields) is not None:
        return [value]
    found = [item for _, item in _listed(value, "")]
    holds_more = any(isinstance(inner, Mapping | list) and inner for inner in fields.values())
    has_text = any(fields.get(name) for name in _TEXTS)
    is_note = isinstance(value, Mapping) and not (_is_timed(value) or holds_more or has_text)
    return found or ([] if is_note or value == [] else [value])


def _is_timed(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and any(name in value for name in (*_STARTS, *_PAIRS, "end"))


def recognised_segments(parsed: object) -> list[Segment]:
    """The segments of a recogniser's JSON.

    A segment without an end ends where the next one begins, those at the end after ``SECONDS_PER_WORD`` a word.

    Raises:
        TranscriptError: There is no list of segments, or one of them has no text or unusable times.
    """
    try:
        listed = _listed(parsed, "segments" if isinstance(parsed, list) else "")
    except RecursionError as error:
        raise TranscriptError("is nested too deeply.") from error
    if not listed and _is_timed(parsed) and _text(parsed) is not None:
        listed = [("segment", parsed)]
    is_empty = isinstance(parsed, Mapping) and any(parsed.get(name) == [] for name in _NAMES)
    if not listed and not is_empty and parsed != []:
        raise TranscriptError(f"has no list of segments; {_EXPECTED}.")
    is_assembly = isinstance(parsed, Mapping) and "audio_duration" in parsed
    items: list[_Item] = []
    for where, given in listed:
        item = _item(given, where, _MILLI if is_assembly else 1.0)
        if items and _is_mark(given):
            items[-1] = replace(items[-1], text=items[-1].text + item.text)
        else:
            items.append(item)
    if items and all(item.start is None and item.end is None for item in items):
        raise TranscriptError(f"{items[0].where}: end is None; expected seconds.")
    segments = list(_timed(_in_time(items)))
    _check_pace(segments)
    return said_once(segments)


def _listed(value: object, where: str) -> list[tuple[str, object]]:
    """Segments or words with their places, from however deep they lie."""
    if isinstance(value, list):
        return [
            found for n, each in enumerate(value) for found in _unwrapped(each, f"{where}[{n}]")
        ]
    if isinstance(value, Mapping):
        for name in _NAMES:
            inner = value.get(name)
            if name == "alternatives" and isinstance(inner, list) and inner:
                inner = inner[0]
            if found := _listed(inner, f"{where}.{name}" if where else name):
                return found
        if "DisplayText" in value or "NBest" in value:  # one phrase of Azure
            return [(where or "phrase", value)]
    return []


def _unwrapped(each: object, where: str) -> list[tuple[str, object]]:
    """An item, or those that it holds if it has no times or no text itself."""
    is_item = not isinstance(each, Mapping) or (_is_timed(each) and _text(each) is not None)
    return (not is_item and _listed(each, where)) or [(where, each)]


def _is_mark(given: object) -> bool:
    """Whether an item is a punctuation mark that belongs to the word before."""
    return isinstance(given, Mapping) and given.get("type") in ("punctuation", "punct")


def _in_time(items: Sequence[_Item]) -> Sequence[_Item]:
    """Items of several lists, as one a channel, by their times; one list whose times go back is refused."""
    said = [item for item in items if item.text.strip() and item.start is not None]
    for before, item in pairwise(said):
        if (item.start or 0.0) >= (before.start or 0.0) - _BACK_SECONDS:
            continue
        if item.where.rpartition("[")[0] == before.where.rpartition("[")[0]:
            raise TranscriptError(
                f"{item.where}: begins at {item.start} s, the one before it at {before.start} s; sort them by start, or "
                f"give the parts one by one if the recogniser's clock began anew."
            )
        if all(each.start is not None for each in items):
            return sorted(items, key=lambda each: each.start or 0.0)
    return items


@dataclass(frozen=True)
class _Item:
    where: str
    text: str
    start: float | None
    end: float | None


def _item(given: object, where: str, scale: float) -> _Item:
    if isinstance(given, list) and len(given) == 3:  # Watson
        given = dict(zip(("text", "start", "end"), given, strict=True))
    fields = given if isinstance(given, Mapping) else {}
    text = _text(fields)
    if text is None:
        raise TranscriptError(f"{where}: text is None; expected words.")
    start, end = _pair(fields, where)
    if start is None:
        start = _time(fields, _STARTS, scale, where)
    if end is None:
        end = _time(fields, _ENDS, scale, where)
    duration = _time(fields, _DURATIONS, scale, where)
    if end is None and start is not None and duration is not None:
        end = start + duration
    unknown = [name for name in _UNKNOWN_UNITS if name in fields]
    if unknown and (start is None or end is None):
        raise TranscriptError(
            f"{where}: the unit of {unknown[0]!r} is unknown; expected start and end in seconds."
        )
    return _Item(where, text, start, end)


def _text(fields: Mapping[str, object]) -> str | None:
    for name in _TEXTS:
        if isinstance(text := fields.get(name), str):
            return text
    for name in ("alternatives", "nBest", "NBest"):
        if isinstance(inner := fields.get(name), list) and inner and isinstance(inner[0], Mapping):
            return _text(inner[0])
    pieces = fields.get("segs")
    if isinstance(pieces, list):
        return "".join(str(piece.get("utf8", "")) for piece in pieces if isinstance(piece, Mapping))
    return "" if "tStartMs" in fields else None  # YouTube's windows have no words


def _pair(fields: Mapping[str, object], where: str) -> tuple[float | None, float | None]:
    """Start and end of Hugging Face's ``timestamp`` or whisper.cpp's ``offsets``."""
    start: object = None
    end: object = None
    scale = 1.0
    times, offsets = fields.get("timestamp"), fields.get("offsets")
    if isinstance(times, Sequence) and len(times) == 2:
        start, end = times
    elif isinstance(offsets, Mapping):
        start, end, scale = offsets.get("from"), offsets.get("to"), _MILLI
    return _bound(start, scale, f"{where}: start"), _bound(end, scale, f"{where}: end")


def _time(
    fields: Mapping[str, object], units: Mapping[str, float], scale: float, where: str
) -> float | None:
    """The first of the named times that is given, in seconds; ``scale`` is that of plain numbers."""
    for name, unit in units.items():
        value = fields.get(name)
        if isinstance(value, Mapping):
            value = value.get("relative", value)  # Recall's, beside the time of day
        written = _written(value, name)
        if written is not None:
            return _bound(written, 1.0, f"{where}: {name}")
        if value is not None:
            return _bound(value, unit if unit != 1.0 else scale, f"{where}: {name}")
    return None


def _written(value: object, name: str) -> float | None:
    """Seconds of a time that is written out: "1.2s", "PT1.2S", "00:00:01.200", or seconds and nanoseconds apart."""
    if isinstance(value, Mapping):  # Google's
        parts = [str(value.get(part, 0)) for part in ("seconds", "nanos")]
        is_known = value or name in _WRITTEN  # an empty one is 0
        is_time = (
            is_known and all(map(str.isdecimal, parts)) and value.keys() <= {"seconds", "nanos"}
        )
        return int(parts[0]) + int(parts[1]) * 1e-9 if is_time else None
    if not isinstance(value, str):
        return None
    if clock := _ISO_SECONDS.fullmatch(value):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return round(hours * 3600 + minutes * 60 + seconds, 6)
    if clock := _CLOCK.fullmatch(value):
        return round(
            int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", ".")), 6
        )
    plain = _SECONDS.fullmatch(value) if name in _WRITTEN else None
    return None if plain is None else float(plain[1])


def _bound(value: object, scale: float, where: str) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value < LATEST_SECONDS / scale):  # type: ignore[operator]  # a number
        raise TranscriptError(f"{where} is {value!r}; expected seconds.")
    return float(value) if scale == 1.0 else round(float(value) * scale, 6)  # type: ignore[arg-type]  # a number


def _timed(items: Sequence[_Item]) -> Iterator[Segment]:
    """Segments, each with an end."""
    following: list[float | None] = [None] * len(items)  # the next start that is known
    for n in range(len(items) - 1, 0, -1):
        start = items[n].start
        following[n - 1] = following[n] if start is None else start
    latest = 0.0
    for item, next_start in zip(items, following, strict=True):
        begin = latest if item.start is None else item.start
        end = item.end
        if end is None and next_start is not None and next_start >= begin:
            end = next_start
        if end is None:
            end = begin + spoken_words(item.text) * SECONDS_PER_WORD
        if item.start is not None and end < item.start:
            raise TranscriptError(f"{item.where}: ends before it begins ({item.start} to {end}).")
        latest = end
        yield Segment(end, item.text, item.start)


def _check_pace(segments: Sequence[Segment]) -> None:
    """Refuse whole numbers that are no seconds, as milliseconds under the names of seconds."""
    bounds = [(segment.start_seconds or 0.0, segment.end_seconds) for segment in segments]
    words = sum(spoken_words(segment.text) for segment in segments)
    seconds = sum(end - start for start, end in bounds)
    is_whole = all(start.is_integer() and end.is_integer() for start, end in bounds)
    if words and is_whole and seconds / words > _SLOWEST:
        raise TranscriptError(
            f"has {seconds / words:.0f} s a word; expected seconds: divide milliseconds by 1000."
        )
