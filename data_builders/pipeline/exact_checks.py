"""Facts from the future: exact where a source's sentences can be read back, else from words and numbers.

    >>> chunks = ("Tom has 5 apples.", " Ann buys 3 more apples.", " Tom gets 3 more apples.")
    >>> early_facts("ledger", "How many apples does Tom have at the end?", chunks, ("Tom 5", "Tom 5 + 3 = 8", ""))
    (Violation(chunk=1, fact='Tom 5 + 3 = 8', read_at=2),)

A source with an exact check has it in ``sources/NAME_check.py``. Clauses that the check does not know, and traces of any
other source, go to ``traces.future_facts``.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_builders.sources.base import load_check
from data_builders.traces.future_facts import Violation, future_facts


def early_facts(
    source: str, question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> tuple[Violation, ...]:
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
    violations: list[Violation] = []
    unknown = []  # thoughts without the clauses that the exact check has decided
    for clauses in check(question, chunks, thoughts):
        violations += [clause for clause in clauses if isinstance(clause, Violation)]
        unknown.append("; ".join(clause for clause in clauses if isinstance(clause, str)))
    return (*violations, *future_facts(question, chunks, unknown))
