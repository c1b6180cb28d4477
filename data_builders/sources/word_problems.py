"""Word problems: sentences of which one asks, a rationale, an answer.

>>> problem = Problem("gsm8k-7", "gsm8k-7", "rows.jsonl:7", "Tom has 5 hens. How many legs?", "10", "5*2=<<5*2=10>>10")
>>> draft = draft_problem(problem, source, options)
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from adasr_trl.core.episode import AnswerType, Source
from adasr_trl.core.sentences import sentence_chunks
from data_builders.text.asking import find_asking
from data_builders.text.draft import Draft
from data_builders.traces.align import aligned, needed_units


@dataclass(frozen=True)
class Problem:
    """A word problem."""

    key: str  # the episode's id
    group: str  # its split key
    where: str  # file and line of the row
    text: str  # the problem, its question included
    answer: str  # gold
    rationale: str  # lines of steps; "" for none
    plain_sums: bool = False  # whether the rationale's sums carry no calculator annotations
    tags: tuple[str, ...] = ()  # labels of the episode


def draft_problem(problem: Problem, source: Source, options: argparse.Namespace) -> Draft:
    """A problem in sentences with its rationale aligned."""
    rationale, plain_sums = problem.rationale, problem.plain_sums
    sentences = sentence_chunks(problem.text)
    asking = find_asking(sentences)
    question = "" if asking is None else sentences[asking].strip()

    def needed() -> frozenset[int]:
        facts = ["" if i == asking else text for i, text in enumerate(sentences)]
        return needed_units(rationale, question, facts, plain_sums=plain_sums)

    return Draft(
        key=problem.key,
        group=problem.group,
        where=problem.where,
        question=question,
        units=sentences,
        answer=problem.answer,
        answer_type=AnswerType.NUMBER,
        source=source,
        asking=asking,
        needed=needed,
        tracer=aligned(rationale, options, plain_sums=plain_sums) if rationale else None,
        tags=problem.tags,
    )
