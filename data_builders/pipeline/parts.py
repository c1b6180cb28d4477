"""One part of a build: some rows become episodes in a file of their own, with an index and all that is to be counted.

    part = build_part(Job("gsm8k", options, Span(0, 500_000, 1), Path("data/x/.build-ab12/00000")))

Parts are built by several processes, and those that an interrupted build left are taken over: the index is written
last, so a part is whole or absent. Memory is that of one part.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from adasr_trl.core.clock import Clock, arrivals
from adasr_trl.core.episode import Episode, to_json
from adasr_trl.core.protocol import Markers, first_marker
from data_builders.pipeline.assemble import assemble
from data_builders.pipeline.quality import RejectedTrace
from data_builders.rows.outcome import Count, Rejected
from data_builders.rows.span import Span
from data_builders.sources.base import SourceModule, load_source
from data_builders.text.draft import Draft

MOST_LISTED = 200  # rejected rows that a part names; all are counted
CLOCK = Clock()
_MARKERS = Markers()


class Entry(NamedTuple):
    """What the index says of one episode."""

    id: str
    group: str
    split: str
    answer_type: str
    chunks: int
    seconds: float
    thoughts: int
    skips: int
    is_traced: bool


@dataclass(frozen=True)
class Job:
    """Some rows to be built.

    Attributes:
        builder: The source.
        options: As parsed.
        span: Which rows.
        path: Where its files go, without a suffix.
    """

    builder: str
    options: argparse.Namespace
    span: Span
    path: Path

    @property
    def episodes_file(self) -> Path:
        """The episodes, their split still open."""
        return self.path.with_suffix(".jsonl")

    @property
    def traces_file(self) -> Path:
        """The rejected traces."""
        return self.path.with_suffix(".traces.jsonl")

    @property
    def index_file(self) -> Path:
        """Written last."""
        return self.path.with_suffix(".json")


@dataclass
class Part:
    """What some rows became.

    Attributes:
        entries: One an episode, in the order of its file.
        sizes: Bytes of the episodes' file and of the traces' file.
        counts: What sources count.
        reasons: Rejected rows by reason.
        trace_reasons: Rejected traces by reason.
        listed: The first rejected rows.
        source: Name, revision and licence of the first episode's source.
    """

    entries: list[Entry] = field(default_factory=list)
    sizes: tuple[int, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    trace_reasons: Counter[str] = field(default_factory=Counter)
    listed: list[Rejected] = field(default_factory=list)
    source: tuple[str, str, str] | None = None

    def reject(self, fault: Rejected) -> None:
        """Count a row that cannot be used."""
        self.reasons[fault.reason] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(fault)


def build_part(job: Job) -> int:
    """Build a part unless it is there; return its number of episodes."""
    found = read_part(job)
    if found is not None:
        return len(found.entries)
    source = load_source(job.builder)
    part = Part()
    with (
        job.episodes_file.open("w", encoding="utf-8", newline="\n") as episodes,
        job.traces_file.open("w", encoding="utf-8", newline="\n") as traces,
    ):
        for row in source.open_rows(job.options).read(job.span):
            for item in _items(source, row, job.options):
                _take(item, part, episodes, traces, keep_untraced=job.options.keep_untraced)
    part.sizes = tuple(path.stat().st_size for path in (job.episodes_file, job.traces_file))
    partial = job.path.with_suffix(".partial")
    kept = vars(part) | {"listed": [asdict(row) for row in part.listed]}
    partial.write_text(json.dumps(kept), encoding="utf-8")
    partial.replace(job.index_file)
    return len(part.entries)


def read_part(job: Job) -> Part | None:
    """A part that was built before; None where it is not there, or not whole."""
    try:
        kept: dict[str, Any] = json.loads(job.index_file.read_text(encoding="utf-8"))
        sizes = tuple(path.stat().st_size for path in (job.episodes_file, job.traces_file))
    except (FileNotFoundError, ValueError):
        return None
    if tuple(kept["sizes"]) != sizes:
        return None
    return Part(
        entries=[Entry(*entry) for entry in kept["entries"]],
        sizes=sizes,
        counts=Counter(kept["counts"]),
        reasons=Counter(kept["reasons"]),
        trace_reasons=Counter(kept["trace_reasons"]),
        listed=[Rejected(**row) for row in kept["listed"]],
        source=None if kept["source"] is None else tuple(kept["source"]),
    )


Item = Episode | Rejected | RejectedTrace | Count


def _items(source: SourceModule, row: Any, options: argparse.Namespace) -> Iterator[Item]:
    for item in source.build_row(row, options):
        if isinstance(item, Draft):
            yield from assemble(item, options)
        else:
            yield item


def _take(item: Item, part: Part, episodes: TextIO, traces: TextIO, *, keep_untraced: bool) -> None:
    if isinstance(item, Count):
        part.counts[item.name] += item.by
    elif isinstance(item, Rejected):
        part.reject(item)
    elif isinstance(item, RejectedTrace):
        part.trace_reasons[item.reason] += 1
        traces.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")
        if not keep_untraced:
            part.reject(Rejected(f"id {item.id}", item.reason, item.detail))
    elif fault := _fault(item):
        part.reject(fault)
    else:
        entry = item.source
        part.source = part.source or (entry.name, entry.revision, entry.licence)
        part.entries.append(_entry(item))
        episodes.write(to_json(item) + "\n")


def _fault(episode: Episode) -> Rejected | None:
    """A marker in what the model is to write: ``quality`` looks at traces of drafts, this at all."""
    written = "\n".join((*(episode.thoughts or ()), episode.deep or "", episode.answer))
    if found := first_marker(written, _MARKERS):
        detail = f"the trace holds the marker {found[0]!r}, which only the protocol may write"
        return Rejected(f"id {episode.id}", "marker_in_trace", detail)
    return None


def _entry(episode: Episode) -> Entry:
    thoughts = episode.thoughts or ()
    return Entry(
        id=episode.id,
        group=episode.group,
        split=episode.source.split,
        answer_type=episode.answer_type.value,
        chunks=len(episode.chunks),
        seconds=round(arrivals(episode, CLOCK)[-1], 3),
        thoughts=len(thoughts),
        skips=sum(not thought for thought in thoughts),
        is_traced=episode.thoughts is not None,
    )
