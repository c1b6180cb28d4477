"""Coroutines of rewards, run to their end in one event loop that has a daemon thread of its own, as TRL's.

    >>> settled(judge(completions))      # of an async def, in a script as in a notebook
    [0.25, 0.75]

One loop serves all calls of a process: an ``asyncio.Semaphore`` or a client that a reward keeps belongs to that loop.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import threading
from collections.abc import Awaitable
from typing import Any


def settled(value: Any) -> Any:
    """A value as it is, or the result of one that must be awaited; raises what it raises."""
    if not inspect.isawaitable(value):
        return value
    future = asyncio.run_coroutine_threadsafe(_result_of(value), _loop_of(os.getpid()))
    try:
        return future.result()
    finally:
        future.cancel()  # after an interrupt


async def _result_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@functools.cache
def _loop_of(process: int) -> asyncio.AbstractEventLoop:
    """The loop of a process, which a fork does not inherit."""
    del process
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="coroutines of rewards", daemon=True).start()
    return loop
