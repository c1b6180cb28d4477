"""Many live streams of one model, advanced together in one thread.

    >>> pool = reasoner.pool(max_streams=64)
    >>> tom = pool.open("How many coins does Tom have?", on_event=print)
    >>> tom.feed("Tom has 5 coins. Tom finds 3 coins.")      # returns at once
    >>> tom.finish()
    >>> while pool.step():                                   # every stream that has something to do moves on
    ...     pass

A stream's calls and events are those of ``LiveStream``; its tokens depend on its own text alone, never on the other
streams. A plain object without threads or clocks: a server runs it in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adasr_trl.core.errors import UserError
from adasr_trl.engines import Sampling
from adasr_trl.engines.base import PooledEngine
from adasr_trl.layouts import Layout
from adasr_trl.live.stream import Event, LiveStream, live_request


class PoolFullError(UserError):
    """As many streams as the pool takes are open."""


class StreamPool:
    """See the module.

    Attributes:
        engine: What advances the streams; it counts steps and tokens.
    """

    def __init__(self, engine: PooledEngine, layout: Layout, sampling: Sampling) -> None:
        self.engine = engine
        self._layout, self._sampling = layout, sampling
        self._streams: dict[Any, LiveStream] = {}  # by their memory

    def open(
        self,
        question: str,
        *,
        seed: int = 0,
        sampling: Sampling | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> LiveStream:
        """A new stream; the next steps read its question.

        Raises:
            PoolFullError: As many streams as the pool takes are open.
            UserError: A blank or too long question.
        """
        if len(self) >= self.engine.max_streams:
            raise PoolFullError(f"{len(self)} streams are open, and no more are taken.")
        request = live_request(question, (question,), seed)
        parts = (self.engine, self._layout, sampling or self._sampling)
        stream = LiveStream(*parts, request, on_event)
        self._streams[stream.memory] = stream
        return stream

    def close_all(self) -> None:
        """Forget all streams."""
        for stream in list(self._streams.values()):
            self.close(stream)

    def close(self, stream: LiveStream) -> None:
        """Forget a stream, wherever it is; its memory is free for others. A closed stream stays closed."""
        if self._streams.pop(stream.memory, None):
            self.engine.release(stream.memory)

    def step(self) -> bool:
        """Let every stream that has something to do move on by a token or a block; False if there is none."""
        moved = self.engine.step()
        for memory, failure in moved.items():
            stream = self._streams[memory]
            stream.settle() if failure is None else stream.fail(str(failure))
        return bool(moved)

    def __len__(self) -> int:
        """Number of open streams."""
        return len(self._streams)
