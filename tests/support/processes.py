"""Whether a process lives."""

from __future__ import annotations

from pathlib import Path


def alive(number: int) -> bool:
    """Whether it runs; one that only waits for its parent's look has ended."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it may end between open and read
        return False
    return state[0] != "Z"
