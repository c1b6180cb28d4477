"""Does a thought know what has not been read yet? Found exactly, where the sentences of a source can be read back.

    >>> told = ("Tom has 5 apples.", " Ann buys 3 more apples.", " Tom gets 3 more apples.")
    >>> early_facts("ledger", "How many apples does Tom have at the end?", told, ("Tom 5", "Tom 5 + 3 = 8", ""))
    (Violation(chunk=1, fact='Tom 5 + 3 = 8', read_at=2),)

The ledger's and gsm_infinite's sentences are parsed, and a step is allowed only where they give it. What is no step of
theirs, and any other source, is left to ``future``, which works from words and numbers alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_builders.sources import gsm_infinite, ledger
from data_builders.traces.future_facts import Violation, future_facts

_LEDGER_WHO = re.compile(r"does (\w+) have|Follow (\w+)'s")
_LEDGER_HAS = re.compile(r"(\w+) has (\d+) \w+\.?$")
_VERB, _AMOUNT = (
    "|".join((*ledger.GAINS, *ledger.LOSSES)),
    r"(?P<new>\d+) [\w ]+?(?:, not (?P<old>\d+))?",
)
_LEDGER_EVENT = (  # either order of words
    re.compile(rf"(?P<who>\w+) (?P<verb>{_VERB}) {_AMOUNT}\.?$"),
    re.compile(rf"{_AMOUNT} (?P<who>\w+) (?P<verb>{_VERB})\.?$"),
)
_LEDGER_STEP = re.compile(r"(\w+) (?:(\d+) )?((?:[+-] \d+ ?)+)(?:= (\d+))?$|(\w+) (\d+)$")
_NAME = r"\w+ \w+ in \w+ Hall"
_GIVEN = re.compile(rf"[Tt]here are (\d+) ({_NAME})\.")
_MADE = re.compile(
    rf"[Tt]he number of ({_NAME}) is (\d+) (more than|less than|times) the number of ({_NAME})\."
)
_SUM = re.compile(
    rf"[Tt]he number of ({_NAME}) is the sum of the number of ({_NAME}) and the number of ({_NAME})\."
)
_CLAIM = re.compile(rf"({_NAME}) = (?:.* = )?(-?\d+)$")


@dataclass
class _Event:
    """A change of the count: where it is told, the count before it, and what is added, to put it right in two parts."""

    place: int
    before: int
    parts: tuple[int, ...]
    is_taken: bool = False

    @property
    def after(self) -> int:
        """The count behind it."""
        return self.before + sum(self.parts)


def early_facts(
    source: str, question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> tuple[Violation, ...]:
    """Every fact that a thought states before it has been read.

    Args:
        source: The name of the episode's source.
        question: What is known before the first chunk.
        chunks: What arrives.
        thoughts: One for each chunk.
    """
    check = _CHECKS.get(source)
    if check is None:
        return future_facts(question, chunks, thoughts)
    found, left = [], []
    for clauses in check(question, chunks, thoughts):
        found += [one for one in clauses if isinstance(one, Violation)]
        left.append("; ".join(one for one in clauses if isinstance(one, str)))
    return (*found, *future_facts(question, chunks, left))


Clauses = list[str | Violation]


def _check_ledger(
    question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> Iterator[Clauses]:
    """Each step takes the event that it tells; one that could only take a later event is early."""
    asked = _LEDGER_WHO.search(question)
    who = (asked[1] or asked[2]) if asked else ""
    events = list(_ledger_events(who, chunks))
    for place, thought in enumerate(thoughts):
        clauses: Clauses = []
        for clause in filter(None, (part.strip() for part in thought.split(";"))):
            fitting = [
                event for event in events if not event.is_taken and _tells(clause, who, event)
            ]
            if not fitting:
                clauses.append(clause)
            elif fitting[0].place > place:
                clauses.append(Violation(place, clause, fitting[0].place))
            else:
                fitting[0].is_taken = True
        yield clauses


def _ledger_events(who: str, chunks: Sequence[str]) -> Iterator[_Event]:
    count = 0
    for place, chunk in enumerate(chunks):
        text = chunk.strip()
        if (has := _LEDGER_HAS.match(text)) and has[1] == who:
            yield _Event(place, 0, (int(has[2]),))
            count = int(has[2])
        elif (told := _ledger_event(text)) and told["who"] == who:
            sign = 1 if told["verb"] in ledger.GAINS else -1
            old = (-sign * int(told["old"]),) if told["old"] else ()
            event = _Event(place, count, (*old, sign * int(told["new"])))
            yield event
            count = event.after


def _ledger_event(text: str) -> re.Match[str] | None:
    return next(filter(None, (form.match(text) for form in _LEDGER_EVENT)), None)


def _tells(clause: str, who: str, event: _Event) -> bool:
    step = _LEDGER_STEP.match(clause)
    if step is None or (step[1] or step[5]) != who:
        return False
    if step[5]:
        return event.before == 0 and event.parts == (int(step[6]),)
    parts = tuple(int(part.replace(" ", "")) for part in re.findall(r"[+-] \d+", step[3]))
    before_fits = step[2] is None or int(step[2]) == event.before
    after_fits = step[4] is None or int(step[4]) == event.after
    return parts == event.parts and before_fits and after_fits


def _check_gsm_infinite(
    _question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> Iterator[Clauses]:
    """A quantity may be stated where it can be computed; what can only be computed later is early."""
    known = list(values_by_chunk(chunks))
    for place, thought in enumerate(thoughts):
        clauses: Clauses = []
        for clause in filter(None, (part.strip() for part in thought.split(";"))):
            claim = _CLAIM.match(clause)
            value = int(claim[2]) if claim else None
            if claim is None:
                clauses.append(clause)
            elif known[place].get(claim[1]) != value:
                later = (at for at in range(place, len(chunks)) if known[at].get(claim[1]) == value)
                at = next(later, None)
                clauses.append(clause if at is None else Violation(place, clause, at))
        yield clauses


def values_by_chunk(chunks: Sequence[str]) -> Iterator[dict[str, int]]:
    """Behind each sentence, every quantity that follows by then; a later sentence about one replaces an earlier."""
    made: dict[str, _Made] = {}
    values: dict[str, int] = {}
    for chunk in chunks:
        if found := _read_quantity(chunk):
            name, definition = found
            values = {} if name in made else dict(values)
            made[name] = definition
            _derive(made, values)
        yield values


_Made = tuple[str, tuple[str, ...], int]


def _read_quantity(chunk: str) -> tuple[str, _Made] | None:
    """The quantity that a sentence gives, and what it is made of: operator, operands, number."""
    if found := _GIVEN.search(chunk):
        return found[2], ("given", (), int(found[1]))
    if found := _MADE.search(chunk):
        operator = {"more than": "+", "less than": "-", "times": "*"}[found[3]]
        return found[1], (operator, (found[4],), int(found[2]))
    if found := _SUM.search(chunk):
        return found[1], ("sum", (found[2], found[3]), 0)
    return None


def _derive(made: Mapping[str, _Made], values: dict[str, int]) -> None:
    """Add every value that follows."""
    waiting = [name for name in made if name not in values]
    while ready := [name for name in waiting if all(one in values for one in made[name][1])]:
        for name in ready:
            operator, operands, number = made[name]
            values[name] = gsm_infinite.compute(operator, [values[one] for one in operands], number)
        waiting = [name for name in waiting if name not in values]


_CHECKS: dict[str, Callable[[str, Sequence[str], Sequence[str]], Iterator[Clauses]]] = {
    ledger.NAME: _check_ledger,
    gsm_infinite.NAME: _check_gsm_infinite,
}
