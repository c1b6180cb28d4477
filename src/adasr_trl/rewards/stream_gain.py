"""Rewards of a thought's gain: the value of the stream behind it minus the value before it. No trace is needed.

    >>> rule = GoldGain()
    >>> values = {rule: (-5.0, -2.0, -2.5)}      # before the first thought, behind each of two
    >>> scored = ScoredRollout(rollout, episode, right=True, stream_values=values)
    >>> rule.measure(scored, Scope.STREAMING, streaming).chunks
    (3.0, -0.5)

Values need a model: the trainer computes them for each batch of rollouts (``hrpo.stream_values``). Gains add up to the
last value minus the first, so they are potential-based: a detour that is made good again gains nothing.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from adasr_trl.core.errors import UserError
from adasr_trl.rewards.base import RewardValue, Rule, Scope, ScoredRollout


@dataclass(frozen=True)
class StreamGain(Rule):
    """The gain of each thought, by values of the stream; the stage's value is the mean over all chunks."""

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING})
    NEEDS_THOUGHTS: ClassVar[bool] = True
    # Exempt from the order of right and wrong answers: a good stream is good under a wrong answer, too.
    margin: ClassVar[float] = 0.0

    @abstractmethod
    def value(self, measured: float) -> float:
        """The value of a stream, from its measure."""

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """Gains of thoughts, or in the deep scope what the deep part made of its stream."""
        measures = scored.stream_values.get(self)
        if measures is None:
            raise UserError(
                f"{type(self).__name__} needs values of the stream, which only training computes; remove the reward here."
            )
        values = [None if measure is None else self.value(measure) for measure in measures]
        chunks, begun = len(scored.episode.chunks), len(values) - 1
        if scope is Scope.DEEP:
            last = values[-1] if begun == chunks else None
            return RewardValue(None if last is None else float(scored.right) - last)
        gains = gains_of(values)
        return RewardValue(sum(gains) / chunks if begun else None, scored.padded(gains))


@dataclass(frozen=True)
class GoldGain(StreamGain):
    """What a thought adds to log p(gold answer), read from an answer forced behind it.

    After TRACE (arXiv 2607.13988) and TIPS (arXiv 2603.22293), which take turns of agents for thoughts. Behind each thought
    the stream ends, and the reasoning's end marker, the gold answer and the end of sequence are forced (``Mode.NO_DEEP``).

    Attributes:
        under: The model that is asked: the policy of the moment, or a frozen copy of the weights before the first step.
        of: ``log_probability``, or ``probability``: gains between -1 and 1, as in IGPO (arXiv 2510.14967).
    """

    under: Literal["policy", "reference"] = "policy"
    of: Literal["log_probability", "probability"] = "log_probability"

    def value(self, measured: float) -> float:
        """Of a log-probability."""
        return math.exp(measured) if self.of == "probability" else measured


@dataclass(frozen=True)
class BranchValue(StreamGain):
    """What a thought adds to the chance of a right answer, by continuations sampled from behind it.

    After VinePPO (arXiv 2410.01679) and SPO (arXiv 2505.23564). The stream is cut behind every n-th chunk and the last one;
    thoughts between two cuts share their gain. In the deep scope: 1[right] minus the stream's last value.

    Attributes:
        continuations: Continuations sampled at each cut.
        every: n.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING, Scope.DEEP})
    BOUNDS: ClassVar = {"continuations": (1, math.inf), "every": (1, math.inf)}
    continuations: int = 4
    every: int = 1

    def value(self, measured: float) -> float:
        """The share of right answers itself."""
        return measured

    def cuts(self, begun: int) -> tuple[int, ...]:
        """Numbers of thoughts behind which a stream with so many is cut; 0 is before the first."""
        return tuple(n for n in range(begun + 1) if n % self.every == 0 or n == begun)


def gains_of(values: Sequence[float | None]) -> tuple[float, ...]:
    """Differences of successive known values; thoughts between two of them share one.

    >>> gains_of((0.25, None, 0.75, 0.5))
    (0.25, 0.25, -0.25)

    A shared difference is split evenly, so that the sum stays. The first and the last value must be known.
    """
    known = [(n, value) for n, value in enumerate(values) if value is not None]
    gains: list[float] = []
    for (start, before), (end, behind) in itertools.pairwise(known):
        gains += [(behind - before) / (end - start)] * (end - start)
    return tuple(gains)
