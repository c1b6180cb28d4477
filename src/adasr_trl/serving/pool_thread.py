"""The one thread that owns a pool: it runs what others post, and steps while there is something to do.

    >>> thread = PoolThread(pool)
    >>> thread.post(lambda: session.receive(message))        # from any thread; returns at once
    >>> thread.close()

All sessions and streams live in it, so none of them needs a lock.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from adasr_trl.live.pool import StreamPool

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class PoolThread:
    """See the module.

    Attributes:
        pool: To be used by posted calls only.
        on_failure: Called in the thread when a step fails; all streams are closed by then.
    """

    def __init__(self, pool: StreamPool) -> None:
        self.pool = pool
        pool.engine.on_ready = lambda: self.post(lambda: None)
        self.on_failure: Callable[[str], None] = lambda _: None
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._outgoing: list[tuple[Callable[[Any], None], Any]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="adasr-pool", daemon=True)
        self._thread.start()

    def post(self, call: Callable[[], None]) -> None:
        """Run a call behind all earlier ones."""
        self._calls.put(call)

    async def ask(self, call: Callable[[], Result]) -> Result:
        """Run a call in the thread, and wait for its result or error; what it sent is delivered before."""
        answer: Future[Result] = Future()

        def run() -> None:
            try:
                result = call()
                self._flush()
                answer.set_result(result)
            except BaseException as error:  # raised again where it is waited for
                answer.set_exception(error)

        self.post(run)
        return await asyncio.shield(asyncio.wrap_future(answer))

    def sender(self, put: Callable[[Any], None]) -> Callable[[Any], None]:
        """A function for the thread; what it gets is put in the running event loop."""
        self._loop = asyncio.get_running_loop()
        return lambda item: self._outgoing.append((put, item))

    def close(self) -> None:
        """End the thread behind the calls that were posted."""

        def end() -> None:
            self._closed = True

        self.post(end)
        self._thread.join()
        self.pool.engine.close()

    def _work(self) -> None:
        is_idle = True
        while not self._closed:
            calls = [self._calls.get()] if is_idle else []
            while not self._calls.empty():
                calls.append(self._calls.get())
            for call in calls:
                self._guarded(call)
            is_idle = not self._guarded(self.pool.step)
            self._flush()

    def _guarded(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # one bad step must not end the server
            logger.exception("a step of the pool failed; all streams are closed")
            self.pool.close_all()
            self.on_failure(f"{type(error).__name__}: {error}")
            return None

    def _flush(self) -> None:
        """Hand all events over at once: waking the event loop costs more than an event."""
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_deliver, outgoing)


def _deliver(outgoing: list[tuple[Callable[[Any], None], Any]]) -> None:
    for put, item in outgoing:
        put(item)
