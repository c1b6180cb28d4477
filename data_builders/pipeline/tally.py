"""Everything that a build counts in its one pass over the rows: groups, statistics, rejected rows and traces.

    tally = Tally()
    tally.add(episode)          # False for an id that occurred before
    tally.reject(Rejected("gsm8k.jsonl:12", "bad_gold", "..."))

An episode leaves its id and its group here, and no text: about 200 bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from adasr_trl.core.clock import Clock, arrivals
from adasr_trl.core.episode import Episode, Source
from data_builders.rows.row import UNSPLIT, Rejected
from data_builders.text.residue import residue_in

CLOCK = Clock()
MOST_LISTED = 1000  # rejected rows that a manifest names; all are counted


@dataclass
class Statistics:
    """Sums and maxima over all episodes of a build."""

    episodes: int = 0
    traced: int = 0  # with a trace
    thoughts: int = 0  # skips included
    skips: int = 0
    chunks: int = 0
    most_chunks: int = 0
    single: int = 0  # with one chunk
    seconds: float = 0.0  # until the last chunk has arrived
    most_seconds: float = 0.0
    answer_types: Counter[str] = field(default_factory=Counter)
    residue: Counter[str] = field(default_factory=Counter)  # texts with markup and the like

    def add(self, episode: Episode) -> None:
        """Add one episode."""
        chunks, seconds = len(episode.chunks), round(arrivals(episode, CLOCK)[-1], 3)
        self.episodes += 1
        self.chunks += chunks
        self.single += chunks == 1
        self.most_chunks = max(self.most_chunks, chunks)
        self.seconds += seconds
        self.most_seconds = max(self.most_seconds, seconds)
        self.answer_types[episode.answer_type.value] += 1
        if kind := residue_in(f"{episode.question}\n{episode.text}"):
            self.residue[kind] += 1
        if episode.thoughts is not None:
            self.traced += 1
            self.thoughts += len(episode.thoughts)
            self.skips += sum(not thought for thought in episode.thoughts)

    def describe(self) -> dict[str, Any]:
        """The manifest's statistics; there is at least one episode."""
        count = self.episodes
        return {
            "trace_share": round(self.traced / count, 4),
            "skip_share": round(self.skips / self.thoughts, 4) if self.thoughts else None,
            "chunks": {
                "mean": round(self.chunks / count, 2),
                "max": self.most_chunks,
                "one_chunk_share": round(self.single / count, 4),
            },
            "stream_seconds": {
                "mean": round(self.seconds / count, 2),
                "max": round(self.most_seconds, 2),
            },
            "words_per_minute": CLOCK.words_per_minute,
            "answer_types": dict(sorted(self.answer_types.items())),
            **({"residue": dict(sorted(self.residue.items()))} if self.residue else {}),
        }


@dataclass
class Tally:
    """Counts of a build."""

    statistics: Statistics = field(default_factory=Statistics)  # over the episodes
    counts: Counter[str] = field(default_factory=Counter)  # counts of the sources, by name
    reasons: Counter[str] = field(default_factory=Counter)  # rejected rows by reason
    trace_reasons: Counter[str] = field(default_factory=Counter)  # rejected traces by reason
    listed: list[Rejected] = field(default_factory=list)  # the first rejected rows
    source: Source | None = None  # of the first episode
    groups: list[str] = field(default_factory=list)  # group of each episode, in order
    sizes: Counter[str] = field(default_factory=Counter)  # of each group whose split is open
    fixed: dict[str, set[str]] = field(default_factory=dict)  # groups of each split set by a source
    _ids: set[str] = field(default_factory=set)

    def add(self, episode: Episode) -> bool:
        """Add an episode; an id that occurred before is a rejected row instead, and False."""
        if episode.id in self._ids:
            detail = f"the id {episode.id!r} occurs twice"
            self.reject(Rejected(f"id {episode.id}", "duplicate_id", detail))
            return False
        source = episode.source
        self._ids.add(episode.id)
        self.source = self.source or source
        self.groups.append(episode.group)
        if source.split == UNSPLIT:
            self.sizes[episode.group] += 1
        else:
            self.fixed.setdefault(source.split, set()).add(episode.group)
        self.statistics.add(episode)
        return True

    def reject(self, row: Rejected) -> None:
        """Count a row that cannot be used."""
        self.reasons[row.reason] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(row)

    def describe(self) -> dict[str, Any]:
        """The tally as the manifest shows it."""
        source = vars(self.source) if self.source else {}
        return {
            "source": {name: source.get(name, "") for name in ("name", "revision", "licence")},
            "rejected": {
                "total": sum(self.reasons.values()),
                "by_reason": dict(sorted(self.reasons.items())),
                "rows": [vars(row) for row in self.listed],
            },
            "rejected_traces": dict(sorted(self.trace_reasons.items())),
            "counts": dict(sorted(self.counts.items())),
            "statistics": self.statistics.describe() | {"groups": len(set(self.groups))},
        }
