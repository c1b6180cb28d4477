"""Sound as a source of a live stream's text: words as they are recognised, pauses as ends of chunks.

    >>> source = heard(recogniser, played("story.wav", sound_blocks(path), speed=1.0), "story.wav")
    >>> for piece in source(stop):
    ...     piece.text, piece.lag_seconds        # " Tom", and how long ago it was said

A file is played as a listener would hear it; a pipe and a microphone come as they come. One thread hands the sound to the
recogniser's process, another one takes its words.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from adasr_trl.core.errors import UserError
from adasr_trl.core.segments import Segment, ends_chunk
from adasr_trl.live.sources import POLL_SECONDS, InputPiece, TextSource
from adasr_trl.speech.listener import Hearing, HearingKind
from adasr_trl.speech.process import RecogniserProcess, SoundStream
from adasr_trl.speech.words import SAMPLE_RATE, Samples, text_of

BLOCK_SECONDS = 0.1  # of sound that is handed over at once
MOST_BEHIND_SECONDS = 30.0  # sound that may wait for the recogniser
LEAST_SEGMENTS = 4  # before a speech counts as one without punctuation
SoundSource = Callable[[threading.Event], Iterator[Samples]]


def played(blocks: Iterable[Samples], speed: float) -> SoundSource:
    """Sound at the pace of a listener, times ``speed``; a block comes when it has been said."""

    def timed(stop: threading.Event) -> Iterator[Samples]:
        started, samples = time.monotonic(), 0
        for block in even(blocks):
            samples += len(block)
            due = started + samples / SAMPLE_RATE / speed
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            yield block

    return timed


def even(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same sound in blocks of at most ``BLOCK_SECONDS``."""
    size = int(BLOCK_SECONDS * SAMPLE_RATE)
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]


class HeardText:
    """What is heard as pieces of a text: a silence ends a sentence at its stop, a longer one a chunk.

    In a speech without punctuation every silence ends a chunk; that is known from some segments on.
    """

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._words: list[str] = []  # of the segment that is being said

    def piece(self, hearing: Hearing) -> InputPiece | None:
        """The piece of a hearing, or None for one without."""
        if hearing.kind is HearingKind.WORDS:
            text = text_of(hearing.words)
            self._words.append(text)
            return InputPiece(text)
        if hearing.kind is HearingKind.STOPPED:
            return InputPiece("", pause=True, cut=self._is_unpunctuated(hearing.seconds))
        return InputPiece("", cut=True) if hearing.kind is HearingKind.PAUSE else None

    def _is_unpunctuated(self, seconds: float) -> bool:
        text, self._words = "".join(self._words), []
        if text.strip():
            self._segments.append(Segment(seconds, text))
        return len(self._segments) >= LEAST_SEGMENTS and ends_chunk(self._segments)[-1]


def heard(
    recogniser: RecogniserProcess, sound: SoundSource, name: str, prompt: str = ""
) -> TextSource:
    """The words of a sound; the recogniser knows those of the prompt.

    The source raises a UserError for a sound without speech, and for a recogniser that fails.
    """

    def pieces(stop: threading.Event) -> Iterator[InputPiece]:
        ear = _Ear(recogniser, stop, prompt)
        threading.Thread(target=ear.listen, args=(sound,), name="adasr-sound", daemon=True).start()
        try:
            yield from ear.pieces(name)
        finally:
            ear.stream.close()

    return pieces


class _Ear:
    """One sound on its way through the recogniser."""

    def __init__(self, recogniser: RecogniserProcess, stop: threading.Event, prompt: str) -> None:
        self._news: queue.SimpleQueue[Hearing | Exception | None] = queue.SimpleQueue()
        self._stop = stop
        self._sent: deque[tuple[float, float]] = deque()  # seconds of sound, time.monotonic()
        self._text = HeardText()
        self.stream: SoundStream = recogniser.open(self._news.put, prompt=prompt)

    def listen(self, sound: SoundSource) -> None:
        """Runs in a thread of its own: hand the sound over, as fast as it comes or the recogniser follows."""
        try:
            for block in sound(self._stop):
                while self.stream.behind_seconds > MOST_BEHIND_SECONDS:
                    if self._stop.wait(POLL_SECONDS):
                        return
                ends = self.stream.sent_seconds + len(block) / SAMPLE_RATE
                self._sent.append((ends, time.monotonic()))  # before its words can come back
                self.stream.send(block.tobytes())
            self._news.put(None)  # the known end
            self.stream.flush()
        except Exception as error:  # raised again by the source
            self._news.put(error)

    def pieces(self, name: str) -> Iterator[InputPiece]:
        """The text as it comes."""
        any_words = False
        while not self._stop.is_set():
            try:
                news = self._news.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(news, Exception):
                raise news
            if news is None:
                yield InputPiece("", over=True)
                continue
            if news.kind is HearingKind.FAILED:
                raise UserError(news.reason)
            if news.kind is HearingKind.FLUSHED:
                self._check(name, news, any_words=any_words)
                return
            any_words |= bool(news.words)
            piece = self._text.piece(news)
            if piece and news.words:
                lag = time.monotonic() - self._said_at(news.words[-1].end_seconds)
                piece = replace(piece, lag_seconds=lag)
            if piece:
                yield piece

    def _said_at(self, seconds: float) -> float:
        """When this position of the sound was handed over."""
        while len(self._sent) > 1 and self._sent[0][0] < seconds:
            self._sent.popleft()
        return self._sent[0][1]

    @staticmethod
    def _check(name: str, end: Hearing, *, any_words: bool) -> None:
        length = f"{end.seconds:.1f} s of sound"
        if end.voice_seconds == 0:
            raise UserError(f"{name}: holds no speech ({length}); expected somebody who speaks.")
        if not any_words:
            raise UserError(
                f"{name}: holds {end.voice_seconds:.1f} s of voice in {length}, but no word was recognised; "
                f"try a larger --recogniser."
            )
