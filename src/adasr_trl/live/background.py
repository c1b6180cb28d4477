"""A live stream in a thread of its own: feeding never waits for writing, and events come out in order.

    >>> with BackgroundStream(reasoner, "How many coins does Tom have?") as stream:
    ...     stream.feed("Tom has 5 coins. ")     # returns at once
    ...     stream.feed("Tom finds 3 coins.")
    ...     stream.finish()                      # returns at once, too
    ...     for event in stream:                 # waits for the next event; ends behind the answer
    ...         print(event.kind, event.text)

Text fed during a thought waits in a queue: the words are those of a ``LiveStream``. Feed and iterate from any threads.
Several streams of one reasoner take turns, a piece of text each. For asyncio: ``asyncio.to_thread(next, events, None)``.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from adasr_trl.core.errors import UserError
from adasr_trl.live.reasoner import Event, StreamingReasoner


class BackgroundStream(AbstractContextManager["BackgroundStream"]):
    """A ``LiveStream`` in a thread of its own; closed at the end of a ``with`` block.

    ``on_event`` replaces the iteration: it is called in the stream's thread with every event, then with the thread's error
    or None. ``seed`` is for sampled decoding.

    Attributes:
        stream: The ``LiveStream``, to be looked at behind the last event.
    """

    def __init__(
        self,
        reasoner: StreamingReasoner,
        question: str,
        *,
        seed: int = 0,
        on_event: Callable[[Event | Exception | None], None] | None = None,
    ) -> None:
        self._events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        self._emit = on_event or self._events.put
        with reasoner.lock:
            self.stream = reasoner.start(question, seed=seed, on_event=self._emit)
        self._lock = reasoner.lock
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._ended = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="adasr-stream", daemon=True)
        self._thread.start()

    def feed(self, text: str) -> None:
        """More of the input."""
        self.submit(partial(self.stream.feed, text))

    def pause(self) -> None:
        """End of the input for now: a sentence that stands at its stop is read."""
        self.submit(self.stream.pause)

    def cut(self) -> None:
        """End of a chunk, whatever its words."""
        self.submit(self.stream.cut)

    def read(self, chunk: str) -> None:
        """A whole chunk, read as it is."""
        self.submit(partial(self.stream.read, chunk))

    def finish(self) -> None:
        """End of the input; the answer is among the events to come."""
        self.submit(self.stream.finish)
        self._ended = True

    def submit(self, call: Callable[[], object]) -> None:
        """Run a call in the stream's thread behind all earlier ones; returns at once."""
        if self._ended:
            raise UserError("the stream is finished; start another one.")
        self._calls.put(call)

    def __iter__(self) -> Iterator[Event]:
        """Every event not yet taken, in order; ends behind the answer, or once closed. The thread's error is raised here."""
        while True:
            event = self._events.get()
            if event is None or isinstance(event, Exception):
                self._events.put(event)  # for the next iteration
                if event is None:
                    return
                raise event
            yield event

    def close(self, timeout_seconds: float | None = None) -> None:
        """Stop behind the current token, and wait for that, at most for the given time."""
        self._ended = True
        self._closed.set()
        self.stream.cancel()
        self._calls.put(lambda: None)
        self._thread.join(timeout_seconds)

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _work(self) -> None:
        try:
            while not (self.stream.finished or self._closed.is_set()):
                call = self._calls.get()
                if self._closed.is_set():
                    break
                with self._lock:
                    call()
        except Exception as error:  # raised again by the iteration
            self._emit(error)
        else:
            self._emit(None)
