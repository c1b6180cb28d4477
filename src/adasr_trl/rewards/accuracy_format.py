"""Accuracy and format: whether the answer is right, and whether the rollout follows the format.

The paper names both as rewards of AdaSR; the formulas are our choice.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import ClassVar

from adasr_trl.core.protocol import Ending
from adasr_trl.rewards.base import RewardValue, Rule, Scope, ScoredRollout


@dataclass(frozen=True)
class Accuracy(Rule):
    """1 for the right final answer, else 0.

    In a local scope it keeps penalties there from pulling a right rollout below a wrong one.
    """

    margin: ClassVar[float] = 1.0  # 1 against 0

    def measure(self, scored: ScoredRollout, *_: object) -> RewardValue:
        """Whether the answer is right."""
        return RewardValue(float(scored.right))


@dataclass(frozen=True)
class Format(Rule):
    """1 if the scope follows the format, else 0; keep the weight below 1/2.

    Streaming: every thought ended by itself, with its marker or as a skip. Deep: the rollout is ANSWERED.

    Attributes:
        partial_credit: Streaming: the share of the thoughts that follow it. Deep: 1/2 where the tokens ran out before
            anything was malformed. (An early end marker earns nothing, or it would be written early.)
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING, Scope.DEEP})
    margin: ClassVar[float] = 0.0  # equal format is equal reward
    partial_credit: bool = False

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """Whether, or how far, the format was followed."""
        if scope is Scope.DEEP:
            return RewardValue(self._deep(scored.rollout.ending))
        endings = scored.rollout.thought_endings
        if not endings:
            return RewardValue(None)
        values = scored.padded([float(end in (Ending.THOUGHT, Ending.SKIP)) for end in endings])
        known = [value or 0.0 for value in values]
        return RewardValue(statistics.fmean(known) if self.partial_credit else min(known), values)

    def _deep(self, ending: Ending) -> float:
        if ending is Ending.OUT_OF_TOKENS and self.partial_credit:
            return 0.5
        return float(ending is Ending.ANSWERED)
