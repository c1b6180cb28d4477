"""Python in a process of its own, and whether a process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def alive(number: int) -> bool:
    """Whether it runs; one that only waits for its parent's look has ended."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it may end between open and read
        return False
    return state[0] != "Z"


def python(script: Path, *arguments: str) -> subprocess.Popen[str]:
    """A script in a session of its own, which imports what the tests import."""
    paths = os.pathsep.join([*(path for path in sys.path if path), "tests"])
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
