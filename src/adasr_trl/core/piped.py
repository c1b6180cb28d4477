"""Command lines with a closed output pipe.

>>> run_piped(lambda: print("done") or 0)
done
0
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell counts


def run_piped(command: Callable[[], int]) -> int:
    """Run a command line; a closed output pipe (``| head``) ends it as quietly as SIGPIPE does.

    The output may be closed from the start (``>&-``): Python then has no stream at all.
    """
    for name in ("stdout", "stderr"):
        if vars(sys)[name] is None:
            sink = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # until the end
            setattr(sys, name, sink)
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: the terminal has gone
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        return PIPE_CLOSED
