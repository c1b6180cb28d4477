"""A reward: a rule that measures one rollout, then sees its group, with a scope and a weight.

    >>> rule = Accuracy()
    >>> rule.measure(ScoredRollout(rollout, episode, right=True), Scope.GLOBAL, streaming)
    RewardValue(value=1.0, chunks=())

To add a built-in reward: write a ``Rule`` in this package and list it in ``build.BUILT_IN``.
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.answers import is_right
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout

if TYPE_CHECKING:
    from torch import Tensor

# Of a reward and of a weight: every mixing and normalisation of such stays finite in single precision.
LARGEST, HEAVIEST = 1e9, 1e3


class Scope(Enum):
    """The tokens that a reward is for: the thoughts, the deep part, or all that the model wrote."""

    STREAMING = "streaming"
    DEEP = "deep"
    GLOBAL = "global"


@dataclass(frozen=True)
class ScoredRollout:
    """A rollout, the episode it answers, and whether it delivered the right answer."""

    rollout: Rollout
    episode: Episode
    right: bool
    # For each rule of ``stream_gain``: values of the stream before its first thought and behind each begun one, (C + 1).
    stream_values: Mapping[Rule, Sequence[float | None]] = field(default_factory=dict, kw_only=True)

    def padded(self, values: Sequence[float | None]) -> tuple[float | None, ...]:
        """Values of the thoughts that were begun, with None for those that were not. (C)."""
        return (*values, *[None] * (len(self.episode.chunks) - len(values)))


@dataclass(frozen=True)
class RewardValue:
    """The measure of one rollout by one rule; None is "cannot be scored"."""

    value: float | None  # of the whole scope
    # Of each of C thoughts, for sentence granularity; None if not begun. Empty: ``value`` holds for every thought.
    chunks: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Rule(ABC):
    """The formula of a reward; the fields of a subclass are its settings in a configuration.

    Attributes:
        SCOPES: The scopes that it can have.
        NEEDS_THOUGHTS: Whether it can only score rollouts with thoughts, in any scope.
        BOUNDS: The least and the greatest value of a setting.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset(Scope)
    NEEDS_THOUGHTS: ClassVar[bool] = False
    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        """Refuse settings out of bounds (ValueError)."""
        for name, (least, most) in self.BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                expected = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
                raise ValueError(f"{name}: got {value:g}; expected {expected}.")

    @abstractmethod
    def measure(
        self, scored: ScoredRollout, scope: Scope, streaming: StreamingConfig
    ) -> RewardValue:
        """Measure one rollout, without its group."""

    def measure_batch(
        self, batch: Sequence[ScoredRollout], scope: Scope, streaming: StreamingConfig
    ) -> list[RewardValue]:
        """Measure this process' rollouts; by default one by one."""
        return [self.measure(scored, scope, streaming) for scored in batch]

    def within_group(self, values_NG: Tensor, right_NG: Tensor, progress: float) -> Tensor:
        """The rewards of N groups of G rollouts, from their measures; by default the measures themselves.

        Called once the measures of all processes are gathered, for each chunk apart with sentence granularity.

        Args:
            values_NG: Measures, float32; NaN for one that cannot be scored, whose reward is NaN too.
            right_NG: Whether the answers are right, bool.
            progress: Share of the training that is over, 0 to 1.
        """
        del right_NG, progress
        return values_NG

    @property
    def margin(self) -> float | None:
        """The least reward of a right answer minus the most of a wrong one, at equal format; None if unknown."""
        return None

    def check(self, scope: Scope, streaming: StreamingConfig) -> None:
        """Raise a ValueError for settings that do not fit the scope or the caps."""
        del scope, streaming


@dataclass(frozen=True)
class Reward:
    """One reward of a run: a rule with its scope, and its weight in the sum of that scope."""

    name: str
    scope: Scope
    weight: float
    rule: Rule
    streaming: StreamingConfig

    def measure(self, scored: ScoredRollout) -> RewardValue:
        """Measure one rollout."""
        return self.rule.measure(scored, self.scope, self.streaming)

    def measure_batch(self, batch: Sequence[ScoredRollout]) -> list[RewardValue]:
        """Measure this process' rollouts."""
        return self.rule.measure_batch(batch, self.scope, self.streaming)


def answered_right(rollout: Rollout, episode: Episode) -> bool:
    """Whether the rollout delivered the right answer; only an ANSWERED one delivers any (our choice)."""
    return rollout.ending is Ending.ANSWERED and is_right(
        rollout.answer, episode.answer, episode.answer_type, episode.tolerance
    )


def by_length(
    scored: ScoredRollout, scope: Scope, value_of: Callable[[float], float] = float
) -> RewardValue:
    """A function of the tokens that the model wrote in the scope, by default their number.

    Streaming: of each thought's tokens, and the mean over all chunks; a skip counts, a thought not begun has 0 tokens.
    Deep: of the tokens up to the end of the answer's value, so reasoning behind the answer's marker costs the same.
    Global: of both together. Markers count; forced tokens do not.
    """
    rollout = scored.rollout
    if scope is not Scope.STREAMING:
        streamed = rollout.tokens_in(Phase.STREAM) if scope is Scope.GLOBAL else 0
        return RewardValue(value_of(float(streamed + rollout.answer_tokens)))
    counts = rollout.thought_tokens()
    if not counts:
        return RewardValue(None)
    values = scored.padded([value_of(count) for count in counts])
    mean = statistics.fmean(value_of(0) if value is None else value for value in values)
    return RewardValue(mean, values)
