"""From a draft to an episode: shape the text, cut it into chunks, trace it, check the trace.

    for item in assemble(draft, options): ...   # an Episode, a Rejected or a RejectedTrace, and Counts

A gold answer that cannot be compared rejects the row. A trace that fails the quality control (``quality``) is kept apart
with its reason; its episode is kept without one under ``--keep-untraced``.
"""

from __future__ import annotations

import argparse
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby, pairwise

from adasr_trl.core.answers import AnswerError, check_gold
from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, Episode, EpisodeError
from data_builders.pipeline.quality import RejectedTrace, bounds_of, fault_of, marker_fault
from data_builders.rows.row import Count, Rejected
from data_builders.text import cut as cutting
from data_builders.text.draft import Draft, SourceItem, StreamedText, Trace, Unit, UnitKind
from data_builders.text.shape import QUESTION_AHEAD, UNKNOWN, Shaped, shape

Item = Episode | Rejected | RejectedTrace | Count

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}")  # always a valid gold; check_gold is slower
_REDUNDANT = {UnitKind.DISTRACTOR, UnitKind.REPEAT}


def assemble(given: SourceItem, options: argparse.Namespace) -> Iterator[Item]:
    """Final items of one item of a source: drafts become episodes, all else is checked or passed on."""
    items: Iterable[Item]
    items = _assemble_draft(given, options) if isinstance(given, Draft) else (given,)
    for item in items:
        if isinstance(item, Episode):  # the answer must hold no marker either
            written = (*(item.thoughts or ()), item.deep or "", item.answer)
            if fault := marker_fault(written):
                item = Rejected(f"id {item.id}", *fault)
        yield item


def _assemble_draft(draft: Draft, options: argparse.Namespace) -> Iterator[Item]:
    if not any(unit.strip() for unit in draft.units):
        yield Rejected(draft.where, "no_chunks", "there is no text to stream")
        return
    shaped = shape(draft, options)
    if shaped.is_missing:
        draft = replace(draft, answer=UNKNOWN, answer_type=AnswerType.CHOICE)
    fault = None
    try:
        _check_gold(draft)
        text = _streamed_text(draft, shaped, options)
        trace = draft.tracer(text) if draft.tracer else None
        if trace:
            bounds, source = bounds_of(options), draft.source.name
            fault = fault_of(text.question, text.chunks, trace.thoughts, trace.deep, bounds, source)
        good_trace = None if fault else trace
        episode = _episode(draft, shaped, text, good_trace)
    except (AnswerError, EpisodeError) as error:
        reason = "bad_gold" if isinstance(error, AnswerError) else "invalid"
        yield Rejected(draft.where, reason, str(error))
        return
    if not fault or options.keep_untraced:
        yield episode
    if trace and fault:
        yield RejectedTrace(draft.key, *fault, trace.thoughts, trace.deep)
        if not options.keep_untraced:
            yield Rejected(f"id {draft.key}", *fault)
    if good_trace:
        yield from (Count(name, by) for name, by in good_trace.counts.items() if by)
    yield from (Count(name) for name in shaped.applied)
    if shaped.question == QUESTION_AHEAD:
        yield Count("no_sentence_of_its_own_asks")


def _check_gold(draft: Draft) -> None:
    """An AnswerError for a gold answer that cannot be compared."""
    answer, is_number = draft.answer.strip(), draft.answer_type is AnswerType.NUMBER
    if not (is_number and _PLAIN_NUMBER.fullmatch(answer)):
        check_gold(answer, draft.answer_type)


def _episode(draft: Draft, shaped: Shaped, text: StreamedText, trace: Trace | None) -> Episode:
    return Episode(
        id=draft.key,
        group=draft.group,
        question=text.question,
        chunks=text.chunks,
        answer=draft.answer.strip(),
        answer_type=draft.answer_type,
        source=draft.source,
        arrival_seconds=_arrivals(draft, shaped, text.chunks),
        thoughts=trace.thoughts if trace else None,
        deep=trace.deep if trace else None,
        tags=(*draft.tags, *shaped.applied),
    )


def _streamed_text(draft: Draft, shaped: Shaped, options: argparse.Namespace) -> StreamedText:
    units = shaped.units
    chunks = _chunks(draft, units, options)
    ends = list(accumulate(map(len, chunks)))  # in characters of the joined text
    unit_ends = list(accumulate(len(unit.text) for unit in units))
    last = len(chunks) - 1  # a blank end of the text belongs to the last chunk
    limit = len(chunks)
    if options.question != "first":
        limit = last
        if units[-1].kind is UnitKind.QUESTION:  # it may be several chunks, or begin inside one
            limit = bisect_left(ends, unit_ends[-1] - len(units[-1].text) + 1)
    unit_chunks = [min(bisect_left(ends, end), last) for end in unit_ends]
    return StreamedText(
        question=shaped.question,
        chunks=chunks,
        facts=_masked(units, chunks, {*_REDUNDANT, UnitKind.WRONG}),
        notable=_masked(units, chunks, _REDUNDANT),
        fact_chunk={
            unit.fact: chunk
            for unit, chunk in zip(units, unit_chunks, strict=True)
            if unit.fact >= 0
        },
        mistold={
            unit.mistold[0]: (chunk, unit.mistold[1])
            for unit, chunk in zip(units, unit_chunks, strict=True)
            if unit.mistold
        },
        limit=limit,
        is_missing=shaped.is_missing,
    )


def _chunks(draft: Draft, units: Sequence[Unit], options: argparse.Namespace) -> tuple[str, ...]:
    if draft.is_cut or (options.chunk == "sentence" and draft.is_sentences):
        return cutting.without_blanks(unit.text for unit in units)
    if options.chunk == cutting.SOURCE:
        sections = groupby(units, key=lambda unit: unit.section)
        return cutting.without_blanks("".join(unit.text for unit in group) for _, group in sections)
    runs = [""]  # texts whose ends end a chunk
    for index, unit in enumerate(units):
        runs[-1] += unit.text
        if (
            options.chunk == "sentence"
            and len(draft.ends_chunk) == len(units)
            and draft.ends_chunk[index]
        ):
            runs.append("")
    cuts = (cutting.cut(run, options.chunk, options.tokenizer) for run in runs)
    return cutting.without_blanks(chunk for chunks in cuts for chunk in chunks)


def _masked(
    units: Sequence[Unit], chunks: tuple[str, ...], hidden: set[UnitKind]
) -> tuple[str, ...]:
    """The chunks with hidden units, and the lead-ins of corrections, as spaces."""
    if not any(unit.kind in hidden or unit.lead for unit in units):
        return chunks
    # Spaces of the same length: the chunks' ends stay valid.
    visible = "".join(
        " " * len(unit.text) if unit.kind in hidden else " " * unit.lead + unit.text[unit.lead :]
        for unit in units
    )
    ends = [0, *accumulate(map(len, chunks))]
    return tuple(visible[start:end] for start, end in pairwise(ends))


def _arrivals(draft: Draft, shaped: Shaped, chunks: Sequence[str]) -> tuple[float, ...] | None:
    """Arrival times in seconds, linear in the characters between recorded ones; None once shaping moved text."""
    if not draft.arrival_seconds or shaped.applied:
        return None
    ends = list(accumulate(map(len, draft.units)))
    times = []
    for end in accumulate(map(len, chunks)):
        unit = bisect_left(ends, end)
        if unit == len(ends):  # the question, read out behind the last unit
            question = "".join(chunks)[ends[-1] : end]
            pace = 60.0 / Clock().words_per_minute
            times.append(draft.arrival_seconds[-1] + len(question.split()) * pace)
            continue
        before = draft.arrival_seconds[unit - 1] if unit else 0.0
        length = len(draft.units[unit])
        share = 1 - (ends[unit] - end) / length if length else 1.0
        times.append(before + share * (draft.arrival_seconds[unit] - before))
    return tuple(round(time, 3) for time in times)
