"""Where a live stream's text comes from, in real time: a terminal or pipe, a file at a reading speed, a transcript.

    >>> for piece in replayed("Tom has 5 apples. He buys 3.", words_per_minute=150)(stop):
    ...     piece.text, piece.chunk         # a word when it was said; the chunk that it completes, at its end

A source is called with an event that stops it, and waits itself until a piece is due. The chunks of a replay are whole
sentences at the times at which the clock lets them arrive. Of a pipe or terminal nobody knows where a sentence ends:
``pause`` says that nothing more comes for now.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from adasr_trl.core.chunking import spoken_words, word_chunks
from adasr_trl.core.decoding import UTF_8, Decoder
from adasr_trl.core.errors import UserError
from adasr_trl.core.sentences import sentence_chunks
from adasr_trl.core.transcripts import (
    Segment,
    TranscriptError,
    ends_chunk,
    in_order,
    read_transcript,
    spaced,
)

POLL_SECONDS = 0.1  # how soon a source that waits for text sees that it is to stop
READ_BYTES = 65_536


@dataclass(frozen=True)
class Piece:
    """Text that has just arrived.

    Attributes:
        text: What is new.
        chunk: The chunk that it completes, where the source cuts the text: the parts up to here, joined.
        part: Whether it is part of a chunk that a later piece completes.
        pause: Whether nothing more comes for now.
        cut: Whether a chunk ends here, whatever its words.
    """

    text: str
    chunk: str | None = None
    part: bool = False
    pause: bool = False
    cut: bool = False


Source = Callable[[threading.Event], Iterator[Piece]]


def replayed(name: str, text: str, words_per_minute: float, speed: float = 1.0) -> Source:
    """A text word by word at a reading speed; its sentences are the chunks.

    Raises:
        UserError: It has no words.
    """
    chunks = sentence_chunks(text)
    if not chunks:
        raise UserError(f"{name}: holds no text; name a file with some.")
    seconds_per_word = 60.0 / words_per_minute / speed

    def timed() -> Iterator[tuple[float, Piece]]:
        before = 0.0
        for chunk in chunks:
            words, said = word_chunks(chunk, 1), 0.0
            total = spoken_words(chunk)
            for word in words[:-1]:
                said = min(said + spoken_words(word), total)
                yield (before + said) * seconds_per_word, Piece(word, part=True)
            before += total
            yield before * seconds_per_word, Piece(words[-1], chunk)

    return lambda stop: on_time(timed(), stop)


def transcribed(name: str, text: str, speed: float = 1.0) -> Source:
    """A timed transcript, segment by segment; its sentences are found as in a text that is typed.

    Raises:
        UserError: It is none.
    """
    try:
        segments = in_order(read_transcript(text))
    except TranscriptError as error:
        raise UserError(f"{name}: {error}") from error
    return lambda stop: on_time(_segments(segments, speed), stop)


def typed(
    descriptor: int, name: str, pause_seconds: float, *, by_line: bool, encoding: str = UTF_8
) -> Source:
    """What is read from a file descriptor: a pipe, or a terminal where every line is a pause (``by_line``).

    The source raises a UserError for bytes that are no text, and where there was no text at all.
    """

    def pieces(stop: threading.Event) -> Iterator[Piece]:
        reader, any_text = Decoder(name, encoding), False
        quiet_since, open_text = time.monotonic(), False
        while not stop.is_set():
            ready, _, _ = select.select([descriptor], [], [], min(POLL_SECONDS, pause_seconds))
            if not ready:
                if open_text and time.monotonic() - quiet_since >= pause_seconds:
                    open_text = False
                    yield Piece("", pause=True)
                continue
            data = _read(descriptor)
            text = reader.decode(data, final=not data)
            any_text = any_text or bool(text.strip())
            if text:
                yield Piece(text, pause=by_line and text.endswith("\n"))
            if not data:
                if not any_text:
                    raise UserError(
                        f"{name}: ended without any text; pipe some in, type it and end with Ctrl-D, or name a "
                        f"file with --replay."
                    )
                yield Piece("")  # this is when the end was known
                return
            quiet_since, open_text = time.monotonic(), True

    return pieces


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:  # the terminal was closed
        return b""


def _segments(segments: Iterable[Segment], speed: float) -> Iterator[tuple[float, Piece]]:
    segments = tuple(segments)
    texts = spaced(segment.text for segment in segments)
    for segment, text, cut in zip(segments, texts, ends_chunk(segments), strict=True):
        yield segment.end_seconds / speed, Piece(text, pause=True, cut=cut)


def on_time(timed: Iterable[tuple[float, Piece]], stop: threading.Event) -> Iterator[Piece]:
    """Each piece when it is due, in seconds since the start."""
    started = time.monotonic()
    for due, piece in timed:
        if stop.wait(max(0.0, started + due - time.monotonic())):
            return
        yield piece
