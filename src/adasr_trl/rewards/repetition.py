"""A penalty for repetition: the share of word n-grams that occurred before (arXiv 2502.03373, C.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from adasr_trl.rewards.base import RewardValue, Rule, Scope, ScoredRollout


@dataclass(frozen=True)
class Repetition(Rule):
    """-max_penalty * (1 - unique n-grams / n-grams); 0 for texts shorter than an n-gram.

    Over words, not tokens: markers of several tokens are no repetition. Streaming: over all thoughts in their order,
    no n-gram across two of them; of one thought the share that occurred in it or an earlier one. Deep: reasoning
    and answer as one text.

    Attributes:
        words: n, the words of an n-gram.
        max_penalty: The penalty of a text that only repeats.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING, Scope.DEEP})
    BOUNDS: ClassVar = {"words": (1, math.inf), "max_penalty": (0.0, math.inf)}
    words: int = 3
    max_penalty: float = 1.0

    @property
    def margin(self) -> float:
        """The whole penalty against 0: needs accuracy beside it."""
        return -self.max_penalty

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """The penalty, at most 0."""
        rollout = scored.rollout
        if scope is Scope.DEEP:
            return RewardValue(self._penalties([f"{rollout.deep} {rollout.answer or ''}"])[0])
        if not rollout.thought_endings:
            return RewardValue(None)
        value, chunks = self._penalties(rollout.thoughts)
        return RewardValue(value, scored.padded(chunks))

    def _penalties(self, texts: Sequence[str]) -> tuple[float, list[float]]:
        """The penalty of all texts together, and of each one after those before it."""
        seen: set[tuple[str, ...]] = set()
        repeated, total, penalties = 0, 0, []
        for text in texts:
            words = text.split()
            ngrams = list(zip(*(words[i:] for i in range(self.words)), strict=False))
            before = len(seen)
            seen.update(ngrams)
            again = len(ngrams) - (len(seen) - before)
            penalties.append(self._penalty(again, len(ngrams)))
            repeated, total = repeated + again, total + len(ngrams)
        return self._penalty(repeated, total), penalties

    def _penalty(self, repeated: int, total: int) -> float:
        return -self.max_penalty * repeated / total if repeated else 0.0
