"""One rollout to be made, and how its tokens are sampled: the inputs of every engine.

>>> engine.rollout([Request(episode, seed=1)], Sampling(temperature=1.0))
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from adasr_trl.config.sections import refuse_temperature
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode


@dataclass(frozen=True)
class Sampling:
    """Sampling settings. Temperature 0 is greedy; top_p 1, top_k 0 and min_p 0 are off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a temperature that is negative, or too small for float32 (ValueError)."""
        refuse_temperature("temperature", self.temperature)


@dataclass(frozen=True)
class Request:
    """One rollout to be made.

    Attributes:
        episode: Question and chunks.
        seed: Seed of its random numbers.
        mode: Streaming, or another mode of measuring.
        written: Token ids of thoughts that it begins with, as if sampled: whole thoughts on its first chunks.
    """

    episode: Episode
    seed: int
    mode: Mode = Mode.STREAMING
    written: tuple[int, ...] = ()


def stable_hash(text: str) -> int:
    """64 bits of a text's SHA-256, for seeds: the same in every process, where ``hash`` differs."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
