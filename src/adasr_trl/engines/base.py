"""The engine's one method, and what goes in.

    >>> rollouts = engine.rollout([Request(episode, seed=1)], Sampling(temperature=1.0))

A rollout depends on its request alone: never on its neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode
from adasr_trl.core.rollout import Rollout

if TYPE_CHECKING:
    from adasr_trl.engines.rollout_state import Row
    from adasr_trl.layouts.base import Turn


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; top_p 1, top_k 0 and min_p 0 are off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled from."""
        if self.temperature < 0:
            raise ValueError(f"temperature: got {self.temperature}; expected 0 (greedy) or more.")


@dataclass(frozen=True)
class Request:
    """One rollout to be made: an episode, the seed of its random numbers, and the mode."""

    episode: Episode
    seed: int
    mode: Mode = Mode.STREAMING


class Engine(Protocol):
    """Anything that can roll out episodes."""

    def rollout(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        progress: Callable[[int], None] | None = None,
    ) -> list[Rollout]:
        """One rollout a request, in the same order; ``progress`` is told how many more are done."""
        ...


class LiveEngine(Protocol):
    """Anything that can write in a stream that is still arriving."""

    def live_row(self, request: Request, turns: Sequence[Turn], /) -> tuple[Row, Any]:
        """A row that begins with ``turns``, and what the engine keeps for it between two calls."""
        ...

    def advance(self, row: Row, memory: Any, sampling: Sampling, /) -> None:
        """Read and write on until the row waits for more of its stream, or is done."""
        ...


Generate = Callable[[Sequence[Request], Sampling], list[Rollout]]  # a trainer's rollout function
