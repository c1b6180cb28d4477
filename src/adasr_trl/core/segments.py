"""Segments of speech: words with the time at which they were said.

    >>> in_order((Segment(3.0, "One."), Segment(1.0, "Two.")))[1].end_seconds
    3.0

A segment arrives when it ends. Reading of captions is in ``transcripts``, of recognisers' JSON in ``recognisers``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from adasr_trl.core.errors import UserError
from adasr_trl.core.sentences import sentence_chunks

LATEST_SECONDS = 1e9
SECONDS_PER_WORD = 0.4  # of a segment without an end: 150 words a minute
PAUSE_SECONDS = 1.0  # of silence that end a chunk whatever was said
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")

# Control tokens of Whisper and SenseVoice, and whisper.cpp's name for silence: nobody says them.
_CONTROL = re.compile(r"<\|[^<>|\s]{0,40}\|>|\[_[A-Z]{2,5}_\w*\]|(?i:\[BLANK_AUDIO\])")


class TranscriptError(UserError):
    """No transcript, or one with a segment that cannot be used."""


@dataclass(frozen=True)
class Segment:
    """Words that were said at once: when they ended, and when they began where that is known."""

    end_seconds: float
    text: str
    start_seconds: float | None = None


def said_once(segments: Sequence[Segment]) -> list[Segment]:
    """The segments without invisible characters and control tokens; words shown twice at the same time are said once.

    Captions that do so are animated, and repeat words without a gap as well.
    """
    clean = [
        replace(segment, text=_CONTROL.sub("", _INVISIBLE.sub("", segment.text)))
        for segment in segments
    ]
    is_animated = any(_shows_at_once(*pair) for pair in pairwise(clean))
    said: list[Segment] = []
    for segment in clean:
        if is_animated and said and _goes_on(said[-1], segment):
            said[-1] = replace(said[-1], end_seconds=segment.end_seconds)
        else:
            said.append(segment)
    return said


def _shows_at_once(before: Segment, segment: Segment) -> bool:
    # Words of no length at the same time are said twice: recognisers crowd the last ones.
    return segment == before and (segment.start_seconds or 0.0) < segment.end_seconds


def _goes_on(before: Segment, segment: Segment) -> bool:
    is_same = segment.text.strip() == before.text.strip() != ""
    return is_same and segment.start_seconds in (before.start_seconds, before.end_seconds)


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
