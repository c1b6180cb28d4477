"""Words with times, and the protocols of a recogniser and of a voice detector.

    >>> text_of([Word(" Tom", 0.1, 0.3), Word(" has", 0.3, 0.5)])
    ' Tom has'

Sound is mono, 16 kHz, float32 in [-1, 1]: ``Samples``. Times are seconds of sound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
FRAME = 512  # samples that a voice detector judges at once: 32 ms
Samples = npt.NDArray[np.float32]

_EDGE = re.compile(r"^[\W_]+|[\W_]+$")
_LONGEST_LOOP = 8  # words of a phrase that a recogniser may loop on
_LOOPS = 5  # repetitions in a row from which on it is one
# A word: speech has 3 to 4 a second, loops run to the recogniser's limit of tokens.
_FASTEST_SECONDS = 0.2


@dataclass(frozen=True)
class Word:
    """A recognised word; its text keeps the white space before it."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class HeardWord(Word):
    """A word that will not change any more, and the time at which that was known."""

    heard_seconds: float


class Transcriber(Protocol):
    """Speech recognition of one piece of sound."""

    def transcribe(self, samples: Samples, prompt: str = "") -> Sequence[Word]:
        """The words in it, in order, with times from its start; a prompt names words that may be said."""


class VoiceDetector(Protocol):
    """Voice activity in one stream of sound."""

    def is_voice(self, frame: Samples) -> bool:
        """Whether somebody speaks in the next ``FRAME`` samples."""


def text_of(words: Iterable[Word]) -> str:
    """The words as a text."""
    return "".join(word.text for word in words)


def plain(word: Word) -> str:
    """A word without case and without marks around it, for comparing hypotheses."""
    return _EDGE.sub("", word.text.casefold())


def usable(words: Sequence[Word], seconds: float) -> list[Word]:
    """A hypothesis about ``seconds`` of sound without its usual faults.

    Blank words go. Times that are no numbers are the neighbour's, none goes back or beyond the sound. What a recogniser
    loops on is said once: a word five times in a row, or a phrase that often and faster than anybody speaks.
    """
    ordered: list[Word] = []
    latest = 0.0
    for word in words:
        if word.text.strip():
            start = _within(word.start_seconds, latest, seconds)
            latest = _within(word.end_seconds, start, seconds)
            ordered.append(replace(word, start_seconds=start, end_seconds=latest))
    return _unlooped(ordered)


def _within(time: float | None, earliest: float, latest: float) -> float:
    """The time inside its bounds; one that is none is the earliest."""
    known = time if time is not None and math.isfinite(time) else earliest
    return max(earliest, min(known, latest))


def _unlooped(words: list[Word]) -> list[Word]:
    said: list[Word] = []
    keys = [plain(word) for word in words]
    position = 0
    while position < len(words):
        length, end = _loop_at(keys, position)
        loop = words[position:end]
        pace = (loop[-1].end_seconds - loop[0].start_seconds) / len(loop)
        is_loop = length == 1 or pace < _FASTEST_SECONDS
        said += words[position : position + length] if is_loop else loop
        position = end
    return said


def _loop_at(keys: Sequence[str], position: int) -> tuple[int, int]:
    """Length in words of the phrase that is repeated from here, and where the last one ends; of one word for none."""
    for length in range(1, _LONGEST_LOOP + 1):
        phrase = keys[position : position + length]
        count, end = 1, position + length
        while keys[end : end + length] == phrase:
            count, end = count + 1, end + length
        if count >= _LOOPS and any(phrase):
            return length, end
    return 1, position + 1
