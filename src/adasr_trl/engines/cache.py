"""A key-value cache whose rows are filled at their own pace, and the attention mask over it.

    >>> cache = SlotCache(layers=4, rows=64, device=device)
    >>> cache.place(slots_BQ, views_BQ)   # where the next forward's tokens go, row by row, and what they see
    >>> model(input_ids, past_key_values=cache, attention_mask=cache.mask(), ...)

Row r keeps its n-th token (from 0) in slot n + 1; slot 0 takes padding, which nothing else sees. What a token sees is
its view (``layouts.views``). Transformers' own caches have one write position for all rows. A row that is given to a
new rollout needs no clearing: a token sees only slots that were written by then.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from adasr_trl.layouts.views import visible


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
        self._make_room(key_states, value_states)
        rows_B1, slots_BQ = self._owner.rows_B1, self._owner.slots_BQ
        self.keys[rows_B1, :, slots_BQ] = key_states.transpose(1, 2)
        self.values[rows_B1, :, slots_BQ] = value_states.transpose(1, 2)
        width = self._owner.width
        return self.keys[:, :, :width], self.values[:, :, :width]

    def load(self, rows: Tensor, keys: Tensor, values: Tensor) -> None:
        """Fill the first slots of some rows with the states of tokens that were read elsewhere."""
        self._make_room(keys, values)
        end = keys.size(2) + 1
        self.keys[rows, :, 1:end] = keys
        self.values[rows, :, 1:end] = values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        del query_length  # the mask is ours
        return self._owner.width, 0

    def get_seq_length(self) -> int:
        return self._owner.width

    def get_max_length(self) -> int:
        return -1

    def _make_room(self, keys: Tensor, values: Tensor) -> None:
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        if self.keys.size(2) < self._owner.width:
            self.keys = self._grown(self.keys)
            self.values = self._grown(self.values)

    def _empty(self, states: Tensor) -> Tensor:
        _, heads, _, size = states.shape
        return states.new_zeros((len(self._owner.rows_B1), heads, self._owner.capacity(), size))

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
        self._views_BQ = self.slots_BQ
        self._views_BK = torch.zeros((rows, self.capacity()), dtype=torch.long, device=device)
        super().__init__(layers=[_SlotLayer(self) for _ in range(layers)])

    def capacity(self) -> int:
        """Slots to allocate for the current width: the next multiple of 128."""
        return -(-self.width // 128) * 128

    def place(self, slots_BQ: Tensor, views_BQ: Tensor) -> None:
        """Say where the next forward's tokens go, and what they see; slot 0 with view 0 is padding."""
        self.slots_BQ, self._views_BQ = slots_BQ, views_BQ
        self._widen(int(slots_BQ.max()) + 1)
        self._views_BK[self.rows_B1, slots_BQ] = views_BQ

    def load(self, rows: Tensor, views_nQ: Tensor, states: Cache, source: Tensor) -> None:
        """Take over tokens that were read elsewhere, such as the beginning that a group shares.

        Args:
            rows: The n rows to fill, from their slot 1 on.
            views_nQ: The views of their tokens; 0 for padding at the end.
            states: A cache of transformers' that holds them.
            source: For each of the n rows its row in ``states``.
        """
        length = views_nQ.size(1)
        self._widen(length + 1)
        self._views_BK[rows, 1 : length + 1] = views_nQ
        for own, other in zip(self.layers, states.layers, strict=True):
            own.load(rows, other.keys[source], other.values[source])

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order."""
        index = torch.tensor(rows, device=self.rows_B1.device)
        self.rows_B1 = self.rows_B1[: len(rows)]
        self._views_BK = self._views_BK[index]
        for layer in self.layers:
            if layer.is_initialized:
                layer.keys, layer.values = layer.keys[index], layer.values[index]

    def mask(self) -> Tensor:
        """Who sees whom in the next forward: bool (B, 1, Q, width), True = may attend."""
        slots_K = torch.arange(self.width, device=self.slots_BQ.device)
        return visible(self._views_BQ, self.slots_BQ, self._views_BK[:, : self.width], slots_K)

    def _widen(self, width: int) -> None:
        """Rows end where the longest of the step does; a wider row's slots wait behind."""
        self.width = width
        missing = self.capacity() - self._views_BK.size(1)
        if missing > 0:
            self._views_BK = torch.nn.functional.pad(self._views_BK, (0, missing))
