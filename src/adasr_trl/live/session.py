"""A model that hears a source in real time: arrivals and events in one order, with their times.

    >>> with Session(reasoner, question, source) as session:
    ...     for update in session:             # InputArrival, UnfinishedSentence, or an Event of the stream
    ...         screen.show(update)
    ...     session.summary().answer_latency_seconds
    0.21

One thread takes text from the source, a second runs the model, and the caller only shows.
"""

from __future__ import annotations

import math
import queue
import re
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.core.safe_text import visible
from adasr_trl.live.background import BackgroundStream
from adasr_trl.live.reasoner import ReadThenThinkResult, StreamingReasoner
from adasr_trl.live.sources import InputPiece, TextSource
from adasr_trl.live.stream import EARLY_ENDS, Event, EventKind

CLOSE_SECONDS = 5.0  # longest wait for a server that does not answer
ANSWER_SHOWN = 40  # characters of the answer in read-then-think
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True)
class InputArrival:
    """New text of the input; ``at`` as in ``Event``, ``lag_seconds`` as in ``InputPiece``."""

    text: str
    at: float
    lag_seconds: float | None = None


@dataclass(frozen=True)
class UnfinishedSentence:
    """A silence inside the sentence ``text``; ``at`` as in ``Event``."""

    text: str
    at: float


Update = InputArrival | UnfinishedSentence | Event


def asks_again(update: Update, question: str) -> bool:
    """Whether a sentence of the text is the question, which was read before it."""
    if not isinstance(update, Event) or update.kind is not EventKind.READ:
        return False
    return _WORDS.findall(update.text.casefold()) == _WORDS.findall(question.casefold())


@dataclass(frozen=True)
class RecogniserLag:
    """How long after they were said words came; ``last_seconds`` runs from the end of the sound to its last words."""

    median_seconds: float
    last_seconds: float


@dataclass(frozen=True)
class StreamSummary:
    """Figures of a finished stream.

    Attributes:
        answer_latency_seconds: From the input's end to the last token of the answer's value; None without deep tokens.
        first_token_seconds: From the input's end to the first token of the answer; None without an answer.
        failure: Reason for the lack of an answer, in words; None for an answered stream.
        tokens: Number of written tokens.
        tokens_before_end: Number of tokens written while the input arrived.
        streaming_tokens: Number of tokens of the thoughts.
        deep_tokens: Number of tokens of the deep part.
        read_then_think: The same text in that mode; None in a run that was taught otherwise, or without an answer.
        recogniser: Lag of recognised text; None for other input.
    """

    answer_latency_seconds: float | None
    first_token_seconds: float | None
    failure: str | None
    tokens: int
    tokens_before_end: int
    streaming_tokens: int
    deep_tokens: int
    read_then_think: ReadThenThinkResult | None = None
    recogniser: RecogniserLag | None = None

    def words(self) -> str:
        """One line for people."""
        head = f"No answer ({self.failure})"
        if self.failure is None and self.answer_latency_seconds is not None:
            head = f"Answer {self.answer_latency_seconds:.2f} s after the end of the input"
        if lag := self.recogniser:
            head += (
                f", its last words {lag.last_seconds:.2f} s after it (median of all: "
                f"{lag.median_seconds:.2f} s after they were said)"
            )
        share = f"{self.tokens_before_end} of {self.tokens} tokens were written while it arrived"
        if self.read_then_think is None:
            return f"{head}; {share}."
        answer = visible(" ".join(self.read_then_think.answer.split()))[:ANSWER_SHOWN]
        other = f"answer {answer} after {self.read_then_think.seconds:.2f} s"
        return f"{head}; {share}. Read-then-think: {other}."


class Session(AbstractContextManager["Session"]):
    """One question over one source; both threads are stopped at the end of a ``with`` block.

    Attributes:
        started: Time of the start, in seconds of ``time.monotonic``.
        ended: Time of the input's known end, likewise; infinite before.
        stream: The ``LiveStream``, to be looked at behind the last update.
    """

    def __init__(
        self, reasoner: StreamingReasoner, question: str, source: TextSource, *, seed: int = 0
    ) -> None:
        self._updates: queue.SimpleQueue[Update | Exception | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._reasoner, self._source = reasoner, source
        self._question, self._seed = question, seed
        put = self._updates.put
        self._background = BackgroundStream(reasoner, question, seed=seed, on_event=put)
        self.stream = self._background.stream
        self.started, self.ended = time.monotonic(), math.inf
        self._lags: list[float] = []  # of recognised text
        self._last_words = math.inf  # time of them
        threading.Thread(target=self._feed, name="adasr-source", daemon=True).start()

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._background.close(CLOSE_SECONDS)

    def __iter__(self) -> Iterator[Update]:
        """Every update, in order; ends behind the answer. An error of either thread is raised here."""
        while (update := self._updates.get()) is not None:
            if isinstance(update, Exception):
                raise update
            if isinstance(update, Event) and update.kind in EARLY_ENDS:
                self._stop.set()  # the source has no reader any more
            yield update

    def summary(self, *, compare: bool = False) -> StreamSummary:
        """Figures of the stream; ``compare`` measures a model that was taught read-then-think in that mode, too."""
        stream, rollout = self.stream, self.stream.rollout
        times, reasoning = stream.token_seconds, stream.reasoning_tokens
        deep = rollout.tokens_in(Phase.DEEP)
        after = [second - self.ended for second in times[len(times) - deep :]]
        has_answer = reasoning is not None and reasoning < deep
        value = max(min(rollout.answer_tokens, deep), 1) - 1  # its last token
        is_taught = self._reasoner.taught_mode is Mode.READ_THEN_THINK
        other = None
        if compare and is_taught and not stream.ended_early:
            other = self._reasoner.read_then_think(self._question, stream.chunks, seed=self._seed)
        return StreamSummary(
            answer_latency_seconds=after[value] if after else None,
            first_token_seconds=after[reasoning or 0] if has_answer else None,
            failure=stream.failure,
            tokens=len(times),
            tokens_before_end=sum(second < self.ended for second in times),
            streaming_tokens=rollout.tokens_in(Phase.STREAM),
            deep_tokens=deep,
            read_then_think=other,
            recogniser=self._lag(),
        )

    def _lag(self) -> RecogniserLag | None:
        if not self._lags:
            return None
        last = max(self._last_words - self.ended, 0.0)
        return RecogniserLag(statistics.median(self._lags), last)

    def _note(self, piece: InputPiece, *, is_over: bool) -> None:
        """Times of a piece, and its arrival."""
        now = time.monotonic()
        if not is_over:
            self.ended = now
        if piece.text:
            self._last_words = now
            self._updates.put(InputArrival(piece.text, now, piece.lag_seconds))
        if piece.lag_seconds is not None:
            self._lags.append(piece.lag_seconds)

    def _feed(self) -> None:
        stream, is_over = self._background, False
        try:
            for piece in self._source(self._stop):
                self._note(piece, is_over=is_over)
                is_over |= piece.over
                if piece.chunk is not None:
                    stream.read(piece.chunk)
                elif piece.text and not piece.part:
                    stream.feed(piece.text)
                if piece.cut:
                    stream.cut()
                elif piece.pause:
                    stream.pause()
                if piece.pause and not piece.text:
                    stream.submit(self._report_open_text)
            stream.finish()
        except Exception as error:  # raised again by the iteration
            self._updates.put(error)

    def _report_open_text(self) -> None:
        """Runs in the model's thread: a sentence in its queue is read before it can count as open."""
        text = self.stream.open_text.strip()
        if text and not self.stream.ended_early:
            self._updates.put(UnfinishedSentence(text, time.monotonic()))
