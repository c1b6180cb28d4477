"""Any two lines of the table on the same questions.

>>> difference(sft, hrpo, resamples=2000).points
Interval(mean=4.1, low=0.3, high=8.3)
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.evaluation.outcome import Interval, McNemar, mcnemar, paired_bootstrap
from adasr_trl.evaluation.suite import Row
from adasr_trl.evaluation.summary import Samples, right_by_question


@dataclass(frozen=True)
class Kept:
    """What comparing needs of a line, one number a question.

    Attributes:
        right: Share of right samples.
        first_right: Whether the first sample was right.
        tokens: Mean sampled tokens.
        seconds: Mean wait for the answer, by the first clock.
    """

    right: array[float]
    first_right: array[int]
    tokens: array[float]
    seconds: array[float]


@dataclass(frozen=True)
class Difference:
    """The second line minus the first.

    Attributes:
        first: A line.
        second: Another one at the same temperature.
        points: Accuracy in percentage points, with its paired 95 % interval.
        mcnemar: Of the first samples: n01 the second alone got right, n10 the first alone.
        tokens: Sampled tokens.
        seconds: The wait for the answer by the first clock, with its paired interval.
    """

    first: Row
    second: Row
    points: Interval
    mcnemar: McNemar
    tokens: float
    seconds: Interval

    @property
    def turned(self) -> Difference:
        """The first line minus the second."""
        test = self.mcnemar
        return Difference(
            self.second,
            self.first,
            _negative(self.points),
            McNemar(test.n10, test.n01, test.p),
            -self.tokens,
            _negative(self.seconds),
        )


def keep(samples: Samples) -> Kept:
    """The numbers of a line, over its samples."""
    count = len(samples)
    questions = list(zip(*samples, strict=True))
    return Kept(
        array("d", right_by_question(samples)),
        array("b", (each.right for each in samples[0])),
        array("d", (sum(e.streaming_tokens + e.deep_tokens for e in q) / count for q in questions)),
        array("d", (sum(e.timed[0].answer_seconds for e in q) / count for q in questions)),
    )


def pairs_of(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Any two lines at one temperature, in order of the table."""
    return [
        (a, b)
        for a, b in itertools.combinations(rows, 2)
        if a.setting.temperature == b.setting.temperature
    ]


def differences(kept: Mapping[Row, Kept], resamples: int) -> list[Difference]:
    """Every pair of lines compared."""
    return [_difference(first, second, kept, resamples) for first, second in pairs_of(list(kept))]


def _difference(first: Row, second: Row, kept: Mapping[Row, Kept], resamples: int) -> Difference:
    a, b = kept[first], kept[second]
    gains = [100 * (y - x) for x, y in zip(a.right, b.right, strict=True)]
    waits = [y - x for x, y in zip(a.seconds, b.seconds, strict=True)]
    tokens = sum(b.tokens) / len(b.tokens) - sum(a.tokens) / len(a.tokens)
    return Difference(
        first=first,
        second=second,
        points=paired_bootstrap(gains, resamples=resamples),
        mcnemar=mcnemar(list(map(bool, a.first_right)), list(map(bool, b.first_right))),
        tokens=tokens,
        seconds=paired_bootstrap(waits, resamples=resamples),
    )


def _negative(interval: Interval) -> Interval:
    return Interval(-interval.mean, -interval.high, -interval.low)
