"""What a reward is: a rule that measures one rollout alone, for the tokens of one scope, with a weight.

    >>> rule = Accuracy()
    >>> rule.measure(Graded(rollout, episode, right=True), Scope.GLOBAL, streaming)
    Measured(value=1.0, chunks=())

A rule is a frozen dataclass whose fields are the settings that a configuration may give. What is relative to the group is
shaped by ``shaping`` after the measures of all processes were gathered. Formulas are in ``protocol``, ``length``,
``choice`` and ``repetition``.
"""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.answers import is_right
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout


class Scope(Enum):
    """The tokens that a reward is for: the thoughts, the deep part, or all that the model wrote."""

    STREAMING = "streaming"
    DEEP = "deep"
    GLOBAL = "global"


EVERY_SCOPE = frozenset(Scope)


@dataclass(frozen=True)
class Graded:
    """A rollout, the episode it answers, and whether it delivered the right answer."""

    rollout: Rollout
    episode: Episode
    right: bool


@dataclass(frozen=True)
class Measured:
    """What a rule says about one rollout.

    Attributes:
        value: Of the whole scope; None where it cannot be scored.
        chunks: Of each thought, for sentence granularity; None for one that was never begun. Empty where the rule
            knows none: ``value`` then holds for every thought. (C)
    """

    value: float | None
    chunks: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Rule(ABC):
    """How to measure.

    Attributes:
        SCOPES: The scopes it can be given.
        NEEDS_THOUGHTS: Whether it can only score rollouts with thoughts, in any scope.
    """

    SCOPES: ClassVar[frozenset[Scope]] = EVERY_SCOPE
    NEEDS_THOUGHTS: ClassVar[bool] = False

    @abstractmethod
    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Measure one rollout."""

    @property
    @abstractmethod
    def margin(self) -> float | None:
        """The least reward of a right answer minus the most of a wrong one, at equal format; None if unknown."""

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """Raise a ValueError for settings that do not fit the scope or the caps."""
        del scope, streaming


@dataclass(frozen=True)
class Reward:
    """One reward of a run: a rule with its place in the sum."""

    name: str
    scope: Scope
    weight: float
    rule: Rule
    streaming: StreamingConfig

    def measure(self, graded: Graded) -> Measured:
        """Measure one rollout."""
        return self.rule.measure(graded, self.scope, self.streaming)


def answered_right(rollout: Rollout, episode: Episode) -> bool:
    """Whether the rollout delivered the right answer; one that is not ANSWERED delivered none (ours)."""
    return rollout.ending is Ending.ANSWERED and is_right(
        rollout.answer, episode.answer, episode.answer_type
    )


def lengths(graded: Graded, scope: Scope) -> Measured:
    """Tokens that the model wrote, up to the answer's value, so that none is cheaper behind the answer's marker.

    Streaming: the mean of a thought over all chunks, skips included, and of each thought. Deep: of the deep part.
    Global: of both together. Markers count; forced tokens do not.
    """
    rollout = graded.rollout
    if scope is Scope.STREAMING:
        return per_thought(graded, float)
    streamed = rollout.tokens_in(Phase.STREAM) if scope is Scope.GLOBAL else 0
    return Measured(float(streamed + rollout.answer_tokens))


def per_thought(graded: Graded, value_of: Callable[[int], float]) -> Measured:
    """A value of each thought's tokens, and their mean over all chunks; a thought never begun has 0 tokens."""
    counts = graded.rollout.thought_tokens()
    if not counts:
        return Measured(None)
    missing = len(graded.episode.chunks) - len(counts)
    values = [value_of(count) for count in counts]
    mean = statistics.fmean([*values, *[value_of(0)] * missing])
    return Measured(mean, (*values, *[None] * missing))


def by_length(graded: Graded, scope: Scope, value_of: Callable[[float], float]) -> Measured:
    """A value of the scope's tokens: of each thought and their mean, or of the whole."""
    if scope is Scope.STREAMING:
        return per_thought(graded, value_of)
    tokens = lengths(graded, scope).value
    return Measured(None if tokens is None else value_of(tokens))


def cap_of(scope: Scope, streaming: StreamingConfig) -> int | None:
    """The most tokens that the engine lets a thought or the deep part have; None for all together."""
    caps = {
        Scope.STREAMING: streaming.max_thought_tokens,
        Scope.DEEP: streaming.max_deep_tokens,
    }
    return caps.get(scope)
