"""Rewards of the choice to think or to skip: a bonus for skipping, and one for what the group rarely does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from adasr_trl.core.protocol import Ending
from adasr_trl.rewards.base import RewardValue, Rule, Scope, ScoredRollout

if TYPE_CHECKING:
    from torch import Tensor

_CHOOSING = frozenset({Scope.STREAMING, Scope.GLOBAL})


def _skips(scored: ScoredRollout) -> tuple[float | None, ...]:
    """1 for each skipped chunk, 0 for each thought, None for a chunk that was never reached. (C)."""
    return scored.padded([float(end is Ending.SKIP) for end in scored.rollout.thought_endings])


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
    BOUNDS: ClassVar = {"bonus": (0.0, 1.0)}
    bonus: float = 0.05

    @property
    def margin(self) -> float:
        """1 against the bonus."""
        return 1.0 - self.bonus

    def measure(self, scored: ScoredRollout, *_: object) -> RewardValue:
        """Right, and the bonus."""
        skips = _skips(scored)
        if not scored.rollout.thought_endings:
            return RewardValue(None)
        share = sum(skip or 0.0 for skip in skips) / len(skips)
        values = [None if skip is None else scored.right + self.bonus * skip for skip in skips]
        return RewardValue(scored.right + self.bonus * share, tuple(values))


@dataclass(frozen=True)
class Diversity(Rule):
    """ARM's scaled accuracy (Ada-GRPO, arXiv 2505.20258): rare kinds are worth more, ever less so over the training.

    1[right] * (1 + 1/2 * (G/F - 1) * (1 + cos(pi * progress))), F of the group's G rollouts being of this one's kind:
    G/F at the start, 1 at the end. ARM's kinds are answer formats. Here a rollout's kind is how many chunks it skips:
    0 for none, 1 for some, 2 for all. A chunk's kind is 0 for a thought, 1 for a skip.
    """

    SCOPES: ClassVar[frozenset[Scope]] = _CHOOSING
    NEEDS_THOUGHTS: ClassVar[bool] = True
    margin: ClassVar[float] = 1.0  # a right answer is worth at least 1, a wrong one 0

    def measure(self, scored: ScoredRollout, *_: object) -> RewardValue:
        """The kind, as a number."""
        skips = _skips(scored)
        if not scored.rollout.thought_endings:
            return RewardValue(None)
        return RewardValue(2.0 if all(skips) else float(any(skips)), skips)

    def within_group(self, values_NG: Tensor, right_NG: Tensor, progress: float) -> Tensor:
        """Accuracy, scaled by how rare the kind is in its group."""
        same_NGG = values_NG.unsqueeze(2) == values_NG.unsqueeze(1)  # (N, G, G)
        count_NG = same_NGG.sum(dim=2).clamp(min=1)
        known_N1 = (~values_NG.isnan()).sum(dim=1, keepdim=True)
        decay = 0.5 * (1.0 + math.cos(math.pi * progress))
        reward_NG = right_NG.to(values_NG.dtype) * (1.0 + (known_N1 / count_NG - 1.0) * decay)
        return reward_NG.masked_fill(values_NG.isnan(), math.nan)
