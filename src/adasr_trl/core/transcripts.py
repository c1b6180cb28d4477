r"""Timed transcripts of speech as segments with times: SRT, WebVTT, and the JSON of common recognisers.

    >>> read_transcript("1\n00:00:00,500 --> 00:00:02,000\nGood morning.\n")
    (Segment(end_seconds=2.0, text='Good morning.', start_seconds=0.5),)
    >>> read_transcript('{"chunks": [{"timestamp": [0.5, null], "text": " Good morning."}]}')
    (Segment(end_seconds=1.3, text=' Good morning.', start_seconds=0.5),)

Captions are read cue by cue: notes, styles and names of cues are not speech, a line that is only a number is, tags go and
entities are decoded, and a rolling or animated caption is read once. Whisper's lines (``[00:00.000 --> 00:02.000] Hi.``)
and its table are captions as well. Other formats are refused by their names. A line of times always begins a cue. JSON is read in ``recognisers``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from adasr_trl.core.recognisers import parsed_json, recognised_segments
from adasr_trl.core.segments import (
    PAUSE_SECONDS,
    Segment,
    TranscriptError,
    ends_chunk,
    in_order,
    said_once,
    spaced,
)

__all__ = [
    "Segment",
    "TranscriptError",
    "captions",
    "ends_chunk",
    "in_order",
    "read_transcript",
    "recognised_segments",
    "spaced",
]

# ruff: noqa: RUF001 - wrong arrows are meant
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
# What looks like a time line but for its arrow: never speech.
_LIKE_TIMES = re.compile(
    r"\s*\d+(?:\s?:\s?\d+){1,2}[.,\d\s]*(?:[-–—−]+\s?>|[–—−→])\s*\d+\s?:[\s\d:.,]+"
)
_CONSOLE = re.compile(rf"\s*\[({_TIME}\s*-->\s*{_TIME})\]\s*(.*)")  # as Whisper prints
# Tags without attributes, voices and languages with a name, attributes in their form: "a <b and c> d" is speech.
_TAG = re.compile(
    r"</?(?:[ibus]|c|em|strong|ruby|rt|br)(?:\.[\w.-]+)*\s*/?>|</?(?:v|lang)(?:[.\s][^<>\n]*)?>"
    r"|</?(?:font|span|p|div|[ibu])(?:\s+[\w-]+\s*=[^<>\n]*)?/?>|</a>|<a\s+[\w-]+\s*=[^<>\n]*>"
    r"|<(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}>|\{\\[^{}\n]*\}",
    re.IGNORECASE,
)
# How a word is read, beside it.
_RUBY = re.compile(r"<(rt|rp)(?:\.[\w.-]+)*>[^<]*(?:</\1>|(?=<))", re.IGNORECASE)
_LINE_BREAK = re.compile(r"\\[Nh]")  # of ASS
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,31});")
_TABLE = re.compile(r"start\tend\ttext\r?\n")  # Whisper's, in milliseconds
_FOREIGN = {
    re.compile(
        r"\[(?:Script Info|V4\+{0,2} Styles|Events|Fonts|Graphics)\]|Dialogue:", re.IGNORECASE
    ): "a script of SSA or ASS",
    re.compile(
        r"\[\d+:\d+(?:[.:]\d+)?\](?!\s*-->)|\[(?:ar|ti|al|by|offset|length|re):"
    ): "lyrics (LRC)",
    re.compile(r"\[(?:INFORMATION|TITLE)\]"): "a SubViewer file",
    re.compile(r"\{\d+\}\{\d*\}|\[\d+\]\[\d*\]"): "a MicroDVD or MPL2 file",
    re.compile(
        r"\d:\d\d:\d\d\.\d{3},\d:\d\d:\d\d\.\d{3}\s*$", re.MULTILINE
    ): "a SubViewer (SBV) file",
    re.compile(r"<"): "XML, such as TTML",
    re.compile(r"Scenarist_SCC"): "a Scenarist file (SCC)",
}
_NUMBER = re.compile(r"\s*#?(\d{1,6})\s*")  # of a cue
_INLINE_TIME = re.compile(r"<(?:\d+:)?\d{1,2}:\d{2}\.\d{3}>")
_WEBVTT, _CLOCK = "WEBVTT", "X-TIMESTAMP-MAP"
_TWO_FILES = "these are two files in one, give them one by one."
_HEAD = re.compile(r"\s*WEBVTT(?!\w)", re.IGNORECASE)
_NOT_SPEECH = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")  # how blocks of WebVTT begin
_ECHO_SECONDS = 0.1  # in less nothing is said: a caption that only moves what was shown


def read_transcript(text: str) -> tuple[Segment, ...]:
    """The segments with text, in order, by whatever format the text is in.

    Raises:
        TranscriptError: It is none of them, or has no segment with text.
    """
    start = text.lstrip("\ufeff \t\r\n")
    for beginning, kind in _FOREIGN.items():
        if beginning.match(start):
            raise TranscriptError(f"is {kind}; convert it to SRT, with ffmpeg -i FILE talk.srt.")
    if _TABLE.match(start):
        segments: Sequence[Segment] = _table(start)
    elif start.startswith(("{", "[")) and not _CONSOLE.match(start):
        segments = recognised_segments(parsed_json(text))
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


def _table(text: str) -> list[Segment]:
    """The rows of Whisper's table: start and end in milliseconds, then the text."""
    segments = []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        fields = line.split("\t", 2)
        if not line.strip():
            continue
        if len(fields) != 3 or not all(field.isdecimal() for field in fields[:2]):
            raise TranscriptError(f"line {number}: {line[:40]!r}; expected START, END and TEXT.")
        start, end = (int(field) / 1000 for field in fields[:2])
        segments.append(Segment(end, fields[2], start))
    return said_once(segments)


def captions(text: str) -> list[Segment]:
    """The captions of an SRT or WebVTT text in order of their times; none if it is neither.

    Raises:
        TranscriptError: A time line is broken, or text stands outside of a cue, with the line's number.
    """
    text = text.replace("\ufeff", "").strip("\x1a")
    lines = re.split(r"\r+\n|\r|\n", text)
    if _HEAD.match(text):
        cues = _vtt_cues(lines)
    else:
        cues = _console_cues(lines) if _CONSOLE.match(text) else _srt_cues(lines)
    cues.sort(key=lambda cue: (cue.start, cue.end))
    plain = [[_plain(line) for line in cue.lines] for cue in cues]
    shown = [[line for line in cue if line] for cue in plain]
    words = [" ".join(cue).split() for cue in shown]
    if _is_rolling(cues, shown) or _INLINE_TIME.search(text):
        shown = _unrolled(cues, shown)
    elif _is_rolling(cues, words, in_words=True):
        shown = _unrolled(cues, words)
    return said_once(
        [
            Segment(cue.end, " ".join(cue_text), cue.start)
            for cue, cue_text in zip(cues, shown, strict=True)
        ]
    )


@dataclass(frozen=True)
class _Cue:
    start: float
    end: float
    lines: tuple[str, ...]


def _vtt_cues(lines: Sequence[str]) -> list[_Cue]:
    """The cues of a file, or of the pieces of an HLS stream one behind another, each with a head.

    Such a piece says again what goes on from the one before.
    """
    blocks = _blocks(lines)
    heads = [i for i, (_, block) in enumerate(blocks) if not i or block[0].strip() == _WEBVTT]
    cues: list[_Cue] = []
    clocks: set[str] = set()
    for at, behind in pairwise((*heads, len(blocks))):
        number, head = blocks[at]
        clocks |= {line.strip() for line in head if line.startswith(_CLOCK)}
        said = set(cues)
        new = [cue for cue in _piece_cues(blocks[at:behind]) if cue not in said]
        if len(clocks) > 1 or (cues and new and new[0].start < cues[-1].start):
            raise TranscriptError(f"line {number}: times begin anew; {_TWO_FILES}")
        cues += new
    return cues


def _piece_cues(blocks: Sequence[tuple[int, list[str]]]) -> list[_Cue]:
    """Blocks between blank lines: a cue has its times in the first or second line, the file's head in any."""
    cues: list[_Cue] = []
    for number, block in blocks:
        is_head = number == blocks[0][0]
        if not is_head and _NOT_SPEECH.match(block[0]):
            continue
        times = [i for i, line in enumerate(block) if "-->" in line]
        if not is_head and times[:1] not in ([0], [1]):
            raise TranscriptError(
                f"line {number}: {block[0][:40]!r} stands outside of a cue; expected times such as "
                f"00:01.000 --> 00:02.500 above it, or NOTE."
            )
        for at, behind in pairwise((*times, len(block))):  # a cue may lack the blank line behind it
            cues.append(_Cue(*_times(block[at], number + at), tuple(block[at + 1 : behind])))
    return cues


def _console_cues(lines: Sequence[str]) -> list[_Cue]:
    cues: list[_Cue] = []
    for number, line in enumerate(lines, start=1):
        if match := _CONSOLE.fullmatch(line):
            cues.append(_Cue(*_times(match[1], number), (match.groups()[-1],)))
        elif line.strip():
            raise TranscriptError(f"line {number}: {line.strip()[:40]!r} has no times in brackets.")
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
    if starts:  # a file of captions: a broken arrow is no speech
        starts = sorted(
            {*starts, *(i for i, line in enumerate(lines) if _LIKE_TIMES.fullmatch(line))}
        )
        _refuse_lost(lines, starts[0])
    cues: list[_Cue] = []
    above = [match for line in lines[: (*starts, 0)[0]] if (match := _NUMBER.fullmatch(line))]
    first = int(above[0][1]) if above else 1
    for at, behind in pairwise((*starts, len(lines))):
        body, times = list(lines[at + 1 : behind]), _times(lines[at], at + 1)
        is_last = behind == len(lines)
        if not is_last and _begins_anew(
            body, first, times[0], _times(lines[behind], behind + 1)[0]
        ):
            raise TranscriptError(f"line {behind + 1}: numbers and times begin anew; {_TWO_FILES}")
        if _has_number_below(body, first + len(cues) + 1, is_last=is_last):
            while not body.pop().strip():
                pass
        cues.append(_Cue(*times, tuple(body)))
    return cues


def _refuse_lost(lines: Sequence[str], start: int) -> None:
    """Refuse words that belong to no caption: above the first times but for one number, and notes of WebVTT."""
    filled = [i for i in range(start) if lines[i].strip()]
    if filled and _NUMBER.fullmatch(lines[filled[-1]]):
        filled.pop()
    notes = [
        i
        for i in range(start + 1, len(lines))
        if _NOT_SPEECH.match(lines[i])
        and not lines[i - 1].strip()
        and "-->" not in next(filter(str.strip, reversed(lines[:i])))
    ]
    words = [i for i in filled if not _NUMBER.fullmatch(lines[i])]
    for i in (*words, *filled, *notes)[:1]:
        raise TranscriptError(
            f"line {i + 1}: {lines[i].strip()[:40]!r} stands outside of a cue; expected a number and times first. Remove "
            f"it, give it times, or begin a WebVTT file with WEBVTT."
        )


def _begins_anew(body: Sequence[str], first: int, start: float, next_start: float) -> bool:
    """Whether a cue's text ends with the number of the first cue, and times go back behind it."""
    filled = [line for line in body if line.strip()]
    number = _NUMBER.fullmatch(filled[-1]) if filled else None
    return number is not None and int(number[1]) == first and next_start < start


def _has_number_below(body: Sequence[str], expected: int, *, is_last: bool) -> bool:
    """Whether the number of the next cue stands below a cue's text; other numbers are speech."""
    filled = [i for i, line in enumerate(body) if line.strip()]
    number = _NUMBER.fullmatch(body[filled[-1]]) if filled else None
    if number is None:
        return False
    last = filled[-1]
    is_apart = last == 0 or not body[last - 1].strip()
    is_expected = int(number[1]) == expected
    if is_last or last < len(body) - 1:  # a blank line, or nothing, follows it
        return is_apart and is_expected and len(filled) > 1
    return is_apart or is_expected


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
    bare = _LINE_BREAK.sub(" ", _TAG.sub("", _RUBY.sub("", line)))
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), bare)
    return " ".join(text.split())


def _is_rolling(
    cues: Sequence[_Cue], shown: Sequence[Sequence[str]], *, in_words: bool = False
) -> bool:
    """Whether captions begin with the last lines, or words, of the one before at least as often as they are all new.

    What stays for an instant has rolled, since nobody says it so fast. A single word may be said twice: it counts for
    nothing where it goes on, unless every caption does so, and as new where it stands alone. Several words that stay
    alone tell nothing.
    """
    carried, single, echoes, new = 0, 0, 0, 0
    filled = [(cue, text) for cue, text in zip(cues, shown, strict=True) if text]
    for (_, before), (cue, text) in pairwise(filled):
        overlap = _overlap(before, text)
        is_single = len(" ".join(text[:overlap]).split()) == 1
        if overlap == len(text):
            is_echo = cue.end - cue.start <= _ECHO_SECONDS
            echoes += is_echo
            new += is_single and not is_echo
        elif is_single and (not in_words or overlap == len(before)):
            single += 1
        else:
            carried += overlap > 0 and not is_single
            new += overlap == 0 or is_single
    evidence = carried + echoes + (0 if new else single)
    return carried + single > 0 and evidence >= max(2, new)


def _overlap(before: Sequence[str], cue: Sequence[str]) -> int:
    """How many lines or words at the start of a caption are the last ones of the caption before."""
    return max(
        n
        for n in range(min(len(before), len(cue)) + 1)
        if list(before[len(before) - n :]) == list(cue[:n])
    )


def _unrolled(cues: Sequence[_Cue], shown: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each caption's new lines or words; one that only repeats, but after a pause, is said again."""
    before: Sequence[str] = ()
    end = 0.0
    new = []
    for cue, text in zip(cues, shown, strict=True):
        overlap = _overlap(before, text)
        is_again = overlap == len(text) and cue.start - end >= PAUSE_SECONDS
        new.append(list(text if is_again else text[overlap:]))
        if text:
            before, end = text, cue.end
    return new
