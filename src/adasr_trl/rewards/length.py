"""Rewards of length: AdaSR's adaptive thinking, and the published forms for reasoning models.

Lengths are those of ``base.lengths``: of each thought in the streaming scope, of the deep part, or of all; up to the
answer's value. So a target or a cap of the streaming scope is one for a thought.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.clock import arrivals, timeline
from adasr_trl.core.protocol import Phase
from adasr_trl.rewards.base import (
    Graded,
    Measured,
    Rule,
    Scope,
    by_length,
    cap_of,
    lengths,
    per_thought,
)


def _refuse_below(minimum: float, **settings: float) -> None:
    for name, value in settings.items():
        if not value >= minimum:
            raise ValueError(f"{name}: got {value:g}; expected {minimum:g} or more.")


def _limit(given: int | None, scope: Scope, streaming: StreamingConfig) -> int:
    """The limit that was given, or the engine's cap of the scope."""
    limit = cap_of(scope, streaming) if given is None else given
    if limit is None:
        raise ValueError("max_tokens: missing; scope global has no cap of its own.")
    _refuse_below(1, max_tokens=limit)
    return limit


@dataclass(frozen=True)
class AdaptiveThinking(Rule):
    """The cost that ``shaping.adaptive_thinking`` compares among the group's right rollouts (AdaSR; formula ours).

    Attributes:
        strength: How much a relative saving is worth.
        min_cost: Savings are relative to the mean cost, or to this where the mean is below it; in tokens or seconds.
        cost: ``tokens``, or for the deep scope ``latency``: the clock's seconds to the answer, backlog included.
    """

    strength: float = 1.0
    min_cost: float = 1.0
    cost: Literal["tokens", "latency"] = "tokens"

    def __post_init__(self) -> None:
        """Refuse a strength that rewards waste."""
        _refuse_below(0.0, strength=self.strength)
        if not self.min_cost > 0.0:
            raise ValueError(f"min_cost: got {self.min_cost:g}; expected above 0.")

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """Latency is a cost of the deep part: thoughts overlap the input."""
        del streaming
        if self.cost == "latency" and scope is not Scope.DEEP:
            raise ValueError(
                f"cost: got latency in scope {scope.value}; expected tokens, or scope deep."
            )

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """The cost."""
        if self.cost == "tokens":
            return lengths(graded, scope)
        clock = streaming.clock
        line = timeline(graded.rollout, arrivals(graded.episode, clock), clock)
        return Measured(line.answer_latency_seconds)

    @property
    def margin(self) -> float:
        """1/2 against 0."""
        return 0.5


@dataclass(frozen=True)
class KimiLength(Rule):
    """The tokens that ``shaping.kimi_length`` compares with the group's shortest and longest (arXiv 2501.12599)."""

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """The tokens."""
        del streaming
        return lengths(graded, scope)

    @property
    def margin(self) -> float:
        """The longest right one has -1/2, a short wrong one 0: needs accuracy beside it, as published."""
        return -0.5


@dataclass(frozen=True)
class L1Exact(Rule):
    """LCPO's exact form: 1[right] - min(1, alpha * |target_tokens - n|) (arXiv 2503.04697).

    Ours: the penalty ends at 1, so that a right answer never scores below a wrong one.

    Attributes:
        target_tokens: The length asked for.
        alpha: Price of a token of deviation.
    """

    target_tokens: int
    alpha: float = 0.0003

    def __post_init__(self) -> None:
        """Refuse a price below 0 and a target below 1."""
        _refuse_below(1, target_tokens=self.target_tokens)
        _refuse_below(0.0, alpha=self.alpha)

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Right, less the deviation."""
        del streaming

        def value(tokens: float) -> float:
            return float(graded.right) - min(1.0, self.alpha * abs(self.target_tokens - tokens))

        return by_length(graded, scope, value)

    @property
    def margin(self) -> float:
        """0 against 0."""
        return 0.0


@dataclass(frozen=True)
class L1Max(Rule):
    """LCPO's form for a limit: 1[right] * clip(alpha * (max_tokens - n) + delta, 0, 1) (arXiv 2503.04697).

    Attributes:
        max_tokens: The limit.
        alpha: Price of a token.
        delta: What a right answer of exactly the limit is worth.
    """

    max_tokens: int
    alpha: float = 0.0003
    delta: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a price below 0 and a limit below 1."""
        _refuse_below(1, max_tokens=self.max_tokens)
        _refuse_below(0.0, alpha=self.alpha, delta=self.delta)

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Right, by what was left of the limit."""
        del streaming

        def value(tokens: float) -> float:
            left = self.alpha * (self.max_tokens - tokens) + self.delta
            return float(graded.right) * min(1.0, max(0.0, left))

        return by_length(graded, scope, value)

    @property
    def margin(self) -> float:
        """0 against 0."""
        return 0.0


@dataclass(frozen=True)
class SoftOverlong(Rule):
    """DAPO's soft overlong punishment (arXiv 2503.14476, equation 13), over all tokens of the scope.

    0 up to max_tokens - buffer_tokens, then down a line to -1 at max_tokens, -1 above.

    Attributes:
        max_tokens: The limit; by default the engine's cap of a thought or of the deep part.
        buffer_tokens: Over how many tokens below the limit the punishment grows.
    """

    buffer_tokens: int
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse a buffer below 1."""
        _refuse_below(1, buffer_tokens=self.buffer_tokens)

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """The limit must be known, and the buffer within it."""
        limit = _limit(self.max_tokens, scope, streaming)
        if self.buffer_tokens > limit:
            raise ValueError(f"buffer_tokens: got {self.buffer_tokens}; expected {limit} at most.")

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """The punishment."""
        limit = _limit(self.max_tokens, scope, streaming)

        def value(tokens: float) -> float:
            over = tokens - (limit - self.buffer_tokens)
            return -min(1.0, max(0.0, over / self.buffer_tokens))

        if scope is Scope.STREAMING:
            return per_thought(graded, value)
        phases = (Phase.STREAM, Phase.DEEP) if scope is Scope.GLOBAL else (Phase.DEEP,)
        return Measured(value(sum(graded.rollout.tokens_in(phase) for phase in phases)))

    @property
    def margin(self) -> float:
        """-1 against 0: needs accuracy beside it, as published."""
        return -1.0


@dataclass(frozen=True)
class Cosine(Rule):
    """Accuracy with a bound for each end of the length, a half cosine between (arXiv 2502.03373, C.1).

    A right answer is worth more if short, a wrong one costs more if short.

    Attributes:
        max_tokens: Where the long bound is reached; by default the engine's cap of the scope.
        right_short: Worth of a right answer without any token.
        right_long: Worth of a right answer of max_tokens or more.
        wrong_short: Worth of a wrong answer without any token.
        wrong_long: Worth of a wrong answer of max_tokens or more.
    """

    max_tokens: int | None = None
    right_short: float = 1.0
    right_long: float = 0.5
    wrong_short: float = -1.0
    wrong_long: float = -0.5

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """The limit must be known and above 0."""
        _limit(self.max_tokens, scope, streaming)

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """The value between the two bounds of right, or of wrong, answers."""
        limit = _limit(self.max_tokens, scope, streaming)
        short, long = (
            (self.right_short, self.right_long)
            if graded.right
            else (self.wrong_short, self.wrong_long)
        )

        def value(tokens: float) -> float:
            wave = math.cos(min(tokens / limit, 1.0) * math.pi)
            return long + 0.5 * (short - long) * (1.0 + wave)

        return by_length(graded, scope, value)

    @property
    def margin(self) -> float:
        """The lower right bound against the upper wrong one."""
        return min(self.right_short, self.right_long) - max(self.wrong_short, self.wrong_long)
