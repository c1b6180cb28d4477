r"""Any question-answering set, by the names of its columns.

    {"ask": "Who owns the boat?", "story": "The boat is Ann's. Bob rows it.", "gold": "Ann"}

    adasr data custom --input rows.jsonl --question-column ask --context-column story \
        --answer-column gold --answer-type text --name boats --licence MIT --out data/boats

A column of numbers is read as text, a context that is a list is joined by spaces. Options of a multiple-choice question
(``--choices-column``) are lettered and read out behind the text. Thoughts are a list of texts, one a chunk ("" is a skip). A rationale in lines of sums is aligned. Rows without a trace train by reinforcement only.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

from adasr_trl.core.answer_place import Place, answer_spans
from adasr_trl.core.answers import extract
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.sentences import sentence_chunks
from data_builders.errors import BuildError
from data_builders.rows.inputs import open_input
from data_builders.rows.row import Missing, Rejected, Row, RowError, Rows, source_of
from data_builders.sources.choices import Choices, read_choices
from data_builders.sources.common import add_text_options, require_licence, text_key
from data_builders.sources.word_problems import Problem, draft_problem
from data_builders.text import cut
from data_builders.text.draft import Draft
from data_builders.traces.align import aligned, needed_units
from data_builders.traces.given import given_tracer

NAME = "custom"
SUMMARY = "any JSON, JSON Lines, CSV, parquet or Hub set, by the names of its columns"
_SOLUTION = re.compile(r"####|\\(?:boxed|fbox)\b")  # a worked solution with its answer marked
_ASKS = re.compile("[?\uff1f]")
# Roles in a chat that ask nothing, and those that give no answer.
_NEVER_ASK = frozenset({"system", "developer", "assistant", "gpt", "model", "tool", "function"})
_NEVER_ANSWER = frozenset({"system", "developer", "user", "human", "tool", "function"})
_WITHHELD = frozenset({"<unk>", "<hidden>"})  # golds of test splits without answers


def add_options(parser: argparse.ArgumentParser) -> None:
    """The input and its columns."""
    add_text_options(parser, licence="", is_aligned=True)
    for column, what in (("question", "asked first"), ("context", "streamed"), ("answer", "gold")):
        is_needed = column == "answer"
        parser.add_argument(f"--{column}-column", required=is_needed, metavar="COLUMN", help=what)
    what = "question and text in one, in place of both: its asking sentence is found"
    parser.add_argument("--problem-column", metavar="COLUMN", help=what)
    what = "options of a multiple-choice question, read out behind the text as A) ..., B) ..."
    parser.add_argument("--choices-column", metavar="COLUMN", help=what)
    what = "other words for answers, such as true=yes,false=no"
    parser.add_argument("--answer-map", type=_answer_map, default={}, metavar="A=B,...", help=what)
    for column, what in (
        ("thoughts", "a list, one text a chunk"),
        ("deep", "reasoning behind the last thought (default: none)"),
        ("rationale", "lines of sums to be laid along the text"),
        ("group", "rows that share it stay in one split"),
        ("id", "unique (default: the line)"),
    ):
        parser.add_argument(f"--{column}-column", metavar="COLUMN", help=what)
    kinds = [kind.value for kind in AnswerType]
    parser.add_argument("--answer-type", choices=kinds, required=True, help="how it is compared")
    parser.add_argument("--name", required=True, help="what the set is called")


def open_rows(options: argparse.Namespace) -> Rows:
    """The file or the Hub's split."""
    if options.deep_column and not options.thoughts_column:
        raise BuildError("--deep-column: is the end of a trace; give --thoughts-column, too.")
    if options.thoughts_column and options.rationale_column:
        raise BuildError("--thoughts-column and --rationale-column both give a trace: drop one.")
    given = (options.question_column, options.context_column)
    if options.problem_column and any(given):
        raise BuildError("--problem-column: is question and text in one; drop the other two.")
    if not options.problem_column and not (
        options.question_column and (options.context_column or options.choices_column)
    ):
        raise BuildError("--question-column and --context-column: give both, or --problem-column.")
    if options.choices_column and options.answer_type != AnswerType.CHOICE.value:
        raise BuildError(
            f"--choices-column: its answers are letters; say --answer-type choice, not {options.answer_type}."
        )
    if given[0] is not None and given[0] == given[1]:
        raise BuildError(
            f"--question-column and --context-column: both are {given[0]!r}, which would put the whole text before its own "
            f"stream; use --problem-column {given[0]}."
        )
    require_licence(options)
    return open_input(options)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """One episode a row."""
    _check_speaker(row, options.problem_column or options.question_column, _NEVER_ASK, "user")
    _check_speaker(row, options.answer_column, _NEVER_ANSWER, "assistant")
    if options.problem_column:
        yield from _problem(row, options)
        return
    question = row.text(options.question_column).strip()
    if not question:
        yield _empty(row, options.question_column)
        return
    text = row.joined(options.context_column) if options.context_column else ""
    if " ".join(text.split()) == " ".join(question.split()):
        yield Rejected(
            row.where, "question_is_text", "the question is the whole text; use --problem-column"
        )
        return
    units = sentence_chunks(text)
    has_thoughts = bool(options.thoughts_column and row.get(options.thoughts_column) is not None)
    if has_thoughts and options.chunk != cut.SOURCE:
        units = cut.cut(text, options.chunk, options.tokenizer)
    sections = () if has_thoughts else _sections(row, units, options.context_column)
    choices = _choices(row, options)
    read_out = choices.units(after_text=bool(units)) if choices else ()
    if sections or not units:
        first = max(sections, default=-1) + 1
        sections = (*sections, *range(first, first + len(read_out)))
    units = (*units, *read_out)
    key = row.text(options.id_column) if options.id_column else f"{options.name}-{row.key}"
    rationale = row.text(options.rationale_column) if options.rationale_column else ""

    tracer = aligned(rationale, options, plain_sums=True) if rationale else None
    if has_thoughts:
        thoughts = [thought.strip() for thought in row.texts(options.thoughts_column)]
        deep = row.text(options.deep_column).strip() if options.deep_column else ""
        tracer = given_tracer(thoughts, deep)

    def needed() -> frozenset[int]:
        return needed_units(rationale, question, units, plain_sums=True)

    yield Draft(
        key=key,
        group=_group(row, options, f"{question} {text}"),
        where=row.where,
        question=question,
        units=units,
        answer=_answer(row, options, choices),
        answer_type=AnswerType(options.answer_type),
        source=source_of(options.name, options),
        sections=sections,
        is_cut=has_thoughts,
        needed=needed if rationale else None,
        tracer=tracer,
    )


def _empty(row: Row, column: str) -> Rejected:
    held = row.columns.get(column)
    cell = f" ({held!r})" if isinstance(held, Missing) else ""
    return Rejected(row.where, "empty_question", f"column {column!r} is empty{cell}")


def _check_speaker(row: Row, column: str, never: frozenset[str], role: str) -> None:
    """Refuse a turn of a chat that stands at a position, but was said by another: a system's turn moves all others."""
    if (speaker := row.speaker(column)) in never:
        raise RowError(
            f"{row.where}: column {column!r} is a turn of {speaker!r}, expected one of {role!r}; name turns by their "
            f"role, such as messages.{role}.content."
        )


def _problem(row: Row, options: argparse.Namespace) -> Iterator[Draft | Rejected]:
    """An episode whose question is a sentence of its text."""
    text = row.joined(options.problem_column)
    if not text.strip():
        yield _empty(row, options.problem_column)
        return
    choices = _choices(row, options)
    key = row.text(options.id_column) if options.id_column else f"{options.name}-{row.key}"
    problem = Problem(
        key=key,
        group=_group(row, options, text),
        where=row.where,
        text=text,
        answer=_answer(row, options, choices),
        rationale=row.text(options.rationale_column) if options.rationale_column else "",
        plain_sums=True,
    )
    draft = draft_problem(problem, source_of(options.name, options), options)
    if choices:
        if draft.asking is None and len(draft.units) == 1:
            draft = replace(draft, asking=0, question=text.strip())
        draft = replace(draft, units=(*draft.units, *choices.units(after_text=True)))
    yield replace(draft, answer_type=AnswerType(options.answer_type))


def _group(row: Row, options: argparse.Namespace, text: str) -> str:
    """The split key: as given, else the same for rows with the same words, which never stand on both sides."""
    return (
        row.text(options.group_column)
        if options.group_column
        else f"{options.name}-{text_key(text)}"
    )


def _choices(row: Row, options: argparse.Namespace) -> Choices | None:
    return read_choices(row, options.choices_column) if options.choices_column else None


def _answer(row: Row, options: argparse.Namespace, choices: Choices | None) -> str:
    """The gold answer in the words of ``--answer-map``; of a worked solution what stands behind its marker."""
    held = row.columns.get(options.answer_column)
    answer = str(held if isinstance(held, Missing) else row.text(options.answer_column)).strip()
    mapped = _mapped(answer, options, row)
    if choices:
        return choices.letter(mapped)
    if isinstance(held, Missing) and mapped == answer and answer not in options.answer_map:
        raise RowError(
            f"{row.where}: the answer {answer!r} stands for none in a table; if it is one, say --answer-map "
            f"{answer}=none."
        )
    kind = AnswerType(options.answer_type)
    if kind is AnswerType.NUMBER and _asks(mapped):
        raise RowError(f"{row.where}: the answer {mapped[:80]!r} is a question; expected a number.")
    if mapped in _WITHHELD:
        raise RowError(f"{row.where}: the answer is withheld ({mapped!r}).")
    found = extract(mapped, kind) if _SOLUTION.search(mapped) else None
    return found.value if found else mapped


def _asks(answer: str) -> bool:
    """Whether a text without a marked answer asks, as a problem does."""
    is_marked = answer_spans(answer)[0].place is not Place.SOMEWHERE
    return not is_marked and _ASKS.search(answer) is not None


def _mapped(answer: str, options: argparse.Namespace, row: Row) -> str:
    words: dict[str, str] = options.answer_map
    if not words or answer in words:
        return words.get(answer, answer)
    folded = {old.casefold(): new for old, new in words.items()}
    if answer.casefold() in folded:
        return folded[answer.casefold()]
    if options.answer_type == AnswerType.CHOICE.value and answer not in words.values():
        raise RowError(f"{row.where}: --answer-map has no word for the answer {answer!r}.")
    return answer


def _answer_map(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(separator and old.strip() for old, separator, _ in pairs):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected such as true=yes,false=no.")
    return {old.strip(): new.strip() for old, _, new in pairs}


def _sections(row: Row, units: tuple[str, ...], column: str | None) -> tuple[int, ...]:
    """Index of each sentence's text in a list of texts; 0 for a single text."""
    passages = row.passages(column) if column else None
    if passages is None:
        return (0,) * len(units)
    ends = list(accumulate(len(text) + 1 for text in passages))  # + 1: the joining space
    sections, position = [], 0
    for unit in units:
        position += len(unit)
        sections.append(sum(end < position for end in ends))
    return tuple(sections)
