"""Live use where feeding must not wait for writing: a thread reads and thinks, events come out in order.

    >>> with BackgroundStream(reasoner, "How many coins does Tom have?") as stream:
    ...     stream.feed("Tom has 5 coins. ")     # returns at once
    ...     stream.feed("Tom finds 3 coins.")
    ...     stream.finish()                      # returns at once, too
    ...     for event in stream:                 # waits for the next event; ends behind the answer
    ...         print(event.kind, event.text)

What is fed while a thought is being written waits in a queue, and is then read piece by piece as it was fed: what is
written is what ``LiveStream`` writes. Events come as they happen, a thought when it is written. Feed and iterate from
any threads. Several streams of one reasoner take turns, a piece of text each. Left out: asyncio, where ``asyncio.to_thread(next, events, None)`` does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType

from adasr_trl.core.errors import UserError
from adasr_trl.live.reasoner import Event, StreamingReasoner


class BackgroundStream:
    """A ``LiveStream`` in a thread of its own.

    Attributes:
        stream: It; look at it once the events have ended.
    """

    def __init__(
        self,
        reasoner: StreamingReasoner,
        question: str,
        *,
        seed: int = 0,
        on_event: Callable[[Event | Exception | None], None] | None = None,
    ) -> None:
        """Read the question, and wait for text.

        Args:
            reasoner: What reads and writes.
            question: What is asked.
            seed: Of the samples.
            on_event: Told of every event as it happens, in the stream's thread, in place of whoever iterates; lastly of
                what stopped the thread, or None.
        """
        self._events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        self._tell = on_event or self._events.put
        with reasoner.lock:
            self.stream = reasoner.start(question, seed=seed, on_event=self._tell)
        self._lock = reasoner.lock
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._ended = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="adasr-stream", daemon=True)
        self._thread.start()

    def feed(self, text: str) -> None:
        """More of the input; returns at once."""
        self._call(partial(self.stream.feed, text))

    def pause(self) -> None:
        """Nothing more comes for now: a sentence that stands at its stop is read; returns at once."""
        self._call(self.stream.pause)

    def cut(self) -> None:
        """A chunk ends here, whatever its words; returns at once."""
        self._call(self.stream.cut)

    def read(self, chunk: str) -> None:
        """A whole chunk, cut by whoever sends it; returns at once."""
        self._call(partial(self.stream.read, chunk))

    def finish(self) -> None:
        """The input has ended; returns at once, and the answer is among the events to come."""
        self._call(self.stream.finish)
        self._ended = True

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

    def close(self, timeout_seconds: float | None = None) -> None:
        """Stop behind the token that is being written, and wait for that (at most so long)."""
        self._ended = True
        self._closed.set()
        self.stream.cancel()
        self._calls.put(lambda: None)
        self._thread.join(timeout_seconds)

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

    def _call(self, call: Callable[[], object]) -> None:
        if self._ended:
            raise UserError("the stream is finished; start another one.")
        self._calls.put(call)

    def _work(self) -> None:
        try:
            while not (self.stream.finished or self._closed.is_set()):
                call = self._calls.get()
                if self._closed.is_set():
                    break
                with self._lock:
                    call()
        except Exception as error:  # it is raised where the events are taken
            self._tell(error)
        else:
            self._tell(None)
