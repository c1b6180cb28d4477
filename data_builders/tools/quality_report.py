"""The quality report of a build: ``adasr data inspect DIR``.

    data/gsm8k: 1,803 episodes in train.jsonl, 197 in test.jsonl
    skip share      0.16
    leakage         no group and 0 near-duplicates shared by train and test
    future facts    0 of 2,000 traces state a fact before it is read

All numbers are counted from the files, not read from the manifest. Episodes are read one by one: memory holds a few
numbers of each and the index of the test texts.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adasr_trl.core.answers import AnswerError, check_gold
from adasr_trl.core.clock import arrivals
from adasr_trl.core.episode import Episode, read_episodes
from data_builders.pipeline.exact_checks import early_facts
from data_builders.pipeline.manifest import built_files
from data_builders.pipeline.tally import CLOCK, Statistics
from data_builders.rows.options import add_number, path_of
from data_builders.sources.split import SPLITS
from data_builders.tools.near import NearIndex

NEAR = 0.8  # share of a test text's runs from which on it counts as a near-duplicate


@dataclass
class QualityReport:
    """Counts of a build."""

    sizes: dict[str, int] = field(default_factory=dict)  # episodes of each file
    seconds: list[float] = field(default_factory=list)  # stream seconds of every episode
    chunks: list[int] = field(default_factory=list)  # chunks of every episode
    statistics: Statistics = field(default_factory=Statistics)  # over the episodes
    # Episodes whose gold answer cannot be compared.
    unparsed: list[str] = field(default_factory=list)
    tags: Counter[str] = field(default_factory=Counter)  # episodes with each tag
    # Episodes by name, revision and licence.
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    shared_groups: set[str] = field(default_factory=set)  # groups in both files
    # Test episode, training episode and shared part of near-duplicates.
    near: list[tuple[str, str, float]] = field(default_factory=list)
    # Episode and fact of every trace with a fact from the future.
    early: list[tuple[str, str]] = field(default_factory=list)
    sample: list[Episode] = field(default_factory=list)  # episodes drawn to be shown

    def add(self, episode: Episode) -> None:
        """Count one episode."""
        self.seconds.append(arrivals(episode, CLOCK)[-1])
        self.chunks.append(len(episode.chunks))
        self.statistics.add(episode)
        self.tags.update(episode.tags)
        source = episode.source
        self.sources[source.name, source.revision, source.licence] += 1
        try:
            check_gold(episode.answer, episode.answer_type)
        except AnswerError:
            self.unparsed.append(episode.id)
        if episode.thoughts is None:
            return
        early = early_facts(source.name, episode.question, episode.chunks, episode.thoughts)
        if early:
            self.early.append((episode.id, early[0].fact))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The build, and the episodes to show."""
    parser.add_argument("directory", type=path_of, metavar="DIR", help="a build")
    add_number(parser, "episodes", 10, "episodes to show")
    add_number(parser, "seed", 0, "seed of their choice")


def inspect(directory: Path, *, episodes: int = 10, seed: int = 0) -> QualityReport:
    """Count everything in a build, and draw some episodes to be shown."""
    files = built_files(directory)
    report, index = QualityReport(), NearIndex()
    rng = random.Random(seed)
    groups: set[str] = set()
    for split in ("test", "train"):  # training episodes are compared with the test's
        for episode in read_episodes(files[split]) if split in files else ():
            report.sizes[split] = report.sizes.get(split, 0) + 1
            report.add(episode)
            _draw(report.sample, episode, sum(report.sizes.values()), episodes, rng)
            if split == "test":
                groups.add(episode.group)
                index.add(episode.id, f"{episode.question} {episode.text}")
            else:
                _compare(report, episode, groups, index)
    return report


def _draw(sample: list[Episode], episode: Episode, nth: int, size: int, rng: random.Random) -> None:
    """Reservoir sampling: every episode is equally likely to be shown."""
    if len(sample) < size:
        sample.append(episode)
    elif (index := rng.randrange(nth)) < size:
        sample[index] = episode


def _compare(report: QualityReport, episode: Episode, groups: set[str], index: NearIndex) -> None:
    if episode.group in groups:
        report.shared_groups.add(episode.group)
    closest = index.closest(f"{episode.question} {episode.text}")
    if closest and closest[1] >= NEAR:
        report.near.append((closest[0], episode.id, closest[1]))


def render(report: QualityReport, name: str) -> str:
    """The report as text."""
    shown = (line for episode in report.sample for line in _shown(episode))
    return "\n".join([*_counts(report, name), *shown])


def _counts(report: QualityReport, name: str) -> Iterator[str]:
    total, counted = sum(report.sizes.values()), report.statistics
    sizes = ", ".join(f"{report.sizes[s]:,} in {s}.jsonl" for s in SPLITS if s in report.sizes)
    yield f"{name}: {sizes}"
    for (source, revision, licence), count in sorted(report.sources.items()):
        yield f"source          {source} at {revision}, {licence}: {count:,}"
    yield f"stream seconds  {_spread(report.seconds)} at {CLOCK.words_per_minute:g} words a minute"
    yield f"chunks          {_spread(report.chunks)}"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(counted.answer_types.items()))
    yield f"answer types    {kinds}"
    yield f"gold answers    {total - len(report.unparsed):,} of {total:,} parse{_first(report.unparsed)}"
    if report.tags:
        yield "tags            " + ", ".join(f"{t} {n:,}" for t, n in sorted(report.tags.items()))
    if counted.thoughts:
        yield f"traces          {counted.traced:,} of {total:,} episodes"
        yield f"skip share      {counted.skips / counted.thoughts:.2f}"
        early = [f"{key} ({fact})" for key, fact in report.early]
        yield f"future facts    {len(early):,} of {counted.traced:,} traces state a fact before it is read{_first(early)}"
    near = [f"{test} and {train} ({part:.0%})" for test, train, part in report.near]
    groups = sorted(report.shared_groups)
    yield (
        f"leakage         {len(groups) or 'no'} group{'s' * (len(groups) > 1)}{_first(groups)} and {len(near):,} "
        f"near-duplicates shared by train and test{_first(near)}"
    )


def _spread(values: list[float] | list[int]) -> str:
    ranked = sorted(values)
    middle, high = (ranked[int(part * (len(ranked) - 1))] for part in (0.5, 0.95))
    return f"mean {sum(ranked) / len(ranked):.1f}, median {middle:.1f}, 95 % {high:.1f}, most {ranked[-1]:.1f}"


def _first(names: list[str]) -> str:
    return f"; such as {', '.join(names[:3])}" if names else ""


def _shown(episode: Episode) -> Iterator[str]:
    yield f"\n{episode.id} ({', '.join((episode.source.split, *episode.tags))})"
    yield f"question  {episode.question}"
    times = arrivals(episode, CLOCK)
    thoughts = episode.thoughts or (None,) * len(episode.chunks)
    for time, chunk, thought in zip(times, episode.chunks, thoughts, strict=True):
        yield f"{time:7.1f} s {' '.join(chunk.split())}"
        if thought is not None:
            yield f"          > {thought or 'skip'}"
    if episode.deep:
        yield f"deep      {episode.deep}"
    yield f"answer    {episode.answer}"
