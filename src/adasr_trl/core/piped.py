"""A command line whose output somebody may stop reading.

>>> run_piped(lambda: print("done") or 0)
done
0
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

NOBODY_READS = 141  # 128 + SIGPIPE, as a shell counts


def run_piped(command: Callable[[], int]) -> int:
    """Run a command line; where nobody reads its output any more (``| head``), end as quietly as SIGPIPE would.

    Its output may also be closed from the start (``>&-``): Python then has no stream at all to write to.
    """
    for name in ("stdout", "stderr"):
        if vars(sys)[name] is None:
            unread = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for good
            setattr(sys, name, unread)
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        return NOBODY_READS
