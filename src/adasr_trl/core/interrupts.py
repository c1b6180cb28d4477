"""Signals that end a process, where they would do harm: in a child that its parent ends, and while work is ended.

with interrupts_held():
process.start()                      # never gets an interrupt of the terminal
with one_interrupt(end_workers):
work()                               # the first interrupt ends the workers; further ones find it busy with that
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # exit status


@contextmanager
def interrupts_held() -> Iterator[None]:
    """A child that starts here never gets an interrupt of the terminal: its parent ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def one_interrupt(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` at the first interrupt, which goes on as KeyboardInterrupt; further ones have no effect in here.

    Wrappers such as ``uv run`` and ``timeout`` send two at once. Nothing changes outside the main thread, which alone gets
    interrupts, and where they are ignored, as in the background of a shell.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
        ignore_interrupts()
        end()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def unwound_ends() -> Iterator[None]:
    """A hang-up or termination unwinds like an exit: temporary files go, children end, a terminal is given back.

    One that is ignored, as a hang-up under ``nohup``, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    before = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """From here on the process ends anyway."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
