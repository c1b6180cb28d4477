"""What a finished rollout was worth, and what a set of them says: accuracy, tokens, seconds, and how sure we are.

    >>> wilson_interval(8, 10)
    (0.490..., 0.943...)
    >>> mcnemar([True, False, False, False], [False, True, True, True]).p
    0.625

Two runs are compared on the same questions, so their differences are paired: at 500 questions one standard error
of an accuracy is about 2 points, and only pairing sees less than that. Pure functions over the standard library;
tables, plots and files are in ``report``.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adasr_trl.core.answers import is_right
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.episode import Episode
from adasr_trl.core.number_reading import latest_number
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, in the unit of the values; ``f"{interval:+.1f}"`` is "+4.1 (+0.3 to +8.3)"."""

    mean: float
    low: float
    high: float

    def __format__(self, form: str) -> str:
        """Each of the three in that form."""
        return f"{self.mean:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class McNemar:
    """The discordant pairs of two runs and the exact test of "neither is better".

    Attributes:
        n01: Questions that the first run got wrong and the second right.
        n10: Questions that the first run got right and the second wrong.
        p: Two-sided exact binomial p-value; 1 where the runs never differ.
    """

    n01: int
    n10: int
    p: float


@dataclass(frozen=True)
class Outcome:
    """One rollout against its gold answer and the clock.

    Attributes:
        episode_id: The episode it answers.
        right: Whether it delivered the gold answer.
        streaming_tokens: Sampled tokens of its thoughts, end markers and skips included.
        deep_tokens: Sampled tokens of the deep part, the answer and the end of sequence included.
        total_tokens: The sum of both: the compute.
        skip_rate: Share of chunks after which the model skipped.
        answer_latency_seconds: From the last chunk's arrival to the last token of the answer's value.
        backlog_seconds: Thinking left when the last chunk had arrived; part of the latency.
        overlap: Share of the time spent writing that was hidden behind reading.
        ending: How the rollout ended.
        tags: The episode's labels.
        stream_right: Whether the last number of its thoughts is that of the episode's own trace; None where one of
            them has none.
    """

    episode_id: str
    right: bool
    streaming_tokens: int
    deep_tokens: int
    total_tokens: int
    skip_rate: float
    answer_latency_seconds: float
    backlog_seconds: float
    overlap: float
    ending: Ending
    tags: tuple[str, ...]
    stream_right: bool | None = None


@dataclass(frozen=True)
class Summary:
    """Means over n outcomes: accuracy with its Wilson interval, tokens, seconds, and shares of the endings."""

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    streaming_tokens: float
    deep_tokens: float
    total_tokens: float
    skip_rate: float
    answer_latency_seconds: float
    latency_median: float
    latency_p95: float
    backlog_seconds: float
    overlap: float
    answered: float
    out_of_tokens: float
    malformed: float


def outcome(rollout: Rollout, episode: Episode, clock: Clock) -> Outcome:
    """Judge one rollout. Ours: an answer that the protocol did not close was not delivered, so it is wrong."""
    if rollout.episode_id != episode.id:
        raise ValueError(
            f"the rollout answers episode {rollout.episode_id!r} but was given episode {episode.id!r}; "
            f"match them by id."
        )
    played = timeline(rollout, arrivals(episode, clock), clock)
    streaming, deep = rollout.tokens_in(Phase.STREAM), rollout.tokens_in(Phase.DEEP)
    own, told = latest_number(rollout.thoughts), latest_number(episode.thoughts or ())
    return Outcome(
        episode_id=episode.id,
        right=rollout.ending is Ending.ANSWERED
        and is_right(rollout.answer, episode.answer, episode.answer_type),
        streaming_tokens=streaming,
        deep_tokens=deep,
        total_tokens=streaming + deep,
        skip_rate=rollout.skip_rate,
        answer_latency_seconds=played.answer_latency_seconds,
        backlog_seconds=played.backlog_seconds,
        overlap=played.overlap,
        ending=rollout.ending,
        tags=episode.tags,
        stream_right=None if own is None or told is None else own == told,
    )


def summarise(outcomes: Iterable[Outcome]) -> Summary:
    """The means that a table's row shows. Wrong and unfinished rollouts count in every one of them."""
    outcomes = list(outcomes)
    if not outcomes:
        raise ValueError("got no outcome to summarise; evaluate at least one episode.")
    n, right = len(outcomes), sum(one.right for one in outcomes)
    low, high = wilson_interval(right, n)
    latencies = [one.answer_latency_seconds for one in outcomes]
    endings = [one.ending for one in outcomes]
    return Summary(
        n=n,
        accuracy=right / n,
        accuracy_low=low,
        accuracy_high=high,
        streaming_tokens=statistics.fmean(one.streaming_tokens for one in outcomes),
        deep_tokens=statistics.fmean(one.deep_tokens for one in outcomes),
        total_tokens=statistics.fmean(one.total_tokens for one in outcomes),
        skip_rate=statistics.fmean(one.skip_rate for one in outcomes),
        answer_latency_seconds=statistics.fmean(latencies),
        latency_median=statistics.median(latencies),
        latency_p95=percentile(latencies, 95),
        backlog_seconds=statistics.fmean(one.backlog_seconds for one in outcomes),
        overlap=statistics.fmean(one.overlap for one in outcomes),
        answered=endings.count(Ending.ANSWERED) / n,
        out_of_tokens=endings.count(Ending.OUT_OF_TOKENS) / n,
        malformed=endings.count(Ending.MALFORMED) / n,
    )


def wilson_interval(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a share, 95 % at the default z (E. B. Wilson, 1927, JASA 22:209).

    Unlike the mean plus or minus two standard errors it stays within 0 and 1 and has width at 0 of n and n of n.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(
            f"got {successes} successes of {n}; expected 0 <= successes <= n and n > 0."
        )
    share, spread = successes / n, z * z / n
    centre = share + spread / 2
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4)
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    # At the two ends the exact bound is 0 or 1, which rounding misses by 1e-17.
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def mcnemar(first_right: Sequence[bool], second_right: Sequence[bool]) -> McNemar:
    """Test whether two runs differ on the same questions (Q. McNemar, 1947, Psychometrika 12:153; exact form).

    Only questions on which they differ count: under "neither is better" each is a fair coin.
    """
    pairs = list(zip(first_right, second_right, strict=True))
    n01 = sum(second and not first for first, second in pairs)
    n10 = sum(first and not second for first, second in pairs)
    n, tail, ways = n01 + n10, 0, 1
    for k in range(min(n01, n10) + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)  # exact: the next binomial coefficient
    return McNemar(n01, n10, min(1.0, 2 * tail / 2**n))  # int / int rounds once, at any size


def paired_bootstrap(
    differences: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The mean of per-question differences and its 95 % percentile interval (Efron and Tibshirani, 1993).

    Assumes that questions are independent draws of the population of questions; it says nothing of how another
    training seed would do (see ``clustered_bootstrap``). 500 questions take about half a second.

    Args:
        differences: One value a question, such as (second right) - (first right), or seconds saved.
        resamples: How often the questions are drawn anew, with replacement.
        seed: Of the draws: the same call gives the same interval.
    """
    return clustered_bootstrap([differences], resamples=resamples, seed=seed)


def clustered_bootstrap(
    differences_by_seed: Sequence[Sequence[float]], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The same for several training seeds that were evaluated on the same questions.

    Each resample draws seeds with replacement (where there is more than one), takes each question's mean over the
    drawn seeds, and draws questions with replacement: a question keeps its values of all seeds together.
    Assumes that seeds and questions are two independent random samples and that value i of every seed belongs
    to the same question. With very few seeds the interval is too narrow: S drawn seeds have (S - 1) / S of the
    true variance between seeds (one half at two), so report the per-seed means beside it.

    Args:
        differences_by_seed: One row a seed, one column a question.
        resamples: How often seeds and questions are drawn anew.
        seed: Of the draws.
    """
    widths = {len(row) for row in differences_by_seed}
    if len(widths) != 1 or widths == {0} or resamples < 1:
        raise ValueError(
            f"got rows of {sorted(widths)} values and {resamples} resamples; expected one value a question "
            f"in every row, at least one question, and at least one resample."
        )
    draw, rows = random.Random(seed), len(differences_by_seed)
    columns = list(zip(*differences_by_seed, strict=True))
    pooled: dict[tuple[int, ...], list[float]] = {}
    means = []
    for _ in range(resamples):
        drawn = tuple(sorted(draw.choices(range(rows), k=rows))) if rows > 1 else (0,)
        if drawn not in pooled:
            pooled[drawn] = [sum(column[s] for s in drawn) / rows for column in columns]
        means.append(sum(draw.choices(pooled[drawn], k=len(columns))) / len(columns))
    mean = statistics.fmean(value for column in columns for value in column)
    return Interval(mean, percentile(means, 2.5), percentile(means, 97.5))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` % lie, interpolated linearly between neighbours (numpy's default).

    ``statistics.quantiles`` refuses a single value before Python 3.13.
    """
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
