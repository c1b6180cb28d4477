"""Accuracy and format: whether the answer is right, and whether the protocol was kept.

The paper names both as rewards of AdaSR; the formulas are ours.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import ClassVar

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.protocol import Ending
from adasr_trl.rewards.base import Graded, Measured, Rule, Scope


@dataclass(frozen=True)
class Accuracy(Rule):
    """1 for the right final answer, else 0.

    In a local scope it keeps penalties there from pulling a right rollout below a wrong one.
    """

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Whether the answer is right."""
        del scope, streaming
        return Measured(float(graded.right))

    @property
    def margin(self) -> float:
        """1 against 0."""
        return 1.0


@dataclass(frozen=True)
class Format(Rule):
    """1 if the protocol was kept in the scope, else 0; keep the weight below 1/2.

    Streaming: every thought ended by itself, with its marker or as a skip. Deep: the rollout is ANSWERED.

    Attributes:
        partial_credit: Streaming: the share of the thoughts that kept it. Deep: 1/2 where the tokens ran out before
            anything was malformed. (An early end marker earns nothing, or it would be written early.)
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING, Scope.DEEP})
    partial_credit: bool = False

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Whether, or how far, the protocol was kept."""
        del streaming
        if scope is Scope.DEEP:
            return Measured(self._deep(graded.rollout.ending))
        endings = graded.rollout.thought_endings
        if not endings:
            return Measured(None)
        kept = [float(ending in (Ending.THOUGHT, Ending.SKIP)) for ending in endings]
        missing = len(graded.episode.chunks) - len(kept)
        every = [*kept, *[0.0] * missing]
        value = statistics.fmean(every) if self.partial_credit else min(every)
        return Measured(value, (*kept, *[None] * missing))

    def _deep(self, ending: Ending) -> float:
        if ending is Ending.OUT_OF_TOKENS and self.partial_credit:
            return 0.5
        return float(ending is Ending.ANSWERED)

    @property
    def margin(self) -> float:
        """Equal format is equal reward."""
        return 0.0
