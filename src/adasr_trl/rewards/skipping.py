"""Rewards of the choice to think or to skip: a bonus for skipping, and a factor against one choice only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.protocol import Ending
from adasr_trl.rewards.base import Graded, Measured, Rule, Scope

_CHOOSING = frozenset({Scope.STREAMING, Scope.GLOBAL})


def _skips(graded: Graded) -> tuple[float | None, ...]:
    """1 for each skipped chunk, 0 for each thought, None for a chunk that was never reached. (C)."""
    endings = graded.rollout.thought_endings
    missing = len(graded.episode.chunks) - len(endings)
    return (*[float(ending is Ending.SKIP) for ending in endings], *[None] * missing)


@dataclass(frozen=True)
class SkipBonus(Rule):
    """1[right] + bonus * share of skipped chunks; of one chunk, whether it was skipped.

    After AdaptThink (arXiv 2505.13417), whose bonus is for no thinking at all. Its reference accuracy is the same for
    every rollout of a group, so it has no effect on relative advantages and is left out.

    Attributes:
        bonus: delta; below 1, or skipping would outweigh a right answer.
    """

    SCOPES: ClassVar[frozenset[Scope]] = _CHOOSING
    NEEDS_THOUGHTS: ClassVar[bool] = True
    bonus: float = 0.05

    def __post_init__(self) -> None:
        """Refuse a bonus that outweighs a right answer."""
        if not 0.0 <= self.bonus <= 1.0:
            raise ValueError(f"bonus: got {self.bonus:g}; expected 0 to 1.")

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Right, and the bonus."""
        del scope, streaming
        if not graded.rollout.thought_endings:
            return Measured(None)
        skipped = [None if x is None else graded.right + self.bonus * x for x in _skips(graded)]
        share = sum(x or 0.0 for x in _skips(graded)) / len(graded.episode.chunks)
        return Measured(graded.right + self.bonus * share, tuple(skipped))

    @property
    def margin(self) -> float:
        """1 against the bonus."""
        return 1.0 - self.bonus


@dataclass(frozen=True)
class Diversity(Rule):
    """The kind of rollout whose share of the group ``shaping.diversity`` evens out (ARM, arXiv 2505.20258).

    ARM's kinds are answer formats; ours are the skips: 0 for no chunk skipped, 1 for some, 2 for all. Of one chunk:
    0 for a thought, 1 for a skip.
    """

    SCOPES: ClassVar[frozenset[Scope]] = _CHOOSING
    NEEDS_THOUGHTS: ClassVar[bool] = True

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Which kind it is."""
        del scope, streaming
        skips = _skips(graded)
        if not graded.rollout.thought_endings:
            return Measured(None)
        if all(skips):
            return Measured(2.0, skips)
        return Measured(float(any(skips)), skips)

    @property
    def margin(self) -> float:
        """A right answer is worth at least 1, a wrong one 0."""
        return 1.0
