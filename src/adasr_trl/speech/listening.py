"""Chunks of what is heard, each with the time at which a listener has it.

    heard = chunks_of(samples, StreamingRecogniser(FasterWhisper("tiny.en"), SileroVoice()))
    [(chunk.text, chunk.heard_seconds) for chunk in heard]

A chunk is a sentence of ``core.sentences``, as in live use: it has arrived with the next one's first word, at a pause
behind its stop, or after a second of silence, whatever was said.
"""

from __future__ import annotations

from dataclasses import dataclass

from adasr_trl.core.segments import PAUSE_SECONDS
from adasr_trl.core.sentences import SentenceStream
from adasr_trl.speech.recognition import StreamingRecogniser
from adasr_trl.speech.words import FRAME, Samples, text_of


@dataclass(frozen=True)
class HeardChunk:
    """A chunk and the time at which its end was known."""

    text: str
    heard_seconds: float


def chunks_of(samples: Samples, recogniser: StreamingRecogniser) -> list[HeardChunk]:
    """The chunks of a whole sound; joined, their texts are the recognised text. None for silence."""
    sentences = SentenceStream()
    heard: list[HeardChunk] = []
    is_begun = was_paused = False
    was_silent = 0.0
    for start in range(0, len(samples) + FRAME, FRAME):
        is_end = start >= len(samples)
        words = recogniser.finish() if is_end else recogniser.feed(samples[start : start + FRAME])
        text = text_of(words)
        pieces = sentences.feed(text if is_begun else text.lstrip())
        is_begun = is_begun or bool(text.strip())
        if recogniser.is_paused and not was_paused:
            pieces += sentences.pause()
        was_paused = recogniser.is_paused
        if was_silent < PAUSE_SECONDS <= recogniser.silent_seconds:
            pieces += sentences.cut()
        was_silent = recogniser.silent_seconds
        if is_end:
            pieces += sentences.finish()
        heard += [HeardChunk(piece, recogniser.heard_seconds) for piece in pieces]
    return heard
