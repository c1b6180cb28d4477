"""Interfaces of engines: whole rollouts for training and evaluation, single steps for live use.

    >>> rollouts = engine.rollout([Request(episode, seed=1)], Sampling(temperature=1.0))

A rollout depends on its request alone: never on its neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from adasr_trl.core.errors import UserError
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.layouts.base import Turn

if TYPE_CHECKING:
    from adasr_trl.engines.pool import PoolCounts

Progress = Callable[[int], None]  # called with the number of rollouts that have just finished
Generate = Callable[[Sequence[Request], Sampling], list[Rollout]]  # a trainer's rollout function


class Engine(Protocol):
    """Engine for whole episodes."""

    def rollout(
        self, requests: Sequence[Request], sampling: Sampling, progress: Progress | None = None
    ) -> list[Rollout]:
        """One rollout a request, in the same order."""
        ...


class SequenceEngine(Protocol):
    """Sequences of streams that are still arriving."""

    def start_sequence(
        self, request: Request, turns: Sequence[Turn], /
    ) -> tuple[SequenceState, Any]:
        """A sequence that begins with ``turns``, and the engine's cache for it."""
        ...

    def advance(self, state: SequenceState, cache: Any, sampling: Sampling, /) -> None:
        """Read and write until the sequence waits for more of its stream, or is done."""
        ...


class LiveEngine(SequenceEngine, Protocol):
    """Engine for live streams, one by one or many together."""

    def pooled(self, max_streams: int, max_cache_gib: float | None = None) -> PooledEngine:
        """An engine that advances many streams together; UserError for a bound of the cache that it cannot keep."""
        ...


class PooledEngine(SequenceEngine, Protocol):
    """Engine whose ``advance`` returns at once: ``step`` does the work, for all sequences together."""

    max_streams: int
    counts: PoolCounts
    on_ready: Callable[[], None]  # called from any thread when a step has something to do by itself

    def step(self) -> Mapping[Any, UserError | None]:
        """Move sequences on.

        Returns the caches of those that moved, each with its failure or None; none if there is nothing to do.
        """
        ...

    def release(self, cache: Any, /) -> None:
        """Forget a sequence."""
        ...

    def close(self) -> None:
        """End its threads."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Memory of keys and values in this process."""
        ...
