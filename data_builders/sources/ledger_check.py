"""Exact check of ledger traces: a step is allowed once its event has been told.

>>> find_chunk = check("How many apples does Tom have?", ("Tom has 5 apples.", " He gets 3 more apples."))
>>> find_chunk("5 + 3 = 8", 0)
1
"""

from __future__ import annotations

import re

from data_builders.sources.base import FindChunk
from data_builders.sources.ledger_reading import CountChange, read_changes
from data_builders.traces.future_facts import Texts

_STEP = re.compile(r"(?:(\d+) )?((?:[+-] \d+ ?)+)(?:= (\d+))?$|(\d+)$|(unknown)$")


def check(question: str, chunks: Texts) -> FindChunk:
    """Each step takes the first matching change; later ones only make it early."""
    changes = [change for change in read_changes(question, chunks) if not change.is_asked]

    def find_chunk(clause: str, chunk: int) -> int | None:
        matching = (change for change in changes if not change.is_taken and _states(clause, change))
        change = next(matching, None)
        if change is None:
            return None
        change.is_taken = change.chunk <= chunk and clause != "unknown"
        return change.chunk

    return find_chunk


def _states(clause: str, change: CountChange) -> bool:
    step = _STEP.match(clause)
    if step is None:
        return False
    if step[5] or change.after is None:
        return bool(step[5]) and change.after is None
    if step[4]:
        return change.before is None and change.after == int(step[4])
    changes = tuple(int(part.replace(" ", "")) for part in re.findall(r"[+-] \d+", step[2]))
    before_fits = step[1] is None or int(step[1]) == change.before
    after_fits = step[3] is None or int(step[3]) == change.after
    return changes == change.changes and before_fits and after_fits
