"""A key-value cache for rows that move at their own pace, and that may share how they begin.

    >>> cache = SlotCache(layers=4, rows=64, device=device)
    >>> cache.share(views_PS, states, places)     # a prompt that a group has in common is kept once
    >>> cache.place(fed)                          # where the next forward's tokens go, and what they see
    >>> model(input_ids, past_key_values=cache, slots=cache, ...)

Transformers' own caches have one write position for all rows, so rows have to be padded to equal lengths; here the N
tokens of a step lie packed in one sequence (1, N), as many of each row as it has. Row r keeps its n-th token in slot n,
behind its beginning. What a token sees is its view (``layouts.views``). The attention over it all is in ``attention``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad as padded
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from adasr_trl.engines.memory import SLOTS_AT_ONCE
from adasr_trl.engines.packing import Band, Placed, pack


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    """Keys and values of one layer.

    Attributes:
        keys: Of the rows' own tokens, (B, h, T, D); ``values`` likewise.
        shared_keys: Of the beginnings, (P, h, S, D), or None; ``shared_values`` likewise.
    """

    shared_keys: Tensor | None = None
    shared_values: Tensor | None = None

    def __init__(self, owner: SlotCache) -> None:
        """A layer of the cache."""
        super().__init__()
        self._owner = owner

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate for the current width."""
        self.keys, self.values = self._empty(key_states), self._empty(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Put the packed tokens (1, h, N, D) where ``place`` said; what is returned is not read."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.keys.size(2) < self._owner.capacity:
            self.keys, self.values = self._grown(self.keys), self._grown(self.values)
        rows_N, slots_N = self._owner.rows_N, self._owner.slots_N
        self.keys[rows_N, :, slots_N] = key_states[0].transpose(0, 1)
        self.values[rows_N, :, slots_N] = value_states[0].transpose(0, 1)
        return key_states, value_states

    def share(self, kept: Tensor, keys: Tensor, values: Tensor) -> None:
        """Keep some beginnings, and append others (P, h, S, D)."""
        self.shared_keys = _appended(self.shared_keys, kept, keys)
        self.shared_values = _appended(self.shared_values, kept, values)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        own = (self.keys, self.values) if self.is_initialized else ()
        return sum(
            each.nbytes for each in (*own, self.shared_keys, self.shared_values) if each is not None
        )

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Transformers asks; the mask is ours."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Transformers asks; positions are ours."""
        return 0

    def get_max_length(self) -> int:
        """No limit."""
        return -1

    def _empty(self, states: Tensor) -> Tensor:
        _, heads, _, size = states.shape
        return states.new_zeros((self._owner.rows, heads, self._owner.capacity, size))

    def _grown(self, old: Tensor) -> Tensor:
        new = self._empty(old)
        new[:, :, : old.size(2)] = old
        return new


class SlotCache(Cache):  # type: ignore[misc]  # transformers is untyped
    """See the module. Memory grows in steps to the longest row."""

    def __init__(self, layers: int, rows: int, device: torch.device) -> None:
        """A cache of ``rows`` rows for a model of ``layers`` layers."""
        self.rows = rows
        self.width = 0  # slots that the longest row of the step has
        self.bands: tuple[Band, ...] = ()
        self.rows_N = self.slots_N = torch.zeros(0, dtype=torch.long, device=device)
        self._views_BT = torch.zeros((rows, self.capacity), dtype=torch.long, device=device)
        self._views_PS: Tensor | None = None
        self._beginning_of_row = [-1] * rows
        self._filled = [0] * rows
        super().__init__(layers=[SlotLayer(self) for _ in range(layers)])

    @property
    def capacity(self) -> int:
        """Slots to allocate for the current width."""
        return max(-(-self.width // SLOTS_AT_ONCE), 1) * SLOTS_AT_ONCE

    @property
    def nbytes(self) -> int:
        """Memory of keys and values in bytes."""
        return sum(layer.nbytes for layer in self.layers)

    def share(self, views_PS: Tensor, states: Cache, places: Mapping[int, Sequence[int]]) -> None:
        """Take over beginnings that were read elsewhere; those that no row needs any more are dropped.

        Args:
            views_PS: The views of their tokens; 0 for padding at the end.
            states: A cache of transformers' that holds them.
            places: The rows that begin with each of the P.
        """
        new = {place: p for p, rows in places.items() for place in rows}
        self._filled = [0 if row in new else n for row, n in enumerate(self._filled)]
        self._views_BT[list(new)] = 0  # what the place's last row wrote is seen by nobody
        old = [-1 if row in new else p for row, p in enumerate(self._beginning_of_row)]
        kept = sorted(set(old) - {-1})
        self._beginning_of_row = [
            len(kept) + new[row] if row in new else (kept.index(p) if p >= 0 else -1)
            for row, p in enumerate(old)
        ]
        index = torch.tensor(kept, dtype=torch.long, device=views_PS.device)
        self._views_PS = _appended(self._views_PS, index, views_PS)
        for own, other in zip(self.layers, states.layers, strict=True):
            own.share(index, other.keys, other.values)

    def place(self, step: Sequence[tuple[int, Sequence[int]]]) -> Tensor:
        """Say where the next forward's tokens go, and what they see.

        Args:
            step: Rows that take part, each with the views of its next tokens.

        Returns:
            Their order in the packed sequence: indices into the concatenation of ``step``; the last tokens of the rows
            come first. (N)
        """
        device = self._views_BT.device
        placed = [Placed(row, self._filled[row], tuple(views)) for row, views in step]
        for each in placed:
            self._filled[each.row] += len(each.views)
        self.width = max(self._filled[each.row] for each in placed)
        missing = max(0, self.capacity - self._views_BT.size(1))
        self._views_BT = padded(self._views_BT, (0, missing))
        count = 0 if self._views_PS is None else len(self._views_PS)
        packed = pack(placed, self._beginning_of_row, count, device)
        self.rows_N, self.slots_N = packed.rows_N, packed.slots_N
        self._views_BT[self.rows_N, self.slots_N] = packed.views_N
        keys_BT = self._views_BT[:, : self.width]
        self.bands = tuple(
            band.seeing(packed.views_N, self.slots_N, keys_BT, self._views_PS)
            for band in packed.bands
        )
        return packed.order_N

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order."""
        index = torch.tensor(rows, device=self._views_BT.device)
        self.rows = len(rows)
        self._beginning_of_row = [self._beginning_of_row[row] for row in rows]
        self._filled = [self._filled[row] for row in rows]
        self._views_BT = self._views_BT[index]
        for layer in self.layers:
            if layer.is_initialized:
                layer.keys, layer.values = layer.keys[index], layer.values[index]


def _appended(old: Tensor | None, kept: Tensor, new: Tensor) -> Tensor:
    """The kept rows of ``old`` and all of ``new``, padded to one length along the last but D's axis."""
    if old is None or not len(kept):
        return new
    axis = new.dim() - 1 if new.dim() == 2 else new.dim() - 2
    length = max(old.size(axis), new.size(axis))
    tail = (0, 0) * (new.dim() - 1 - axis)
    parts = [padded(each, (*tail, 0, length - each.size(axis))) for each in (old[kept], new)]
    return torch.cat(parts)
