"""Exact check of ledger traces: a step is allowed once its event has been told.

>>> find_chunk = check("How many does Tom have at the end?", ("Tom has 5 apples.", " Tom gets 3 more apples."))
>>> find_chunk("Tom 5 + 3 = 8", 0)
1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_builders.sources.base import FindChunk
from data_builders.sources.ledger import GAINS, LOSSES
from data_builders.traces.future_facts import Texts

_PERSON = re.compile(r"does (\w+) have|Follow (\w+)'s")
_START = re.compile(r"(\w+) has (\d+) \w+\.?$")
_VERB = "|".join((*GAINS, *LOSSES))
_AMOUNT = r"(?P<new>\d+) [\w ]+?(?:, not (?P<old>\d+))?"
_EVENT_FORMS = (  # either order of words
    re.compile(rf"(?P<person>\w+) (?P<verb>{_VERB}) {_AMOUNT}\.?$"),
    re.compile(rf"{_AMOUNT} (?P<person>\w+) (?P<verb>{_VERB})\.?$"),
)
# "Tom 5 + 3 = 8", "Tom + 3", or "Tom 5"
_STEP = re.compile(r"(\w+) (?:(\d+) )?((?:[+-] \d+ ?)+)(?:= (\d+))?$|(\w+) (\d+)$")


@dataclass
class _CountChange:
    """A change of the count."""

    chunk: int  # where it is told
    before: int  # the count before it
    # Added numbers; two for a correction, which first takes the wrong one back.
    changes: tuple[int, ...]
    after: int  # the count behind it
    is_taken: bool = False  # whether a step of the trace accounts for it


def check(question: str, chunks: Texts) -> FindChunk:
    """Each step takes the first matching change; later ones only make it early."""
    asked = _PERSON.search(question)
    person = (asked[1] or asked[2]) if asked else ""
    changes = list(_count_changes(person, chunks))

    def find_chunk(clause: str, chunk: int) -> int | None:
        matching = (c for c in changes if not c.is_taken and _states(clause, person, c))
        change = next(matching, None)
        if change is None:
            return None
        change.is_taken = change.chunk <= chunk
        return change.chunk

    return find_chunk


def _count_changes(person: str, chunks: Texts) -> Iterator[_CountChange]:
    count = 0
    for number, chunk in enumerate(chunks):
        text = chunk.strip()
        event = next(filter(None, (form.match(text) for form in _EVENT_FORMS)), None)
        changes: tuple[int, ...] = ()
        if (start := _START.match(text)) and start[1] == person:
            count, changes = 0, (int(start[2]),)
        elif event and event["person"] == person:
            sign = 1 if event["verb"] in GAINS else -1
            taken_back = (-sign * int(event["old"]),) if event["old"] else ()
            changes = (*taken_back, sign * int(event["new"]))
        if changes:
            before, count = count, count + sum(changes)
            yield _CountChange(number, before, changes, count)


def _states(clause: str, person: str, change: _CountChange) -> bool:
    step = _STEP.match(clause)
    if step is None or (step[1] or step[5]) != person:
        return False
    if step[5]:
        return change.before == 0 and change.changes == (int(step[6]),)
    changes = tuple(int(part.replace(" ", "")) for part in re.findall(r"[+-] \d+", step[3]))
    before_fits = step[2] is None or int(step[2]) == change.before
    after_fits = step[4] is None or int(step[4]) == change.after
    return changes == change.changes and before_fits and after_fits
