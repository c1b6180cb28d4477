"""A penalty for saying the same again: the share of word n-grams that stood before (arXiv 2502.03373, C.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.rewards.base import Graded, Measured, Rule, Scope


@dataclass(frozen=True)
class Repetition(Rule):
    """-max_penalty * (1 - unique n-grams / n-grams); 0 for texts shorter than an n-gram.

    Over words, not tokens: markers of several tokens are no repetition. Streaming: over all thoughts in their order,
    no n-gram across two of them; of one thought the share that stood before in it or an earlier one. Deep: reasoning
    and answer as one text.

    Attributes:
        words: n, the words of an n-gram.
        max_penalty: The penalty of a text that only repeats.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING, Scope.DEEP})
    words: int = 3
    max_penalty: float = 1.0

    def __post_init__(self) -> None:
        """Refuse n-grams without a word, and a penalty that is a reward."""
        if self.words < 1:
            raise ValueError(f"words: got {self.words}; expected 1 or more.")
        if not self.max_penalty >= 0.0:
            raise ValueError(f"max_penalty: got {self.max_penalty:g}; expected 0 or more.")

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """The penalty, at most 0."""
        del streaming
        rollout = graded.rollout
        if scope is Scope.DEEP:
            value, _ = self._penalties([f"{rollout.deep} {rollout.answer or ''}"])
            return Measured(value)
        if not rollout.thought_endings:
            return Measured(None)
        value, chunks = self._penalties(rollout.thoughts)
        missing = len(graded.episode.chunks) - len(chunks)
        return Measured(value, (*chunks, *[None] * missing))

    def _penalties(self, texts: Sequence[str]) -> tuple[float, list[float]]:
        """The penalty of all texts together, and of each one behind those before it."""
        seen: set[tuple[str, ...]] = set()
        repeated, total, each = 0, 0, []
        for text in texts:
            words = text.split()
            found = list(zip(*(words[i:] for i in range(self.words)), strict=False))
            before = len(seen)
            seen.update(found)
            again = len(found) - (len(seen) - before)
            each.append(self._penalty(again, len(found)))
            repeated, total = repeated + again, total + len(found)
        return self._penalty(repeated, total), each

    def _penalty(self, repeated: int, total: int) -> float:
        return -self.max_penalty * repeated / total if repeated else 0.0

    @property
    def margin(self) -> float:
        """The whole penalty against 0: needs accuracy beside it."""
        return -self.max_penalty
