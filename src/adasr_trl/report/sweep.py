"""Arrival speed and deep budget swept over recorded rollouts: accuracy, and both latencies, without a model.

    >>> methods = gather(["runs/tiny"], Wanted())
    >>> print(markdown_of(sweep(methods, SPEEDS, (None, 32), codec_of)))

Speed changes no token, so any is read from the same records. A smaller budget of the deep part is exact, too: each token
depends on those before it alone, so a rollout that needs more would have been cut off there. A budget of thoughts is not:
a thought that is cut off changes what follows; ``eval.thought_caps`` rolls out again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.evaluation.clocks import Pace, PacedClock, Times
from adasr_trl.evaluation.intervals import Estimate, Interval, clustered_bootstrap
from adasr_trl.evaluation.outcome import Judge, Outcome
from adasr_trl.evaluation.records import load_rollouts
from adasr_trl.evaluation.summary import summarise_seeds
from adasr_trl.evaluation.tables import Column, table
from adasr_trl.layouts.codec import Codec
from adasr_trl.report.gathering import RESAMPLES, Method

CodecOf = Callable[[Path], Codec | None]

SPEEDS = (75.0, 150.0, 300.0, 600.0, math.inf)  # words a minute; inf: all of the input at once


TITLE = "# Accuracy over latency, by arrival speed and deep budget"  # it tells the page from other files


@dataclass(frozen=True)
class Point:
    """One method at one speed and one budget; means over all rollouts, wrong ones included, with 95 % intervals."""

    method: str
    words_per_minute: float
    deep_budget: int | None  # None: as recorded
    accuracy: Interval
    # From the last chunk's arrival to the answer's first token, the paper's latency; None where the records lack it.
    first_seconds: Estimate | None
    answer_seconds: Estimate  # to the last token of the answer's value
    backlog_seconds: float  # thinking left at the last chunk's arrival
    total_tokens: float  # sampled tokens; of speculation those that the speed leaves time for


POINT_COLUMNS = (
    Column[Point]("accuracy", lambda p: p.accuracy, ".3f"),
    Column[Point]("first answer token, s", lambda p: p.first_seconds, ".2f"),
    Column[Point]("answer latency, s", lambda p: p.answer_seconds, ".2f"),
    Column[Point]("backlog, s", lambda p: p.backlog_seconds, ".2f"),
    Column[Point]("total tokens", lambda p: p.total_tokens, ".1f"),
)


def sweep(
    methods: Sequence[Method],
    speeds: Sequence[float],
    budgets: Sequence[int | None],
    codec_of: CodecOf = lambda _: None,
) -> list[Point]:
    """The points of every method, budget and speed, in this order; ``codec_of`` gives the codec that old records need."""
    return [point for method in methods for point in _points(method, speeds, budgets, codec_of)]


def _points(
    method: Method, speeds: Sequence[float], budgets: Sequence[int | None], codec_of: CodecOf
) -> Iterator[Point]:
    recorded = [list(load_rollouts(run / method.folder, method.setting)) for run in method.runs]
    judges = [
        _judge(run, speeds, codec_of(run) if any(_lacks_place(x) for x, _ in records) else None)
        for run, records in zip(method.runs, recorded, strict=True)
    ]
    for budget in budgets:
        outcomes = [
            [judge(with_deep_budget(x, budget), episode, method.setting.mode) for x, episode in run]
            for judge, run in zip(judges, recorded, strict=True)
        ]
        accuracy = summarise_seeds(outcomes).accuracy
        for n, speed in enumerate(speeds):
            latencies = [[outcome.latencies[n] for outcome in seed] for seed in outcomes]
            first = [[by.first_seconds for by in seed] for seed in latencies]
            yield Point(
                method=method.name,
                words_per_minute=speed,
                deep_budget=budget,
                accuracy=accuracy,
                first_seconds=_mean(first),
                answer_seconds=_known_mean(
                    [[by.answer_latency_seconds for by in seed] for seed in latencies]
                ),
                backlog_seconds=fmean(by.backlog_seconds for seed in latencies for by in seed),
                total_tokens=fmean(_tokens(outcome, n) for seed in outcomes for outcome in seed),
            )


def _lacks_place(rollout: Rollout) -> bool:
    """Whether an old record does not tell where its answer begins; then the run's tokenizer has to."""
    return rollout.answer is not None and rollout.reasoning_tokens is None


def _tokens(outcome: Outcome, clock: int) -> int:
    """Sampled tokens by this clock; ``Outcome.total_tokens`` is by the first one."""
    own, first = (outcome.latencies[n].discarded_tokens for n in (clock, 0))
    return outcome.total_tokens - first + own


def _judge(run: Path, speeds: Sequence[float], codec: Codec | None) -> Judge:
    clock = load_streaming(run).clock
    by_speed = [dataclasses.replace(clock, words_per_minute=speed) for speed in speeds]
    return Judge([PacedClock(each, Pace(Times.WORDS)) for each in by_speed], codec)


def with_deep_budget(rollout: Rollout, budget: int | None) -> Rollout:
    """The rollout that a cap of so many deep tokens would have given, without the deep part's words."""
    if budget is None:
        return rollout
    rollout = dataclasses.replace(
        rollout, discarded=tuple(min(count, budget) for count in rollout.discarded)
    )
    deep = [i for i, phase in enumerate(rollout.phases) if phase is Phase.DEEP]
    if len(deep) <= budget:
        return rollout
    end = deep[budget]
    return dataclasses.replace(
        rollout,
        token_ids=rollout.token_ids[:end],
        phases=rollout.phases[:end],
        chunk_of_token=rollout.chunk_of_token[:end],
        logprobs=rollout.logprobs and rollout.logprobs[:end],
        ending=Ending.OUT_OF_TOKENS,
        deep="",
        answer=None,
        answer_tokens=budget,
        reasoning_tokens=None,
    )


def _mean(runs: Sequence[Sequence[float | None]]) -> Estimate | None:
    """None where a value is not known."""
    known = [[value for value in run if value is not None] for run in runs]
    return _known_mean(known) if list(map(len, known)) == list(map(len, runs)) else None


def _known_mean(runs: Sequence[Sequence[float]]) -> Estimate:
    return clustered_bootstrap(runs, resamples=RESAMPLES)


def markdown_of(points: Sequence[Point]) -> str:
    """The page: a table of all points."""
    names = ("method", "words a minute", "deep budget")
    rows = [((p.method, _speed(p), _budget(p)), p) for p in points]
    lines = [
        TITLE,
        "From recorded rollouts. Means over all rollouts, wrong and unfinished ones included, 95 % intervals. Latencies count "
        "from the last chunk's arrival by each run's own token rates.",
        table(names, rows, POINT_COLUMNS).markdown(),
    ]
    return "\n\n".join(lines) + "\n"


def _speed(point: Point) -> str:
    return "instant" if math.isinf(point.words_per_minute) else f"{point.words_per_minute:g}"


def _budget(point: Point) -> str:
    return "as recorded" if point.deep_budget is None else str(point.deep_budget)
