"""Facts from the future: exact where a source's sentences can be read back, else from words and numbers.

    >>> chunks = ("Tom has 5 apples.", " Ann buys 3 more apples.", " Tom gets 3 more apples.")
    >>> early_facts("ledger", "How many apples does Tom have at the end?", chunks, ("Tom 5", "Tom 5 + 3 = 8", ""))
    [Violation(chunk=1, fact='Tom 5 + 3 = 8', read_at=2)]

A source with an exact check has it in ``sources/NAME_check.py``. Clauses that the check does not know, and traces of any
other source, go to ``traces.future_facts``.
"""

from __future__ import annotations

from data_builders.sources.base import load_check
from data_builders.traces.future_facts import Texts, Violation, future_facts


def early_facts(source: str, question: str, chunks: Texts, thoughts: Texts) -> list[Violation]:
    """Every fact that a thought states before it has been read.

    Args:
        source: Name of the episode's source.
        question: Known before the first chunk.
        chunks: The streamed text.
        thoughts: One for each chunk.
    """
    check = load_check(source)
    if check is None:
        return future_facts(question, chunks, thoughts)
    find_chunk = check(question, chunks)
    violations = []
    unknown = []  # thoughts without the clauses that the exact check has decided
    for chunk, thought in enumerate(thoughts):
        undecided = []
        for clause in filter(None, map(str.strip, thought.split(";"))):
            read_at = find_chunk(clause, chunk)
            if read_at is None:
                undecided.append(clause)
            elif read_at > chunk:
                violations.append(Violation(chunk, clause, read_at))
        unknown.append("; ".join(undecided))
    return [*violations, *future_facts(question, chunks, unknown)]
