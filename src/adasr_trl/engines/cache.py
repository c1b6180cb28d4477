"""A key-value cache whose rows are at positions of their own.

    >>> cache = SlotCache(layers=4, rows=64, device=device)
    >>> cache.place(slots_BQ)            # where the next forward's tokens go, row by row
    >>> model(input_ids, past_key_values=cache, attention_mask=cache.mask(positions_BQ), ...)

Row r keeps its token of position p in slot p + 1; slot 0 takes padding, which nothing else sees. Transformers'
own caches have one write position for all rows. A row that is given to a new rollout needs no clearing: a token
sees only slots up to its own position, and those were written by then.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    def __init__(self, owner: SlotCache) -> None:
        super().__init__()
        self._owner = owner

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys = self._empty(key_states)
        self.values = self._empty(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.keys.size(2) < self._owner.width:
            self.keys = self._grown(self.keys)
            self.values = self._grown(self.values)
        rows_B1, slots_BQ = self._owner.rows_B1, self._owner.slots_BQ
        self.keys[rows_B1, :, slots_BQ] = key_states.transpose(1, 2)
        self.values[rows_B1, :, slots_BQ] = value_states.transpose(1, 2)
        width = self._owner.width
        return self.keys[:, :, :width], self.values[:, :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        del query_length  # the mask is ours
        return self._owner.width, 0

    def get_seq_length(self) -> int:
        return self._owner.width

    def get_max_length(self) -> int:
        return -1

    def _empty(self, states: Tensor) -> Tensor:
        batch, heads, _, size = states.shape
        return states.new_zeros((batch, heads, self._owner.capacity(), size))

    def _grown(self, old: Tensor) -> Tensor:
        new = self._empty(old)
        new[:, :, : old.size(2)] = old
        return new


class SlotCache(Cache):  # type: ignore[misc]  # transformers is untyped
    """See the module. Memory grows in steps to the longest row."""

    def __init__(self, layers: int, rows: int, device: torch.device) -> None:
        """A cache of ``rows`` rows for a model of ``layers`` layers."""
        self.rows_B1 = torch.arange(rows, device=device).unsqueeze(1)
        self.slots_BQ = torch.zeros((rows, 0), dtype=torch.long, device=device)
        self.width = 1
        super().__init__(layers=[_SlotLayer(self) for _ in range(layers)])

    def capacity(self) -> int:
        """Slots to allocate for the current width: the next multiple of 128."""
        return -(-self.width // 128) * 128

    def place(self, positions_BQ: Tensor) -> None:
        """Say where the next forward's tokens go; position -1 is padding.

        Args:
            positions_BQ: Position of each token in its row.
        """
        self.slots_BQ = positions_BQ + 1
        self.width = int(self.slots_BQ.max()) + 1

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order."""
        index = torch.tensor(rows, device=self.rows_B1.device)
        self.rows_B1 = self.rows_B1[: len(rows)]
        for layer in self.layers:
            if layer.is_initialized:
                layer.keys, layer.values = layer.keys[index], layer.values[index]

    def mask(self) -> Tensor:
        """Who sees whom in the next forward: bool (B, 1, Q, width), True = may attend."""
        slots_K = torch.arange(self.width, device=self.slots_BQ.device)
        own_BQ1 = self.slots_BQ.unsqueeze(-1)
        visible = (slots_K <= own_BQ1) & ((slots_K > 0) | (own_BQ1 == 0))
        return visible.unsqueeze(1)
