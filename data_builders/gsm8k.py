r"""GSM8K and what shares its row format: a question, and a rationale that ends in ``#### answer``.

    {"question": "Tom has 5 apples. He buys 3. How many has he?",
     "answer": "Tom has 5 + 3 = <<5+3=8>>8 apples.\n#### 8"}

    python -m data_builders gsm8k --input train.jsonl --chunk sentence --out data/gsm8k

The problem is streamed; the sentence that asks is known first (``--question first``, as in StreamingThinker) or
arrives last. The trace comes from the calculator steps (``align``). GSM-Symbolic's rows build as well; its variants of
one template form one group, by their column ``original_id``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from adasr_trl.answers import AnswerError, check_gold
from adasr_trl.chunking import chunk, sentence_chunks
from adasr_trl.episode import AnswerType, Episode, EpisodeError, Source
from data_builders.align import build_trace
from data_builders.rows import Row, read_rows, revision_of
from data_builders.rows import add_options as add_row_options
from data_builders.source import UNSPLIT, Count, Rejected

NAME = "gsm8k"
LICENCE = "MIT"

QUESTION_AHEAD = "Solve the problem that follows."  # where no sentence of its own asks
QUESTION_LAST = "Answer the question at the end of the text."
_ASKS = re.compile(r"\b(?:calculate|find|determine|how (?:many|much|long|old|far))\b", re.I)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input, where the question stands, and notes."""
    add_row_options(parser)
    parser.add_argument(
        "--question",
        choices=("first", "last"),
        default="first",
        help="whether the asking sentence is known before the stream or ends it (default: first)",
    )
    parser.add_argument(
        "--notes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a short note, not a skip, for a chunk that has a number but no step (default: on)",
    )
    parser.add_argument(
        "--licence", default=LICENCE, help=f"the rows' licence (default: {LICENCE})"
    )


def build(options: argparse.Namespace) -> Iterator[Episode | Rejected | Count]:
    """One episode a row."""
    source = Source(NAME, revision_of(options), options.licence, UNSPLIT)
    for row in read_rows(options):
        yield from _build_row(row, source, options)


def _build_row(
    row: Row, source: Source, options: argparse.Namespace
) -> Iterator[Episode | Rejected | Count]:
    problem, rationale = row.text("question").strip(), row.text("answer")
    _, separator, gold = rationale.rpartition("####")
    if not problem:
        yield Rejected(row.where, "empty_question", "the question is empty")
        return
    if not separator or not gold.strip():
        yield Rejected(row.where, "no_final_answer", "nothing behind #### in the answer")
        return
    try:
        check_gold(gold.strip(), AnswerType.NUMBER)
    except AnswerError as error:
        yield Rejected(row.where, "bad_gold", str(error))
        return
    question, text = ask_first(problem) if options.question == "first" else (QUESTION_LAST, problem)
    chunks = chunk(text, options.chunk)
    limit = len(chunks) if options.question == "first" else len(chunks) - 1
    trace = build_trace(rationale, question, chunks, limit=limit, with_notes=options.notes)
    try:
        yield Episode(
            id=f"{NAME}-{row.number}",
            group=_group(row),
            question=question,
            chunks=chunks,
            answer=gold.strip(),
            answer_type=AnswerType.NUMBER,
            source=source,
            thoughts=trace.thoughts,
            deep=trace.deep,
        )
    except EpisodeError as error:
        yield Rejected(row.where, "invalid", str(error))
        return
    yield Count("steps_streamed", trace.streamed_steps)
    yield Count("steps_deep", trace.deep_steps)
    if question == QUESTION_AHEAD:
        yield Count("no_sentence_of_its_own_asks")


def ask_first(problem: str) -> tuple[str, str]:
    """The asking sentence and the text without it; a problem of one sentence is streamed whole."""
    sentences = sentence_chunks(problem)
    asking = [i for i, sentence in enumerate(sentences) if "?" in sentence]
    asking = asking or [i for i, sentence in enumerate(sentences) if _ASKS.search(sentence)]
    if len(sentences) < 2 or not asking:
        return QUESTION_AHEAD, problem
    last = asking[-1]
    rest = "".join((*sentences[:last], *sentences[last + 1 :]))
    return sentences[last].strip(), rest.strip()


def _group(row: Row) -> str:
    key = row.text("original_id") if "original_id" in row.columns else ""
    return f"{NAME}-original-{key}" if key else f"{NAME}-{row.number}"
