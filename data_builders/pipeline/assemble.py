"""From a draft to an episode: shape it, cut it, trace it, check it.

    for item in assemble(draft, options): ...   # an Episode, a Rejected or a RejectedTrace, and Counts

A gold answer that cannot be compared rejects the row. A trace that fails the quality control (``quality``) is kept apart
with its reason, and its episode goes on without one.
"""

from __future__ import annotations

import argparse
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from adasr_trl.core.answers import AnswerError, check_gold
from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, Episode, EpisodeError
from data_builders.pipeline.quality import RejectedTrace, bounds_of, fault_of
from data_builders.rows.outcome import Count, Rejected
from data_builders.text import cut as cutting
from data_builders.text.draft import Draft, Kind, Told, Trace, Unit
from data_builders.text.shape import QUESTION_AHEAD, UNKNOWN, Shaped, shape

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}")  # parses, without asking
_HIDDEN = {Kind.DISTRACTOR, Kind.REPEAT}


def assemble(
    draft: Draft, options: argparse.Namespace
) -> Iterator[Episode | Rejected | RejectedTrace | Count]:
    """What becomes of one draft."""
    if not draft.units or not any(unit.strip() for unit in draft.units):
        yield Rejected(draft.where, "no_chunks", "there is no text to stream")
        return
    shaped = shape(draft, options)
    answer = (draft.answer.strip(), draft.answer_type)
    if shaped.is_missing:
        answer = (UNKNOWN, AnswerType.CHOICE)
    try:
        if not (answer[1] is AnswerType.NUMBER and _PLAIN_NUMBER.fullmatch(answer[0])):
            check_gold(*answer)
        told = _tell(draft, shaped, options)
        trace = draft.tracer(told) if draft.tracer else None
        fault = _fault(draft, told, trace, options) if trace else None
        kept = None if fault else trace
        episode = Episode(
            id=draft.key,
            group=draft.group,
            question=shaped.question,
            chunks=told.chunks,
            answer=answer[0],
            answer_type=answer[1],
            source=draft.source,
            arrival_seconds=_arrivals(draft, shaped, told.chunks),
            thoughts=kept.thoughts if kept else None,
            deep=kept.deep if kept else None,
            tags=(*draft.tags, *shaped.applied),
        )
    except AnswerError as error:
        yield Rejected(draft.where, "bad_gold", str(error))
        return
    except EpisodeError as error:
        yield Rejected(draft.where, "invalid", str(error))
        return
    if not fault or options.keep_untraced:
        yield episode
    if trace and fault:
        yield RejectedTrace(draft.key, *fault, trace.thoughts, trace.deep)
    if kept:
        yield from (Count(name, by) for name, by in kept.counts.items() if by)
    yield from (Count(name) for name in shaped.applied)
    if shaped.question == QUESTION_AHEAD:
        yield Count("no_sentence_of_its_own_asks")


def _fault(
    draft: Draft, told: Told, trace: Trace, options: argparse.Namespace
) -> tuple[str, str] | None:
    return fault_of(
        told.question,
        told.chunks,
        trace.thoughts,
        trace.deep,
        bounds=bounds_of(options),
        source=draft.source.name,
    )


def _tell(draft: Draft, shaped: Shaped, options: argparse.Namespace) -> Told:
    units = shaped.units
    chunks = _chunks(draft, units, options)
    ends = list(accumulate(map(len, chunks)))
    unit_ends = list(accumulate(len(unit.text) for unit in units))
    chunk_of = [min(bisect_left(ends, end), len(chunks) - 1) for end in unit_ends]
    given = [i for i, unit in enumerate(units) if unit.fact >= 0]
    limit = len(chunks)
    if options.question != "first":
        limit = len(chunks) - 1
        if units[-1].kind is Kind.QUESTION:
            limit = bisect_left(ends, unit_ends[-1] - len(units[-1].text) + 1)
    return Told(
        question=shaped.question,
        chunks=chunks,
        facts=_masked(units, chunks, {*_HIDDEN, Kind.WRONG}),
        notable=_masked(units, chunks, _HIDDEN),
        fact_chunk={units[i].fact: chunk_of[i] for i in given},
        limit=limit,
        is_missing=shaped.is_missing,
    )


def _chunks(draft: Draft, units: Sequence[Unit], options: argparse.Namespace) -> tuple[str, ...]:
    if draft.is_cut or (options.chunk == "sentence" and draft.is_sentences):
        return _joined_blanks([unit.text for unit in units])
    if options.chunk == cutting.SOURCE:
        merged: list[str] = []
        sections: list[int] = []
        for unit in units:
            if sections and sections[-1] == unit.section:
                merged[-1] += unit.text
            else:
                merged.append(unit.text)
                sections.append(unit.section)
        return _joined_blanks(merged)
    text = "".join(unit.text for unit in units)
    return cutting.cut(text, options.chunk, options.tokenizer)


def _joined_blanks(texts: Sequence[str]) -> tuple[str, ...]:
    """A blank text belongs to the one that follows, at the end to the last one."""
    pieces: list[str] = []
    for text in texts:
        if pieces and (not pieces[-1].strip() or not text.strip()):
            pieces[-1] += text
        else:
            pieces.append(text)
    return tuple(pieces)


def _masked(units: Sequence[Unit], chunks: tuple[str, ...], hidden: set[Kind]) -> tuple[str, ...]:
    """The chunks with what some units say blanked out, the introduction of a correction included."""
    if not any(unit.kind in hidden or unit.lead for unit in units):
        return chunks
    seen = "".join(
        " " * len(unit.text) if unit.kind in hidden else " " * unit.lead + unit.text[unit.lead :]
        for unit in units
    )
    ends = [0, *accumulate(map(len, chunks))]
    return tuple(seen[start:end] for start, end in pairwise(ends))


def _arrivals(draft: Draft, shaped: Shaped, chunks: Sequence[str]) -> tuple[float, ...] | None:
    """When each chunk had been said: as recorded, in between in step with the characters; None once text was moved."""
    if not draft.arrival_seconds or shaped.applied:
        return None
    ends = list(accumulate(len(unit) for unit in draft.units))
    times = []
    for end in accumulate(map(len, chunks)):
        unit = bisect_left(ends, end)
        if unit == len(ends):  # the question, read out behind the last unit
            extra = "".join(chunks)[ends[-1] : end]
            pace = 60.0 / Clock().words_per_minute
            times.append(draft.arrival_seconds[-1] + len(extra.split()) * pace)
            continue
        before = draft.arrival_seconds[unit - 1] if unit else 0.0
        length = len(draft.units[unit])
        part = 1 - (ends[unit] - end) / length if length else 1.0
        times.append(before + part * (draft.arrival_seconds[unit] - before))
    return tuple(round(time, 3) for time in times)
