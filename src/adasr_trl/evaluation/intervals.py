"""Intervals and tests for evaluation results.

    >>> wilson_interval(8, 10)
    (0.490..., 0.943...)
    >>> mcnemar([True, False, False, False], [False, True, True, True]).p
    0.625

Two runs are compared on the same questions, so their differences are paired: at 500 questions one standard error of an
accuracy is about 2 points, and an unpaired comparison resolves no less.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Estimate:
    """A mean, in the unit of the values, with its 95 % interval where the values tell one (else None)."""

    mean: float
    low: float | None
    high: float | None

    def __format__(self, form: str) -> str:
        """The numbers in that form: "+4.1 (+0.3 to +8.3)", or "+4.1" without an interval."""
        mean = f"{self.mean:{form}}"
        return mean if self.low is None else f"{mean} ({self.low:{form}} to {self.high:{form}})"

    def scaled(self, factor: float) -> Estimate:
        """The same in another unit; ``factor`` must not be negative."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Estimate(factor * self.mean, low, high)


@dataclass(frozen=True)
class Interval(Estimate):
    """A mean whose interval is always known."""

    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """The interval in another unit; ``factor`` must not be negative."""
        return Interval(factor * self.mean, factor * self.low, factor * self.high)


@dataclass(frozen=True)
class McNemar:
    """The discordant pairs of two runs and the exact test of "neither is better"."""

    n01: int  # questions that the first run got wrong and the second right
    n10: int  # questions that the first run got right and the second wrong
    p: float  # two-sided exact binomial p-value; 1 where the runs never differ


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


def clustered_bootstrap(
    differences_by_seed: Sequence[Sequence[float]], *, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """The mean of per-question differences and its 95 % percentile interval (Efron and Tibshirani, 1993).

    Each resample draws training seeds with replacement (where there is more than one), takes each question's mean over
    the drawn seeds, and draws questions with replacement: a question keeps its values of all seeds together.
    Assumes that seeds and questions are two independent random samples; one seed says nothing of another. With very
    few seeds the interval is too narrow: S drawn seeds have (S - 1) / S of the true variance between seeds (one half
    at two), so report the per-seed means beside it. One question, or values that are all equal, tell of no other one:
    then there is no interval.

    Args:
        differences_by_seed: Such as (second right) - (first right), one column a question. (S, Q)
        resamples: Number of resamples.
        seed: Seed of the draws: the same call gives the same interval.
    """
    means = _resampled_means(differences_by_seed, resamples, seed)
    values = [value for row in differences_by_seed for value in row]
    mean = statistics.fmean(values)
    if len(differences_by_seed[0]) == 1 or _equal(values):
        return Estimate(mean, None, None)
    return Interval(mean, percentile(means, 2.5), percentile(means, 97.5))


def bounded_bootstrap(
    values_by_seed: Sequence[Sequence[float]],
    low: float,
    high: float,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """As ``clustered_bootstrap``, with an interval in any case, of values that cannot leave ``low`` to ``high``, such as shares or their differences.

    Where all values are equal, every resample is, too, which would claim certainty from any number of questions. There the
    share of such questions is at least Wilson's lower bound for n of n, and the others may lie anywhere: all right of n gives
    Wilson's own interval. Our choice.
    """
    means = _resampled_means(values_by_seed, resamples, seed)
    values = [value for row in values_by_seed for value in row]
    if len(set(values)) > 1:
        mean = statistics.fmean(values)
        return Interval(mean, percentile(means, 2.5), percentile(means, 97.5))
    mean, questions = values[0], len(values_by_seed[0])
    alike, _ = wilson_interval(questions, questions)
    rest = 1.0 - alike
    return Interval(mean, alike * mean + rest * low, alike * mean + rest * high)


def clustered_ratio(
    numerators_by_seed: Sequence[Sequence[float]],
    denominators_by_seed: Sequence[Sequence[float]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate | None:
    """The ratio of two means over the same questions and its 95 % percentile interval, resampled together.

    Args:
        numerators_by_seed: Such as answers lost, one column a question. (S, Q)
        denominators_by_seed: Such as answers that were right, of the same seeds and questions. (S, Q)
        resamples: Number of resamples; those whose denominators are all 0 have no ratio and are left out.
        seed: Seed of the draws.

    Returns:
        The ratio; None where the mean of the denominators is 0. It has no interval where one question, or questions of one
        ratio alone, tell of no other one.
    """
    above = _resampled_means(numerators_by_seed, resamples, seed)
    below = _resampled_means(denominators_by_seed, resamples, seed)
    total = sum(value for row in denominators_by_seed for value in row)
    if not total:
        return None
    ratios = [a / b for a, b in zip(above, below, strict=True) if b]
    mean = sum(value for row in numerators_by_seed for value in row) / total
    rows = zip(numerators_by_seed, denominators_by_seed, strict=True)
    residuals = [a - mean * b for row in rows for a, b in zip(*row, strict=True)]
    if len(numerators_by_seed[0]) == 1 or _equal([0.0, *residuals]):
        return Estimate(mean, None, None)
    return Interval(mean, percentile(ratios, 2.5), percentile(ratios, 97.5))


def _equal(values: Sequence[float]) -> bool:
    """Whether values are equal but for rounding."""
    return math.isclose(min(values), max(values), rel_tol=1e-9, abs_tol=1e-9)


def _resampled_means(
    values_by_seed: Sequence[Sequence[float]], resamples: int, seed: int
) -> list[float]:
    """The mean of each resample (R)."""
    import numpy as np

    widths = {len(row) for row in values_by_seed}
    if len(widths) != 1 or widths == {0} or resamples < 1:
        raise ValueError(
            f"got rows of {sorted(widths)} values and {resamples} resamples; expected one value a question "
            f"in every row, at least one question, and at least one resample."
        )
    values_SQ = np.array([list(row) for row in values_by_seed], dtype=np.float64)
    seeds, questions = values_SQ.shape
    seeds_KS, index_QR = _draws(seeds, questions, resamples, seed)
    pooled_KQ, sums_R = np.zeros((len(seeds_KS), questions)), np.zeros(resamples)
    for s in range(seeds):
        pooled_KQ += values_SQ[seeds_KS[:, s]]
    pooled = pooled_KQ.ravel() / seeds
    for index_R in index_QR:  # question by question: each resample rounds like a plain loop
        sums_R += pooled.take(index_R)
    means: list[float] = (sums_R / questions).tolist()
    return means


# All intervals of a table have the same draws: 20 MB at 500 questions and 10,000 resamples.
@lru_cache(maxsize=1)
def _draws(
    seeds: int, questions: int, resamples: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Draws of R resamples as by ``random.choices``: S seeds where S > 1, then Q questions.

    Returns:
        The K combinations of seeds (K, S), and of each drawn question its index into (K, Q) flattened. (Q, R)
    """
    import numpy as np

    *words, position = random.Random(seed).getstate()[1]
    generator = np.random.RandomState()
    generator.set_state(("MT19937", np.array(words, dtype=np.uint32), position, 0, 0.0))
    lead = seeds if seeds > 1 else 0
    seeds_RS = np.zeros((resamples, seeds), dtype=np.intp)
    index_QR = np.empty((questions, resamples), dtype=np.int32)
    block = max(1, 1_000_000 // questions)
    for start in range(0, resamples, block):
        rows = slice(start, min(start + block, resamples))
        uniform = generator.random_sample((rows.stop - start, lead + questions))
        if lead:
            seeds_RS[rows] = np.sort((uniform[:, :lead] * seeds).astype(np.intp), axis=1)
        index_QR[:, rows] = (uniform[:, lead:] * questions).T
    seeds_KS, combination_R = np.unique(seeds_RS, axis=0, return_inverse=True)
    index_QR += (combination_R.reshape(-1) * questions).astype(np.int32)
    return seeds_KS, index_QR


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` % lie, interpolated linearly between neighbours (numpy's default).

    ``statistics.quantiles`` refuses a single value before Python 3.13.
    """
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
