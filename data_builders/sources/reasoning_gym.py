r"""Tasks of the package reasoning_gym (Apache-2.0) that read as a stream, generated offline or from rows of it.

    adasr data reasoning_gym --task family_relationships --count 1000 --out data/family    (needs the extra)
    adasr data reasoning_gym --input rows.jsonl --out data/family

    {"question": "Tom is married to Eva. They have a child called Ann.\n\nHow is Ann related to Tom? Answer in one word.",
     "answer": "daughter", "metadata": {"source_dataset": "family_relationships"}}

Instructions on the answer's form are no part of the stream; they join the question of an answer of several words. A text
of fewer than two sentences besides the question does not read as a stream, and is rejected by that name. Tasks with worked
solutions (``answer_cot``) get an aligned trace. Rows with the same variables come from one template, and share a group.
"""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from adasr_trl.core.answers import AnswerError, check_gold
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.errors import BuildError
from data_builders.rows.inputs import numbers, open_input
from data_builders.rows.options import add_input, add_number, check_number
from data_builders.rows.row import Rejected, Row, Rows, source_of
from data_builders.sources.common import add_stream_options, text_key
from data_builders.text.asking import find_asking
from data_builders.text.draft import Draft
from data_builders.traces import align
from data_builders.traces.align import aligned

NAME = "reasoning_gym"
SUMMARY = "tasks of the package reasoning_gym that read as a stream"
LICENCE = "Apache-2.0"
_INSTRUCTION = re.compile(
    r"^\s*(?:\(?Format\b|Respond\b|Answer\b|Provide\b|Give\b|Do not\b|Your (?:answer|output|response)\b|Return\b|Output\b"
    r"|The answer should\b|Only\b|Please\b|Write\b|Express\b|Round\b)",
    re.IGNORECASE,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The task, or a file of its rows."""
    source = parser.add_mutually_exclusive_group(required=True)
    what = "a task to generate, such as family_relationships"
    source.add_argument("--task", metavar="NAME", help=what)
    add_input(source, "rows of such a task")
    add_number(parser, "count", 1000, "generated rows")
    what = f"the rows' licence (default: {LICENCE})"
    parser.add_argument("--licence", default=LICENCE, help=what)
    parser.add_argument("--revision", help="what the rows are called in the manifest")
    add_stream_options(parser)
    align.add_options(parser)


def open_rows(options: argparse.Namespace) -> Rows:
    """The file, or the numbers of a generated task."""
    if options.task is None:
        return open_input(argparse.Namespace(**vars(options), hub=None))
    check_number(options, "count", 1)
    _generator(options.task, options.seed, options.count)  # refuses an unknown task now
    return numbers(options.task, options.count)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row."""
    if options.task is not None:
        item = _generator(options.task, options.seed, options.count)[row.number]
        row = Row(row.where, row.number, row.key, item)
    metadata = row.columns.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    task = str(metadata.get("source_dataset") or options.task or "task")
    answer = row.text("answer").strip()
    kind = _kind(answer)
    sentences, instruction = _without_instruction(sentence_chunks(row.text("question")))
    asking = find_asking(sentences)
    if asking is None or len(sentences) < 2:
        yield Rejected(row.where, "does_not_read_as_a_stream", "no text besides the question")
        return
    question = sentences[asking].strip()
    if instruction and kind is AnswerType.TEXT and len(answer.split()) > 1:
        question = f"{question} {instruction}"
    rationale = metadata.get("answer_cot")
    key = group = f"{NAME}-{task}-{row.key}"
    variables = metadata.get("variables")
    if isinstance(variables, dict):  # the names of a template's variables identify it
        group = f"{NAME}-{task}-{text_key(' '.join(sorted(variables)))}"
    yield Draft(
        key=key,
        group=group,
        where=row.where,
        question=question,
        units=sentences,
        answer=answer,
        answer_type=kind,
        source=source_of(f"{NAME}/{task}", options),
        asking=asking,
        tracer=aligned(rationale, options, plain_sums=True) if isinstance(rationale, str) else None,
        tags=(task,),
    )


def _kind(answer: str) -> AnswerType:
    with suppress(AnswerError):
        check_gold(answer, AnswerType.NUMBER)
        return AnswerType.NUMBER
    return AnswerType.TEXT


def _without_instruction(sentences: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The sentences without closing instructions on the answer's form, and these instructions."""
    end = len(sentences)
    while end > 1 and _INSTRUCTION.match(sentences[end - 1]):
        end -= 1
    return sentences[:end], "".join(sentences[end:]).strip()


@functools.lru_cache(maxsize=1)
def _generator(task: str, seed: int, count: int) -> Any:
    try:
        import reasoning_gym
    except ImportError:
        raise BuildError(
            "--task: the package reasoning_gym is not installed; pip install 'adasr-trl[reasoning-gym]'."
        ) from None
    try:
        return reasoning_gym.create_dataset(task, seed=seed, size=count)
    except ValueError as error:
        raise BuildError(f"--task {task}: {error}") from None
