"""A key-value cache whose sequences move at their own pace, and may share a prefix.

    >>> cache = SlotCache(layers=4, slots=64, device=device)
    >>> cache.add_prefixes(visibility_PS, states, slots_of)   # a group's common prompt is kept once
    >>> cache.prepare(step)                                   # where the next tokens go, what they see
    >>> model(input_ids, slots=cache, **{cache_argument(model): cache})

Transformers' own caches have one write position for all sequences, so these are padded to equal lengths. Here each
sequence has a **slot**, and its n-th token behind the shared prefix lies at **offset** n of it. A token's visibility of
the source (``layouts.visibility``) says which keys it may attend to; ``attention`` computes the attention.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

from adasr_trl.engines.memory import GROWTH_TOKENS
from adasr_trl.engines.packing import QueryGroup, pack


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    """Keys and values of one layer, with h key-value heads of size D.

    Attributes:
        keys: Of the slots' own tokens, (B, h, T, D); ``values`` likewise.
        prefix_keys: Of the shared prefixes, (P, h, S, D), or None; ``prefix_values`` likewise.
    """

    prefix_keys: Tensor | None = None
    prefix_values: Tensor | None = None

    def __init__(self, owner: SlotCache) -> None:
        super().__init__()
        self._owner = owner

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate for the current width."""
        self.keys, self.values = self._empty(key_states), self._empty(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store the packed tokens (1, h, N, D) as ``prepare`` planned; the return value is not read."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.keys.size(2) < self._owner.capacity:
            self.keys, self.values = self._grown(self.keys), self._grown(self.values)
        slots_N, offsets_N = self._owner.slots_N, self._owner.offsets_N
        self.keys[slots_N, :, offsets_N] = key_states[0].transpose(0, 1)  # (N, h, D)
        self.values[slots_N, :, offsets_N] = value_states[0].transpose(0, 1)  # (N, h, D)
        return key_states, value_states

    def add_prefixes(self, remaining: Tensor, keys: Tensor, values: Tensor) -> None:
        """Keep the ``remaining`` prefixes, and append others (P, h, S, D)."""
        self.prefix_keys = _appended(self.prefix_keys, remaining, keys, axis=2)
        self.prefix_values = _appended(self.prefix_values, remaining, values, axis=2)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        own = (self.keys, self.values) if self.is_initialized else ()
        tensors = (*own, self.prefix_keys, self.prefix_values)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Required by transformers, which builds no mask here."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Required by transformers, which counts no positions here."""
        return 0

    def get_max_length(self) -> int:
        """No limit."""
        return -1

    def _empty(self, states: Tensor) -> Tensor:
        _, heads, _, size = states.shape
        return states.new_zeros((self._owner.num_slots, heads, self._owner.capacity, size))

    def _grown(self, old: Tensor) -> Tensor:
        new = self._empty(old)
        new[:, :, : old.size(2)] = old
        return new


class SlotCache(Cache):  # type: ignore[misc]  # transformers is untyped
    """See the module. Memory grows in steps to the longest slot.

    Attributes:
        num_slots: Sequences that it holds at most, B.
        width: Tokens of the step's longest slot, behind the prefix.
        slots_N: The slot of each token of the step; ``offsets_N`` its offset.
        groups: The step's query groups.
    """

    def __init__(self, layers: int, slots: int, device: torch.device) -> None:
        self.num_slots = slots
        self.width = 0
        self.groups: tuple[QueryGroup, ...] = ()
        self.slots_N = self.offsets_N = torch.zeros(0, dtype=torch.long, device=device)
        self._lengths = [0] * slots  # tokens behind the prefix
        self._visibility_BT = torch.zeros((slots, self.capacity), dtype=torch.long, device=device)
        self._prefix_of_slot = [-1] * slots
        self._prefixes_PS: Tensor | None = None  # visibility of the prefixes' tokens
        super().__init__(layers=[SlotLayer(self) for _ in range(layers)])

    @property
    def capacity(self) -> int:
        """Tokens to allocate a slot for the current width."""
        return max(-(-self.width // GROWTH_TOKENS), 1) * GROWTH_TOKENS

    @property
    def nbytes(self) -> int:
        """Memory of keys and values in bytes."""
        return sum(layer.nbytes for layer in self.layers)

    def add_prefixes(
        self, visibility_PS: Tensor, states: Cache, slots_of: Sequence[Sequence[int]]
    ) -> None:
        """Empty ``slots_of`` each of P new prefixes for sequences that share it, and drop prefixes without a slot.

        ``states`` has the prefixes' keys and values, padded at the end, where ``visibility_PS`` is 0.
        """
        emptied = [slot for slots in slots_of for slot in slots]
        for slot in emptied:
            self._prefix_of_slot[slot], self._lengths[slot] = -1, 0
        self._visibility_BT[emptied] = 0  # no query attends to tokens of the slot's last sequence
        remaining = sorted(set(self._prefix_of_slot) - {-1})
        number = {-1: -1} | {prefix: n for n, prefix in enumerate(remaining)}
        self._prefix_of_slot = [number[prefix] for prefix in self._prefix_of_slot]
        for p, slots in enumerate(slots_of, start=len(remaining)):
            for slot in slots:
                self._prefix_of_slot[slot] = p
        index = torch.tensor(remaining, dtype=torch.long, device=visibility_PS.device)
        self._prefixes_PS = _appended(self._prefixes_PS, index, visibility_PS, axis=1)
        for layer, added in zip(self.layers, states.layers, strict=True):
            layer.add_prefixes(index, added.keys, added.values)

    def prepare(self, step: Sequence[tuple[int, Sequence[int]]]) -> Tensor:
        """Plan the next forward of N tokens: where they go, and which keys they attend to.

        ``step`` has slots, each with the visibility of its next tokens. Returns the packed order, (N): indices into the
        concatenation of ``step``, the last token of each slot first.
        """
        packed = pack(step, self._lengths, self._visibility_BT.device)
        for slot, visibility in step:
            self._lengths[slot] += len(visibility)
        self.width = max(self._lengths[slot] for slot, _ in step)
        missing = max(0, self.capacity - self._visibility_BT.size(1))
        self._visibility_BT = pad(self._visibility_BT, (0, missing))  # (B, T)
        self.slots_N, self.offsets_N = packed.slots_N, packed.offsets_N
        self._visibility_BT[self.slots_N, self.offsets_N] = packed.visibility_N
        keys_BK = self._visibility_BT[:, : self.width]  # (B, K)
        self.groups = tuple(
            QueryGroup.of(tokens, packed, self._prefix_of_slot, keys_BK, self._prefixes_PS)
            for tokens in packed.groups
        )
        return packed.order_N

    def keep(self, slots: list[int], empty: int = 0) -> None:
        """Keep only these slots, in this order, and append empty ones; memory shrinks to the longest."""
        index = torch.tensor(slots, dtype=torch.long, device=self._visibility_BT.device)
        self.num_slots = len(slots) + empty
        self._prefix_of_slot = [self._prefix_of_slot[slot] for slot in slots] + [-1] * empty
        self._lengths = [self._lengths[slot] for slot in slots] + [0] * empty
        self.width = max(self._lengths, default=0)
        kept_BT = self._visibility_BT[index, : self.capacity]  # (slots, T)
        self._visibility_BT = pad(kept_BT, (0, 0, 0, empty))  # (B, T)
        rows = (0, 0) * 3 + (0, empty)  # pad counts axes from the last one
        for layer in self.layers:
            if layer.is_initialized:
                keys, values = layer.keys[index], layer.values[index]  # (slots, h, T, D)
                layer.keys = pad(keys[:, :, : self.capacity], rows)  # (B, h, T, D)
                layer.values = pad(values[:, :, : self.capacity], rows)  # (B, h, T, D)

    def length(self, slot: int) -> int:
        """Tokens of a slot behind its prefix."""
        return self._lengths[slot]

    def truncate(self, slot: int, length: int) -> None:
        """Forget the tokens of a slot from this offset on."""
        self._lengths[slot] = min(self._lengths[slot], length)
        self._visibility_BT[slot, length:] = 0  # no query attends to them any more


def cache_argument(model: PreTrainedModel) -> str:
    """Name of the cache among the arguments of a model's forward: ``past_key_values`` before transformers 5.24.

    Asked of the model, since another author's model may keep the old name, and would ignore the new one silently.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # of an adapter
    return (
        "cache"
        if "cache" in inspect.signature(type(base).forward).parameters
        else "past_key_values"
    )


def _appended(old: Tensor | None, remaining: Tensor, new: Tensor, axis: int) -> Tensor:
    """The remaining rows of ``old`` and all of ``new``, padded to one length along ``axis``."""
    if old is None or not len(remaining):
        return new
    length = max(old.size(axis), new.size(axis))
    tail = (0, 0) * (new.dim() - 1 - axis)  # pad counts axes from the last one
    parts = [pad(part, (*tail, 0, length - part.size(axis))) for part in (old[remaining], new)]
    return torch.cat(parts)  # (remaining + P, ...)
