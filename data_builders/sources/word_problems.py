"""What the sources of word problems share: a problem whose last sentence asks, a rationale, a number.

>>> draft = draft_problem(row, "Tom has 5 hens. How many legs?", "5*2=<<5*2=10>>10", Gold("10", AnswerType.NUMBER), ...)
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
class Names:
    """What an episode is called.

    Attributes:
        key: Its id.
        group: Its split key.
        where: Where its row stands.
        tags: Labels.
    """

    key: str
    group: str
    where: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gold:
    """The gold answer and the rationale that leads to it.

    Attributes:
        answer: As it is compared.
        rationale: Lines of steps; "" where there is none.
        kind: How it is compared.
        plain_sums: Whether the rationale's sums carry no calculator annotations.
    """

    answer: str
    rationale: str
    kind: AnswerType = AnswerType.NUMBER
    plain_sums: bool = False


def draft_problem(
    names: Names, problem: str, gold: Gold, source: Source, options: argparse.Namespace
) -> Draft:
    """A problem in sentences, its rationale aligned."""
    sentences = sentence_chunks(problem)
    asking = find_asking(sentences)
    question = "" if asking is None else sentences[asking].strip()

    def needed() -> frozenset[int]:
        told = ["" if i == asking else text for i, text in enumerate(sentences)]
        return needed_units(gold.rationale, question, told, plain_sums=gold.plain_sums)

    return Draft(
        key=names.key,
        group=names.group,
        where=names.where,
        question=question,
        units=sentences,
        answer=gold.answer,
        answer_type=gold.kind,
        source=source,
        asking=asking,
        needed=needed,
        tracer=aligned(gold.rationale, options, plain_sums=gold.plain_sums)
        if gold.rationale
        else None,
        tags=names.tags,
    )
