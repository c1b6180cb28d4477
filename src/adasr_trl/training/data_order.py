"""An order of the training data that is a function of seed and epoch, so that a resumed run repeats it.

    >>> sampler = EpochSeeded(RepeatSampler(...), seed=0)

TRL's RepeatSampler goes on with one generator from epoch to epoch, and transformers' LengthGroupedSampler uses the
global random state; neither can be picked up in the middle. In the first epoch TRL's order is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler


class EpochSeeded(Sampler[int]):
    """Another sampler, whose random numbers are drawn anew from seed + epoch in each epoch."""

    def __init__(self, sampler: Any, seed: int) -> None:
        """Wrap a sampler that draws from its attribute ``generator``."""
        self._sampler = sampler
        self._seed = seed
        sampler.generator = torch.Generator().manual_seed(seed)

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before each epoch."""
        self._sampler.generator.manual_seed(self._seed + epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sampler)

    def __len__(self) -> int:
        return len(self._sampler)
