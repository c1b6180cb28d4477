"""Accuracy lost when a fact is corrected late, from records on stories with and without the correction.

    >>> methods = gather(["runs/tiny"], Wanted(name="corrections"))
    >>> print(markdown_of(losses(methods)))

The questions are those of ``adasr data ledger --correction-delay K``: versions of one story share their group and are told
apart by a tag. Each difference is paired by story. ``data_builders.sources.ledger_corrections`` describes the protocol.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.errors import UserError
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.clocks import PacedClock
from adasr_trl.evaluation.intervals import Estimate, Interval, bounded_bootstrap, clustered_ratio
from adasr_trl.evaluation.outcome import Judge, Outcome
from adasr_trl.evaluation.records import load_rollouts
from adasr_trl.evaluation.summary import Summary, summarise_seeds
from adasr_trl.evaluation.tables import Column, table
from adasr_trl.report.gathering import RESAMPLES, Method

TITLE = "# Accuracy lost to late corrections"  # it tells the page from other files
_TAG = re.compile(r"delay (none|\d+)$")

ByDelay = Mapping[int | None, Mapping[str, Outcome]]
"""Outcomes of one run by delay (None: no correction), then by story."""


@dataclass(frozen=True)
class Loss:
    """One method at one delay; differences are paired by story, with 95 % intervals."""

    method: str
    delay: int | None  # sentences between the fact and its correction; None: no correction
    summary: Summary
    points: Interval | None = None  # accuracy lost against no correction, in points
    share: Estimate | None = None  # the same as a share of that accuracy
    left_out: int = 0  # questions of a run that are no version of a story with all of its versions


COLUMNS = (
    Column[Loss]("accuracy", lambda x: x.summary.accuracy, ".3f"),
    Column[Loss]("accuracy lost, points", lambda x: x.points, "+.1f"),
    Column[Loss]("share lost", lambda x: x.share, "+.2f"),
    Column[Loss]("total tokens", lambda x: x.summary.total_tokens, ".1f"),
    Column[Loss]("answer latency, s", lambda x: columns.LATENCY.value(x.summary), ".2f"),
)


def losses(methods: Sequence[Method]) -> list[Loss]:
    """Every method without a correction, then at each delay.

    Raises:
        UserError: The questions have no versions of one story.
    """
    return [loss for method in methods for loss in _losses(method)]


def _losses(method: Method) -> Iterator[Loss]:
    judged = [_by_delay(run, method) for run in method.runs]
    runs, asked = [by_delay for by_delay, _ in judged], judged[0][1]
    delays = sorted(delay for delay in runs[0] if delay is not None)
    stories = [name for name in runs[0].get(None, {}) if all(name in runs[0][d] for d in delays)]
    if not delays or not stories:
        raise UserError(
            f"{method.runs[0] / method.folder}: holds no story both without and with a correction; evaluate on the test file "
            f"of adasr data ledger --correction-delay K."
        )
    plain = [[run[None][name] for name in stories] for run in runs]
    left_out = asked - len(stories) * (1 + len(delays))
    yield Loss(method.name, None, summarise_seeds(plain), left_out=left_out)
    right = [[float(outcome.right) for outcome in run] for run in plain]
    for delay in delays:
        corrected = [[run[delay][name] for name in stories] for run in runs]
        lost = [
            [before - after.right for before, after in zip(*pair, strict=True)]
            for pair in zip(right, corrected, strict=True)
        ]
        points = bounded_bootstrap(lost, -1.0, 1.0, resamples=RESAMPLES).scaled(100)
        share = clustered_ratio(lost, right, resamples=RESAMPLES)
        yield Loss(method.name, delay, summarise_seeds(corrected), points, share, left_out)


def _by_delay(run: Path, method: Method) -> tuple[ByDelay, int]:
    """The outcomes of a run, and the number of its questions, those of no story included."""
    judge = Judge([PacedClock(load_streaming(run).clock)])
    outcomes: dict[int | None, dict[str, Outcome]] = defaultdict(dict)
    asked = 0
    for rollout, episode in load_rollouts(run / method.folder, method.setting):
        asked += 1
        for tag in filter(None, map(_TAG.match, episode.tags)):
            delay = None if tag[1] == "none" else int(tag[1])
            if episode.group in outcomes[delay]:
                raise UserError(
                    f"{run / method.folder}: story {episode.group!r} was asked twice with the tag {tag[0]!r}; evaluate on a test "
                    f"file that has each version of a story once."
                )
            outcomes[delay][episode.group] = judge(rollout, episode, method.setting.mode)
    return dict(outcomes), asked


def markdown_of(rows: Sequence[Loss]) -> str:
    """The page: a table of all methods and delays."""
    stories, left_out = rows[0].summary.questions, rows[0].left_out
    lines = [
        TITLE,
        f"{stories} stories, each told with the right number and with a wrong one, which a later sentence corrects. "
        "Differences against no correction are paired by story; 95 % intervals. Latencies count from the last chunk's arrival "
        "by each run's own token rates.",
        *(
            [f"Left out: {left_out} questions, of stories without all of these versions."]
            if left_out
            else []
        ),
        table(
            ("method", "sentences until corrected"),
            [((row.method, _delay(row)), row) for row in rows],
            COLUMNS,
        ).markdown(),
    ]
    return "\n\n".join(lines) + "\n"


def _delay(row: Loss) -> str:
    return "never wrong" if row.delay is None else str(row.delay)
