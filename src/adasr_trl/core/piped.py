"""Command lines with a closed output pipe, or one that lacks letters.

>>> run_piped(lambda: print("done") or 0)
done
0
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell counts
_ESCAPED = "adasr_trl.escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    escapes = (f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    return "".join(escapes), error.end


def run_piped(command: Callable[[], int]) -> int:
    """Run a command line; a closed output pipe (``| head``) ends it as quietly as SIGPIPE does.

    The output may be closed from the start (``>&-``): Python then has no stream at all. Characters that its encoding
    lacks (a locale without UTF-8) are written as JSON escapes them.
    """
    codecs.register_error(_ESCAPED, _escaped)
    for name in ("stdout", "stderr"):
        if vars(sys)[name] is None:
            sink = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # until the end
            setattr(sys, name, sink)
        stream = vars(sys)[name]
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors=_ESCAPED)
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
