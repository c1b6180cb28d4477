"""A model that hears a source in real time: what arrives and what it writes, in one order, with the times of both.

    >>> with Session(reasoner, question, source) as session:
    ...     for moment in session:             # Arrived, or an Event of the stream
    ...         show(moment)
    ...     session.waited()
    Waited(seconds=0.21, first_seconds=0.18, end_seconds=0.22)

A thread takes the text from the source, another one runs the model (``BackgroundStream``); whoever iterates only shows.
The wait is measured from the moment when all of the input had arrived and its end was known.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.live.background import BackgroundStream
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.live.sources import Source
from adasr_trl.live.stream import Event, Kind, LiveStream

CLOSE_SECONDS = 5.0  # a server that does not answer is left behind after so long


@dataclass(frozen=True)
class Arrived:
    """Text that has just arrived; ``at`` as in ``Event``."""

    text: str
    at: float


Moment = Arrived | Event


@dataclass(frozen=True)
class Waited:
    """Seconds from the input's end: to the last token of the answer's value, to the answer's first, to the last of all.

    ``first_seconds`` is None where no answer was begun.
    """

    seconds: float
    first_seconds: float | None
    end_seconds: float


class Session:
    """One question over one source.

    Attributes:
        started: When it began, in seconds of ``time.monotonic``.
        ended: When the input's end was known, likewise; None while it is not.
    """

    def __init__(
        self, reasoner: StreamingReasoner, question: str, source: Source, *, seed: int = 0
    ) -> None:
        """Read the question, and begin to listen."""
        self._moments: queue.SimpleQueue[Moment | Exception | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._source = source
        self._background = BackgroundStream(
            reasoner, question, seed=seed, on_event=self._moments.put
        )
        self.started = time.monotonic()
        self.ended: float | None = None
        self._feeder = threading.Thread(target=self._feed, name="adasr-source", daemon=True)
        self._feeder.start()

    @property
    def stream(self) -> LiveStream:
        """The stream; look at it once the moments have ended."""
        return self._background.stream

    def __iter__(self) -> Iterator[Moment]:
        """Everything that happens, in order; ends behind the answer.

        Raises:
            Exception: Whatever stopped one of the threads.
        """
        while True:
            moment = self._moments.get()
            if moment is None:
                return
            if isinstance(moment, Exception):
                raise moment
            if isinstance(moment, Event) and moment.kind in (Kind.OUT_OF_POSITIONS, Kind.STOPPED):
                self._stop.set()  # nothing more is read, so nothing more needs to arrive
            yield moment

    def waited(self) -> Waited | None:
        """The measured wait; None if nothing was written behind the input's end."""
        rollout = self.stream.rollout
        deep = rollout.tokens_in(Phase.DEEP)
        if not deep or self.ended is None:
            return None
        times = [each - self.ended for each in self.stream.token_seconds[-deep:]]
        reasoning = self.stream.reasoning_tokens
        begun = reasoning is not None and reasoning < deep
        return Waited(
            seconds=times[max(min(rollout.answer_tokens, deep), 1) - 1],
            first_seconds=times[reasoning] if begun and reasoning is not None else None,
            end_seconds=times[-1],
        )

    @property
    def answered(self) -> bool:
        """Whether there is an answer in the form that the protocol asks for."""
        return self.stream.rollout.ending is Ending.ANSWERED

    def close(self) -> None:
        """Stop both threads."""
        self._stop.set()
        self._background.close(CLOSE_SECONDS)

    def __enter__(self) -> Session:
        """The session."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _feed(self) -> None:
        stream = self._background
        try:
            for piece in self._source(self._stop):
                if piece.text:
                    self._moments.put(Arrived(piece.text, time.monotonic()))
                self.ended = time.monotonic()
                if piece.chunk is not None:
                    stream.read(piece.chunk)
                elif piece.text and not piece.part:
                    stream.feed(piece.text)
                if piece.cut:
                    stream.cut()
                elif piece.pause:
                    stream.pause()
            stream.finish()
        except Exception as error:  # it is raised where the moments are taken
            self._moments.put(error)
