"""Sources of a live stream's text, in real time: a terminal or pipe, a file at a reading speed, a transcript.

    >>> for piece in replayed("story", "Tom has 5 apples. He buys 3.", words_per_minute=150)(stop):
    ...     piece.text, piece.chunk         # a word at its time; its chunk behind the last word

A source is called with an event that stops it, and sleeps until a piece is due. A replay knows its chunks: sentences at
the clock's arrival times. In a pipe or terminal a sentence's end shows only with the next word, or by a pause.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from adasr_trl.core import transcripts
from adasr_trl.core.chunking import spoken_words, word_chunks
from adasr_trl.core.decoding import UTF_8, Decoder
from adasr_trl.core.errors import UserError
from adasr_trl.core.sentences import sentence_chunks

POLL_SECONDS = 0.1  # longest delay between a stop and its effect
PASTE_SECONDS = 0.05  # longest gap between two lines of a pasted text
READ_BYTES = 65_536
REMEDY = "pipe some in, type it and end with Ctrl-D, or name a file with --replay"


@dataclass(frozen=True)
class InputPiece:
    """New text of the input.

    Attributes:
        text: The text.
        chunk: The chunk that ends here, from a source that knows it.
        part: Whether a later piece completes the chunk.
        pause: Whether nothing more comes for now.
        cut: Whether a chunk ends here, whatever its words.
        over: Whether the input has ended; the text of later pieces was said before.
        lag_seconds: Of recognised text: how long ago its last word was said.
    """

    text: str
    chunk: str | None = None
    part: bool = False
    pause: bool = False
    cut: bool = False
    over: bool = False
    lag_seconds: float | None = None


TextSource = Callable[[threading.Event], Iterator[InputPiece]]


def replayed(name: str, text: str, words_per_minute: float, speed: float = 1.0) -> TextSource:
    """A text word by word at a reading speed; its sentences are the chunks. A UserError refuses a blank one."""
    chunks = sentence_chunks(text)
    if not chunks:
        raise UserError(f"{name}: holds no text; name a file with some.")
    seconds_per_word = 60.0 / words_per_minute / speed

    def timed() -> Iterator[tuple[float, InputPiece]]:
        before = 0.0  # words of the earlier chunks
        for chunk in chunks:
            words, spoken, total = word_chunks(chunk, 1), 0.0, spoken_words(chunk)
            for word in words[:-1]:
                spoken = min(spoken + spoken_words(word), total)
                yield (before + spoken) * seconds_per_word, InputPiece(word, part=True)
            before += total
            yield before * seconds_per_word, InputPiece(words[-1], chunk)

    return lambda stop: on_time(timed(), stop)


def transcribed(name: str, text: str, speed: float = 1.0) -> TextSource:
    """A timed transcript segment by segment, cut as typed text. A UserError refuses what is none."""
    try:
        segments = transcripts.in_order(transcripts.read_transcript(text))
    except transcripts.TranscriptError as error:
        raise UserError(f"{name}: {error}") from error
    texts = transcripts.spaced(segment.text for segment in segments)
    cuts = transcripts.ends_chunk(segments)
    pieces = [
        (segment.end_seconds / speed, InputPiece(text, pause=True, cut=cut))
        for segment, text, cut in zip(segments, texts, cuts, strict=True)
    ]
    return lambda stop: on_time(pieces, stop)


def typed(
    descriptor: int, name: str, pause_seconds: float, *, by_line: bool, encoding: str = UTF_8
) -> TextSource:
    """Text from a file descriptor: a pipe, or a terminal with a pause behind every line (``by_line``).

    A line that another one follows at once is pasted text, which may break anywhere: no pause is behind it.

    The source raises a UserError for bytes that are no text, and for an input without text.
    """

    def pieces(stop: threading.Event) -> Iterator[InputPiece]:
        reader, any_text = Decoder(name, encoding), False
        text_at: float | None = None  # of the last text; None in a silence
        while not stop.is_set():
            if not _is_ready(descriptor, min(POLL_SECONDS, pause_seconds)):
                if text_at is not None and time.monotonic() - text_at >= pause_seconds:
                    text_at = None
                    yield InputPiece("", pause=True)
                continue
            data = b""
            with suppress(OSError):  # the terminal was closed
                data = os.read(descriptor, READ_BYTES)
            text = reader.decode(data, final=not data)
            any_text = any_text or bool(text.strip())
            if text:
                is_line = by_line and text.endswith("\n")
                yield InputPiece(text, pause=is_line and not _is_ready(descriptor, PASTE_SECONDS))
            if not data:
                if not any_text:
                    raise UserError(f"{name}: ended without any text; {REMEDY}.")
                yield InputPiece("")  # the time of the known end
                return
            text_at = time.monotonic()

    return pieces


def _is_ready(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read within so many seconds; the end of the input is."""
    return bool(select.select([descriptor], [], [], seconds)[0])


def on_time(
    timed: Iterable[tuple[float, InputPiece]], stop: threading.Event
) -> Iterator[InputPiece]:
    """Each piece at its time, in seconds since the start."""
    started = time.monotonic()
    for due, piece in timed:
        if stop.wait(max(0.0, started + due - time.monotonic())):
            return
        yield piece
