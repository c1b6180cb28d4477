"""Live use where feeding must not wait for writing: a thread reads and thinks, events come out in order.

    >>> with BackgroundStream(reasoner, "How many coins does Tom have?") as stream:
    ...     stream.feed("Tom has 5 coins. ")     # returns at once
    ...     stream.feed("Tom finds 3 coins.")
    ...     stream.finish()                      # returns at once, too
    ...     for event in stream:                 # waits for the next event; ends behind the answer
    ...         print(event.kind, event.text)

What is fed while a thought is being written waits in a queue, and is then read piece by piece as it was fed: what is
written is what ``LiveStream`` writes. Feed and iterate from any threads. Several streams of one reasoner take turns, a
piece of text each. Left out: asyncio, where ``asyncio.to_thread(next, events, None)`` does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

from adasr_trl.files import UserError
from adasr_trl.reasoner import Event, StreamingReasoner


class BackgroundStream:
    """A ``LiveStream`` in a thread of its own."""

    def __init__(self, reasoner: StreamingReasoner, question: str, *, seed: int = 0) -> None:
        """Read the question, and wait for text.

        Args:
            reasoner: What reads and writes.
            question: What is asked.
            seed: Of the samples.
        """
        with reasoner.lock:
            self._stream = reasoner.start(question, seed=seed)
        self._lock = reasoner.lock
        self._texts: queue.SimpleQueue[str | None] = (
            queue.SimpleQueue()
        )  # None: the input has ended
        self._events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        self._ended = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="adasr-stream", daemon=True)
        self._thread.start()

    def feed(self, text: str) -> None:
        """More of the input; returns at once."""
        if self._ended:
            raise UserError("the stream is finished; start another one.")
        self._texts.put(text)

    def finish(self) -> None:
        """The input has ended; returns at once, and the answer is among the events to come."""
        if self._ended:
            raise UserError("the stream is finished; start another one.")
        self._ended = True
        self._texts.put(None)

    def __iter__(self) -> Iterator[Event]:
        """Every event that nobody has taken yet, in order; ends behind the answer, or once closed.

        Raises:
            Exception: Whatever stopped the thread.
        """
        while True:
            event = self._events.get()
            if event is None or isinstance(event, Exception):
                self._events.put(event)  # for the next one who asks
                if event is None:
                    return
                raise event
            yield event

    def close(self) -> None:
        """Stop behind the piece of text that is being worked on, and wait for that."""
        self._ended = True
        self._closed.set()
        self._texts.put(None)
        self._thread.join()

    def __enter__(self) -> BackgroundStream:
        """The stream."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _work(self) -> None:
        try:
            text: str | None = ""
            while text is not None:
                text = self._texts.get()
                if self._closed.is_set():
                    break
                with self._lock:
                    found = self._stream.finish() if text is None else self._stream.feed(text)
                for event in found:
                    self._events.put(event)
        except Exception as error:  # it is raised where the events are taken
            self._events.put(error)
        else:
            self._events.put(None)
