"""The numbers of one line of the table, from its judged rollouts.

    >>> pass_at_k(n=4, c=1, k=2)
    0.5

Every rollout counts, wrong and unfinished ones included. Where a question was sampled several times, its accuracy is the
mean over its samples, and the interval is of questions (``metrics.paired_bootstrap``); else it is Wilson's.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.core.protocol import Ending
from adasr_trl.evaluation.judging import Judged, Timed
from adasr_trl.evaluation.outcome import Interval, paired_bootstrap, percentile, wilson_interval

Samples = Sequence[Sequence[Judged]]  # the rollouts of each sample, in the same order of questions


@dataclass(frozen=True)
class Waits:
    """The mean, the median and the 95th percentile, in seconds."""

    mean: float
    median: float
    p95: float


@dataclass(frozen=True)
class ByClock:
    """One line by one clock; fields as in ``judging.Timed``, means unless they are ``Waits``."""

    backlog_seconds: float
    first_seconds: Waits
    answer_seconds: Waits
    end_seconds: Waits
    overlap: float
    lagging_seconds: float | None
    adaptive_lagging_seconds: float | None


@dataclass(frozen=True)
class Figures:
    """One line of the table.

    Attributes:
        questions: How many.
        samples: Rollouts of each.
        accuracy: Share of rollouts that were right, with its 95 % interval.
        pass_at: k to the chance that one of k samples is right; empty for a single sample.
        streaming_tokens: Mean sampled tokens of the thoughts.
        deep_tokens: Mean sampled tokens of the deep part.
        total_tokens: The sum of both.
        skip_rate: Mean share of chunks after which the model chose to skip; None where it had no choice.
        skip_precision: Share of the skips that the trace makes too, over all chunks; None without skips or traces.
        skip_recall: Share of the trace's skips that the model made too.
        answered: Share of rollouts that ended in an answer.
        out_of_tokens: Share that was cut off.
        malformed: Share that broke the grammar.
        lagging_words: Mean AL in words.
        adaptive_lagging_words: Mean LAAL in words, of rollouts on episodes with a trace.
        clocks: By each clock.
    """

    questions: int
    samples: int
    accuracy: Interval
    pass_at: Mapping[int, float]
    streaming_tokens: float
    deep_tokens: float
    total_tokens: float
    skip_rate: float | None
    skip_precision: float | None
    skip_recall: float | None
    answered: float
    out_of_tokens: float
    malformed: float
    lagging_words: float | None
    adaptive_lagging_words: float | None
    clocks: Mapping[str, ByClock]


def figures_of(samples: Samples, clocks: Sequence[str], resamples: int) -> Figures:
    """All numbers of one line.

    Args:
        samples: The judged rollouts.
        clocks: Names of the clocks, in the order of ``Judged.timed``.
        resamples: Of the accuracy's interval, where there are several samples.
    """
    every = [each for one in samples for each in one]
    streaming, deep = _mean(e.streaming_tokens for e in every), _mean(e.deep_tokens for e in every)
    skipped = sum(each.traced_skipped for each in every)
    skippable = sum(each.skippable for each in every)
    rightly = sum(each.rightly_skipped for each in every)
    endings = [each.ending for each in every]
    return Figures(
        questions=len(samples[0]),
        samples=len(samples),
        accuracy=accuracy_of(samples, resamples),
        pass_at=_pass_at(samples),
        streaming_tokens=streaming,
        deep_tokens=deep,
        total_tokens=streaming + deep,
        skip_rate=_known(each.skipped / each.thoughts if each.thoughts else None for each in every),
        skip_precision=rightly / skipped if skipped else None,
        skip_recall=rightly / skippable if skippable else None,
        answered=endings.count(Ending.ANSWERED) / len(every),
        out_of_tokens=endings.count(Ending.OUT_OF_TOKENS) / len(every),
        malformed=endings.count(Ending.MALFORMED) / len(every),
        lagging_words=_known(each.lagging for each in every),
        adaptive_lagging_words=_known(each.adaptive_lagging for each in every),
        clocks={name: _by_clock([e.timed[n] for e in every]) for n, name in enumerate(clocks)},
    )


def accuracy_of(samples: Samples, resamples: int) -> Interval:
    """The share of right rollouts with its interval."""
    if len(samples) > 1:
        return paired_bootstrap(right_by_question(samples), resamples=resamples)
    right, n = sum(each.right for each in samples[0]), len(samples[0])
    return Interval(right / n, *wilson_interval(right, n))


def right_by_question(samples: Samples) -> list[float]:
    """Each question's share of right samples."""
    return [sum(e.right for e in each) / len(samples) for each in zip(*samples, strict=True)]


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of k samples is right, without bias, from n samples of which c are right.

    Chen et al. 2021 (arXiv 2107.03374), equation 1: 1 - C(n - c, k) / C(n, k).
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(
            f"got {c} right of {n} samples and k = {k}; expected 0 <= c <= n, 1 <= k <= n."
        )
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def _pass_at(samples: Samples) -> dict[int, float]:
    """For k = 1, 2, 4 ... and all of them."""
    n = len(samples)
    if n == 1:
        return {}
    ks = sorted({*(2**i for i in range(n.bit_length()) if 2**i <= n), n})
    right = [sum(each.right for each in one) for one in zip(*samples, strict=True)]
    return {k: statistics.fmean(pass_at_k(n, c, k) for c in right) for k in ks}


def _by_clock(timed: Sequence[Timed]) -> ByClock:
    return ByClock(
        backlog_seconds=_mean(each.backlog_seconds for each in timed),
        first_seconds=_waits([each.first_seconds for each in timed]),
        answer_seconds=_waits([each.answer_seconds for each in timed]),
        end_seconds=_waits([each.end_seconds for each in timed]),
        overlap=_mean(each.overlap for each in timed),
        lagging_seconds=_known(each.lagging for each in timed),
        adaptive_lagging_seconds=_known(each.adaptive_lagging for each in timed),
    )


def _waits(seconds: Sequence[float]) -> Waits:
    return Waits(statistics.fmean(seconds), statistics.median(seconds), percentile(seconds, 95))


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def _known(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
