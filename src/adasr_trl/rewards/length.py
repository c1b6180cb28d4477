"""Rewards of length: AdaSR's adaptive thinking, and the published forms for reasoning models.

Lengths are those of ``base.by_length``: of each thought in the streaming scope, of the deep part, or of all. So a target
or a cap of the streaming scope is one for a thought.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.clock import arrivals, timeline
from adasr_trl.core.protocol import Phase
from adasr_trl.rewards.base import RewardValue, Rule, Scope, ScoredRollout, by_length

if TYPE_CHECKING:
    from torch import Tensor

_POSITIVE = (1.0, math.inf)
_NOT_NEGATIVE = (0.0, math.inf)


def _limit(given: int | None, scope: Scope, streaming: StreamingConfig) -> int:
    """The limit that was given, or the engine's cap on the tokens of a thought or of the deep part."""
    if given is not None:
        return given
    if scope is Scope.GLOBAL:
        raise ValueError("max_tokens: missing; scope global has no cap of its own.")
    return streaming.max_deep_tokens if scope is Scope.DEEP else streaming.max_thought_tokens


@dataclass(frozen=True)
class AdaptiveThinking(Rule):
    """AdaSR's adaptive thinking: a right answer is worth 1, more if it was cheap for its group, less if expensive.

    0 if wrong; 1 + clip(-strength * (cost - mean) / max(mean, min_cost), -1/2, 1/2) if right, where mean is the mean
    cost of the group's right rollouts. So a right answer never scores below a wrong one, and brevity is worth nothing
    without it. The paper names length as the proxy of cost; the form is our choice.

    Attributes:
        strength: The worth of a relative saving.
        min_cost: Savings are relative to the mean cost, or to this where the mean is below it; in tokens or seconds.
        cost: ``tokens``, or for the deep scope ``latency``: the clock's seconds to the answer, backlog included.
        when_accuracy: Least share of right answers in a group at which cost counts; below it a right answer is worth 1.
            After HPO of simultaneous translation (arXiv 2604.21045), where a bar of quality gates the latency reward.
    """

    BOUNDS: ClassVar = {"strength": _NOT_NEGATIVE, "when_accuracy": (0.0, 1.0)}
    margin: ClassVar[float] = 0.5  # 1/2 against 0
    strength: float = 1.0
    min_cost: float = 1.0
    cost: Literal["tokens", "latency"] = "tokens"
    when_accuracy: float = 0.0

    def check(self, scope: Scope, _streaming: StreamingConfig) -> None:
        """Latency is a cost of the deep part: thoughts overlap the input. A bar needs a cost to hold back."""
        if not self.min_cost > 0.0:
            raise ValueError(f"min_cost: got {self.min_cost:g}; expected above 0.")
        if self.cost == "latency" and scope is not Scope.DEEP:
            raise ValueError(
                f"cost: got latency in scope {scope.value}; expected tokens, or scope deep."
            )
        if self.when_accuracy > 0.0 and self.strength == 0.0:
            raise ValueError(
                f"when_accuracy: got {self.when_accuracy:g}, but strength is 0, so cost never counts; raise strength."
            )

    def measure(
        self, scored: ScoredRollout, scope: Scope, streaming: StreamingConfig
    ) -> RewardValue:
        """The cost."""
        if self.cost == "tokens":
            return by_length(scored, scope)
        clock = streaming.clock
        line = timeline(scored.rollout, arrivals(scored.episode, clock), clock)
        return RewardValue(line.answer_latency_seconds)

    def within_group(self, values_NG: Tensor, right_NG: Tensor, _progress: float) -> Tensor:
        """The reward of each cost, by the mean cost of the group's right rollouts."""
        counted_NG = right_NG & ~values_NG.isnan()
        count_N1 = counted_NG.sum(dim=1, keepdim=True).clamp(min=1)
        mean_N1 = values_NG.masked_fill(~counted_NG, 0.0).sum(dim=1, keepdim=True) / count_N1
        saving_NG = -self.strength * (values_NG - mean_N1) / mean_N1.clamp(min=self.min_cost)
        accuracy_N1 = right_NG.to(values_NG.dtype).mean(dim=1, keepdim=True)
        # An unknown cost stays unknown below the bar.
        saving_NG = saving_NG.where(accuracy_N1 >= self.when_accuracy, 0.0 * saving_NG)
        reward_NG = 1.0 + saving_NG.clamp(-0.5, 0.5)
        return reward_NG.masked_fill(~right_NG & ~values_NG.isnan(), 0.0)


@dataclass(frozen=True)
class KimiLength(Rule):
    """Kimi k1.5's length reward (arXiv 2501.12599): v if right, min(0, v) if wrong, v = 1/2 - (n - min) / (max - min).

    Minimum and maximum of the tokens n are over the whole group, wrong rollouts included; if they are equal, 0.
    """

    margin: ClassVar[float] = -0.5  # longest right: -1/2, short wrong: 0; needs accuracy beside it

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """The tokens."""
        return by_length(scored, scope)

    def within_group(self, values_NG: Tensor, right_NG: Tensor, _progress: float) -> Tensor:
        """The reward of each length, between the group's shortest and longest."""
        unknown_NG = values_NG.isnan()
        least_N1 = values_NG.masked_fill(unknown_NG, math.inf).amin(dim=1, keepdim=True)
        most_N1 = values_NG.masked_fill(unknown_NG, -math.inf).amax(dim=1, keepdim=True)
        range_N1 = most_N1 - least_N1
        place_NG = (values_NG - least_N1) / range_N1.masked_fill(range_N1 == 0, 1.0)
        reward_NG = (0.5 - place_NG).where(range_N1 != 0, values_NG * 0.0)
        return reward_NG.where(right_NG | reward_NG.isnan(), reward_NG.clamp(max=0.0))


@dataclass(frozen=True)
class L1Exact(Rule):
    """LCPO's exact form: 1[right] - min(1, alpha * |target_tokens - n|) (arXiv 2503.04697).

    Our choice: the penalty ends at 1, so that a right answer never scores below a wrong one.

    Attributes:
        target_tokens: The length asked for.
        alpha: Price of a token of deviation.
    """

    BOUNDS: ClassVar = {"target_tokens": _POSITIVE, "alpha": _NOT_NEGATIVE}
    margin: ClassVar[float] = 0.0  # 0 against 0
    target_tokens: int
    alpha: float = 0.0003

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """Right, less the deviation."""

        def value(tokens: float) -> float:
            return float(scored.right) - min(1.0, self.alpha * abs(self.target_tokens - tokens))

        return by_length(scored, scope, value)


@dataclass(frozen=True)
class L1Max(Rule):
    """LCPO's form for a limit: 1[right] * clip(alpha * (max_tokens - n) + delta, 0, 1) (arXiv 2503.04697).

    Attributes:
        max_tokens: The limit.
        alpha: Price of a token.
        delta: The worth of a right answer of exactly the limit.
    """

    BOUNDS: ClassVar = {"max_tokens": _POSITIVE, "alpha": _NOT_NEGATIVE, "delta": _NOT_NEGATIVE}
    margin: ClassVar[float] = 0.0  # 0 against 0
    max_tokens: int
    alpha: float = 0.0003
    delta: float = 0.5

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """Right, scaled by the tokens left of the limit."""

        def value(tokens: float) -> float:
            left = self.alpha * (self.max_tokens - tokens) + self.delta
            return float(scored.right) * min(1.0, max(0.0, left))

        return by_length(scored, scope, value)


@dataclass(frozen=True)
class SoftOverlong(Rule):
    """DAPO's soft overlong punishment (arXiv 2503.14476, equation 13), over all tokens of the scope.

    0 up to max_tokens - buffer_tokens, then down a line to -1 at max_tokens, -1 above.

    Attributes:
        max_tokens: The limit; by default the engine's cap of a thought or of the deep part.
        buffer_tokens: The tokens below the limit over which the punishment grows.
    """

    BOUNDS: ClassVar = {"buffer_tokens": _POSITIVE, "max_tokens": _POSITIVE}
    margin: ClassVar[float] = -1.0  # -1 against 0: needs accuracy beside it, as published
    buffer_tokens: int
    max_tokens: int | None = None

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """The limit must be known, and the buffer within it."""
        limit = _limit(self.max_tokens, scope, streaming)
        if self.buffer_tokens > limit:
            raise ValueError(f"buffer_tokens: got {self.buffer_tokens}; expected {limit} at most.")

    def measure(
        self, scored: ScoredRollout, scope: Scope, streaming: StreamingConfig
    ) -> RewardValue:
        """The punishment."""
        limit = _limit(self.max_tokens, scope, streaming)

        def value(tokens: float) -> float:
            over = tokens - (limit - self.buffer_tokens)
            return -min(1.0, max(0.0, over / self.buffer_tokens))

        if scope is Scope.STREAMING:
            return by_length(scored, scope, value)
        phases = (Phase.STREAM, Phase.DEEP) if scope is Scope.GLOBAL else (Phase.DEEP,)
        return RewardValue(value(sum(scored.rollout.tokens_in(phase) for phase in phases)))


@dataclass(frozen=True)
class Cosine(Rule):
    """Accuracy with a bound for each end of the length, a half cosine between (arXiv 2502.03373, C.1).

    A right answer is worth more if short, a wrong one costs more if short.

    Attributes:
        max_tokens: The length of the long bounds; by default the engine's cap of the scope.
        right_short: Worth of a right answer without any token.
        right_long: Worth of a right answer of max_tokens or more.
        wrong_short: Worth of a wrong answer without any token.
        wrong_long: Worth of a wrong answer of max_tokens or more.
    """

    BOUNDS: ClassVar = {"max_tokens": _POSITIVE}
    max_tokens: int | None = None
    right_short: float = 1.0
    right_long: float = 0.5
    wrong_short: float = -1.0
    wrong_long: float = -0.5

    @property
    def margin(self) -> float:
        """The lower right bound against the upper wrong one."""
        return min(self.right_short, self.right_long) - max(self.wrong_short, self.wrong_long)

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """The limit must be known and above 0."""
        _limit(self.max_tokens, scope, streaming)

    def measure(
        self, scored: ScoredRollout, scope: Scope, streaming: StreamingConfig
    ) -> RewardValue:
        """The value between the two bounds of right, or of wrong, answers."""
        limit = _limit(self.max_tokens, scope, streaming)
        right, wrong = (self.right_short, self.right_long), (self.wrong_short, self.wrong_long)
        short, long = right if scored.right else wrong

        def value(tokens: float) -> float:
            wave = math.cos(min(tokens / limit, 1.0) * math.pi)
            return long + 0.5 * (short - long) * (1.0 + wave)

        return by_length(scored, scope, value)
