"""Many outcomes as numbers: one summary a row of a table, and paired differences of two rows.

    >>> summarise_seeds([outcomes]).accuracy
    Interval(mean=0.5, low=0.150..., high=0.849...)
    >>> PairedDifference(values_by_seed(sft), values_by_seed(hrpo)).points
    Interval(mean=4.1, low=0.3, high=8.3)

Every rollout counts, wrong and unfinished ones included. ``Runs`` are rollouts of the same questions in the same order:
one list a training seed, or one a sample of the same model. The interval of one run's accuracy is Wilson's; several
seeds are drawn together with the questions, several samples are averaged for each question.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TypeAlias

from adasr_trl.config.eval_section import OWN_CLOCK
from adasr_trl.core.protocol import Ending
from adasr_trl.evaluation.intervals import (
    Estimate,
    Interval,
    McNemar,
    bounded_bootstrap,
    clustered_bootstrap,
    clustered_ratio,
    mcnemar,
    percentile,
    wilson_interval,
)
from adasr_trl.evaluation.outcome import Latencies, Outcome

Runs = Sequence[Sequence[Outcome]]
Values: TypeAlias = "tuple[array[float], ...]"  # (S, Q): S seeds or samples, Q questions
MEASURES = ("right", "total_tokens", "answer_latency_seconds")


@dataclass(frozen=True)
class Distribution:
    """The mean, the median and the 95th percentile, in seconds."""

    mean: float
    median: float
    p95: float


@dataclass(frozen=True)
class LatencySummary:
    """Means by one clock, or distributions; fields as in ``outcome.Latencies``. None: not measured."""

    backlog_seconds: float
    first_seconds: Distribution | None
    answer_latency_seconds: Distribution
    end_seconds: Distribution
    overlap: float
    discarded_tokens: float
    lagging_seconds: float | None
    adaptive_lagging_seconds: float | None


@dataclass(frozen=True)
class Summary:
    """One row of a table."""

    questions: int  # number of questions
    samples: int  # rollouts of each, by one model or by those of several seeds
    accuracy: Interval  # share of right rollouts, with its 95 % interval
    accuracies: tuple[float, ...]  # the share of each seed or sample
    pass_at: Mapping[int, float]  # chance that one of k samples is right; empty for one sample
    streaming_tokens: float  # mean sampled tokens of the thoughts
    deep_tokens: float  # mean sampled tokens of the deep part
    total_tokens: float  # the sum of both
    skip_rate: float | None  # mean share of skips in a rollout's choices; None without any
    skip_precision: float | None  # share of the skips that the trace makes too; None without
    skip_recall: float | None  # share of the trace's skips that the model made too
    answered: float  # share of rollouts that ended in an answer
    out_of_tokens: float  # share that was cut off
    malformed: float  # share that broke the grammar
    lagging_words: float | None  # mean AL in words
    adaptive_lagging_words: float | None  # mean LAAL in words, of rollouts on episodes with a trace
    clocks: Mapping[str, LatencySummary]  # by each clock

    @property
    def latency(self) -> LatencySummary:
        """By the first clock."""
        return next(iter(self.clocks.values()))

    def by(self, clock: str) -> Summary:
        """The same by one clock alone."""
        return dataclasses.replace(self, clocks={clock: self.clocks[clock]})


def summarise_seeds(seeds: Runs) -> Summary:
    """Summary of one model, or of those of several training seeds, by their own clock."""
    rights = _by_run(seeds, "right")
    accuracy = bounded_bootstrap(rights, 0.0, 1.0) if len(seeds) > 1 else _wilson(seeds[0])
    return _summarise(seeds, accuracy, (OWN_CLOCK,))


def summarise_samples(samples: Runs, clocks: Sequence[str], resamples: int) -> Summary:
    """Summary of one model that answered each question several times.

    Args:
        samples: The rollouts of each sample.
        clocks: Names of the clocks, in the order of ``Outcome.latencies``.
        resamples: Of the accuracy's interval, where there are several samples.
    """
    if len(samples) == 1:
        return _summarise(samples, _wilson(samples[0]), clocks)
    rights = _by_question(samples, "right")
    accuracy = bounded_bootstrap(rights, 0.0, 1.0, resamples=resamples)
    return _summarise(samples, accuracy, clocks)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of k samples is right, without bias, from n samples of which c are right.

    Chen et al. 2021 (arXiv 2107.03374), equation 1: 1 - C(n - c, k) / C(n, k).
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(
            f"got {c} right of {n} samples and k = {k}; expected 0 <= c <= n, 1 <= k <= n."
        )
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


@dataclass(frozen=True)
class QuestionValues:
    """What a paired difference needs of a row."""

    measures: Mapping[str, Values]  # by the name of an outcome's attribute (S, Q)
    verdicts: array[int]  # whether single rollouts were right, for won and lost (N)


def values_by_seed(seeds: Runs) -> QuestionValues:
    """Values of each seed and question; won and lost are of all of them."""
    verdicts = array("b", (outcome.right for run in seeds for outcome in run))
    return QuestionValues({name: _by_run(seeds, name) for name in MEASURES}, verdicts)


def values_by_question(samples: Runs) -> QuestionValues:
    """Means of each question over its samples; McNemar's test is of the first sample."""
    verdicts = array("b", (outcome.right for outcome in samples[0]))
    return QuestionValues({name: _by_question(samples, name) for name in MEASURES}, verdicts)


@dataclass(frozen=True)
class PairedDifference:
    """The second row minus the first on the same questions, each with its 95 % interval where there is one; computed when asked for."""

    first: QuestionValues
    second: QuestionValues
    resamples: int = 10_000

    @property
    def turned(self) -> PairedDifference:
        """The first row minus the second."""
        return PairedDifference(self.second, self.first, self.resamples)

    @cached_property
    def points(self) -> Interval:
        """Accuracy, in percentage points."""
        gains = self._gains("right")
        return bounded_bootstrap(gains, -1.0, 1.0, resamples=self.resamples).scaled(100)

    @cached_property
    def tokens(self) -> Estimate:
        """Sampled tokens."""
        return self._interval("total_tokens")

    @cached_property
    def tokens_percent(self) -> Estimate | None:
        """Sampled tokens, in percent of the first row's mean, which is resampled with them; None where that is 0."""
        gains, first = self._gains("total_tokens"), self.first.measures["total_tokens"]
        ratio = clustered_ratio(gains, first, resamples=self.resamples)
        return ratio and ratio.scaled(100)

    @cached_property
    def answer_latency_seconds(self) -> Estimate:
        """The answer latency by the first clock."""
        return self._interval("answer_latency_seconds")

    @cached_property
    def mcnemar(self) -> McNemar:
        """n01 the second row alone got right, n10 the first alone."""
        return mcnemar(list(map(bool, self.first.verdicts)), list(map(bool, self.second.verdicts)))

    @property
    def p_value(self) -> float | None:
        """McNemar's; None with several seeds, whose answers to one question are not independent."""
        return self.mcnemar.p if len(self.first.measures["right"]) == 1 else None

    def _interval(self, name: str) -> Estimate:
        return clustered_bootstrap(self._gains(name), resamples=self.resamples)

    def _gains(self, name: str) -> list[list[float]]:
        pairs = zip(self.first.measures[name], self.second.measures[name], strict=True)
        return [[b - a for a, b in zip(*rows, strict=True)] for rows in pairs]


def _by_run(runs: Runs, name: str) -> Values:
    return tuple(array("d", map(attrgetter(name), run)) for run in runs)


def _by_question(runs: Runs, name: str) -> Values:
    values = zip(*(map(attrgetter(name), run) for run in runs), strict=True)
    return (array("d", (sum(same) / len(runs) for same in values)),)


def _wilson(run: Sequence[Outcome]) -> Interval:
    if not run:
        raise ValueError("got no outcome to summarise; evaluate at least one episode.")
    right, n = sum(outcome.right for outcome in run), len(run)
    return Interval(right / n, *wilson_interval(right, n))


def _summarise(runs: Runs, accuracy: Interval, clocks: Sequence[str]) -> Summary:
    outcomes = [outcome for run in runs for outcome in run]
    choices = [outcome.skips for outcome in outcomes if outcome.skips]
    traced = [pair for x in outcomes for pair in zip(x.skips, x.trace_skips, strict=False)]
    skipped, skippable = (sum(skips) for skips in zip(*traced, strict=True)) if traced else (0, 0)
    rightly = sum(own and trace for own, trace in traced)
    endings = [outcome.ending for outcome in outcomes]
    return Summary(
        questions=len(runs[0]),
        samples=len(runs),
        accuracy=accuracy,
        accuracies=tuple(_mean(outcome.right for outcome in run) for run in runs),
        pass_at=_pass_at(runs),
        streaming_tokens=_mean(outcome.streaming_tokens for outcome in outcomes),
        deep_tokens=_mean(outcome.deep_tokens for outcome in outcomes),
        total_tokens=_mean(outcome.total_tokens for outcome in outcomes),
        skip_rate=_known_mean(sum(skips) / len(skips) for skips in choices),
        skip_precision=rightly / skipped if skipped else None,
        skip_recall=rightly / skippable if skippable else None,
        answered=endings.count(Ending.ANSWERED) / len(endings),
        out_of_tokens=endings.count(Ending.OUT_OF_TOKENS) / len(endings),
        malformed=endings.count(Ending.MALFORMED) / len(endings),
        lagging_words=_known_mean(outcome.lagging for outcome in outcomes),
        adaptive_lagging_words=_known_mean(outcome.adaptive_lagging for outcome in outcomes),
        clocks={
            name: _latency([outcome.latencies[n] for outcome in outcomes])
            for n, name in enumerate(clocks)
        },
    )


def _pass_at(runs: Runs) -> dict[int, float]:
    """For k = 1, 2, 4 ... and all of them."""
    n = len(runs)
    if n == 1:
        return {}
    ks = sorted({*(2**i for i in range(n.bit_length()) if 2**i <= n), n})
    right = [sum(outcome.right for outcome in same) for same in zip(*runs, strict=True)]
    return {k: _mean(pass_at_k(n, c, k) for c in right) for k in ks}


def _latency(latencies: Sequence[Latencies]) -> LatencySummary:
    first = [x.first_seconds for x in latencies if x.first_seconds is not None]
    is_known = len(first) == len(latencies)  # older records do not tell it
    return LatencySummary(
        backlog_seconds=_mean(x.backlog_seconds for x in latencies),
        first_seconds=_distribution(first) if is_known else None,
        answer_latency_seconds=_distribution([x.answer_latency_seconds for x in latencies]),
        end_seconds=_distribution([x.end_seconds for x in latencies]),
        overlap=_mean(x.overlap for x in latencies),
        discarded_tokens=_mean(x.discarded_tokens for x in latencies),
        lagging_seconds=_known_mean(x.lagging for x in latencies),
        adaptive_lagging_seconds=_known_mean(x.adaptive_lagging for x in latencies),
    )


def _distribution(seconds: Sequence[float]) -> Distribution:
    return Distribution(_mean(seconds), statistics.median(seconds), percentile(seconds, 95))


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def _known_mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
