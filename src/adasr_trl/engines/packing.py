"""Packing of one step's tokens, and which of them attend together.

A step has one token of each sequence that writes and many of one that reads. Packed in one sequence, no forward computes
padding. Attention needs them apart again: queries of one slot share its keys, those of slots with one prefix share
that. So a step is one **query group** with the last token of every sequence, and another with the tokens before them,
if there are any. Within a group, a **gather index** lays the queries out by the slot, or prefix, that owns their keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adasr_trl.layouts.visibility import may_attend


@dataclass(frozen=True)
class PackedStep:
    """The N tokens of a step in one sequence: the last of each slot in the step's order, then the others.

    Attributes:
        order_N: Index of each token where the slots' tokens follow one another.
        slots_N: Its slot in the cache; ``slots`` is the same as a list.
        offsets_N: Its index within the slot.
        visibility_N: Its visibility of the source.
        groups: The packed tokens of each query group.
    """

    order_N: Tensor
    slots_N: Tensor
    offsets_N: Tensor
    visibility_N: Tensor
    slots: list[int]
    groups: tuple[slice, ...]


def pack(
    step: Sequence[tuple[int, Sequence[int]]], lengths: Sequence[int], device: torch.device
) -> PackedStep:
    """Pack a step: slots, each with the visibility of its next tokens; ``lengths`` are the slots' tokens so far."""
    lasts, others, start = [], [], 0
    for slot, visibility in step:
        tokens = [(start + n, slot, lengths[slot] + n, v) for n, v in enumerate(visibility)]
        lasts.append(tokens.pop())
        others += tokens
        start += len(visibility)
    packed = torch.tensor(lasts + others, device=device)  # (N, 4)
    order_N, slots_N, offsets_N, visibility_N = packed.unbind(dim=1)
    slots = [slot for _, slot, _, _ in lasts + others]
    groups = (slice(0, len(lasts)), slice(len(lasts), start))[: 2 if others else 1]
    return PackedStep(order_N, slots_N, offsets_N, visibility_N, slots, groups)


@dataclass(frozen=True)
class GatherIndex:
    """Layout of n queries as (R, M): at most M for each of R slots (or prefixes).

    Attributes:
        index_RM: The query at each place, any query where there is none; None if they lie so already.
        back_n: The place of each query in the flattened (R, M), or None.
        shape: R and M.
    """

    index_RM: Tensor | None
    back_n: Tensor | None
    shape: tuple[int, int]

    @classmethod
    def of(cls, owners: Sequence[int], count: int, device: torch.device) -> GatherIndex:
        """Lay out queries by their owner, one of ``count``."""
        members: list[list[int]] = [[] for _ in range(count)]
        ranks = []
        for query, owner in enumerate(owners):
            ranks.append(len(members[owner]))
            members[owner].append(query)
        most = max(map(len, members))
        back = [owner * most + rank for owner, rank in zip(owners, ranks, strict=True)]
        if back == list(range(count * most)):
            return cls(None, None, (count, most))  # a reshape is enough, and copies nothing
        index = [queries + [0] * (most - len(queries)) for queries in members]
        index_RM, back_n = torch.tensor(index, device=device), torch.tensor(back, device=device)
        return cls(index_RM, back_n, (count, most))

    @property
    def single(self) -> bool:
        """Whether each slot (or prefix) has exactly one query, in their order."""
        return self.index_RM is None and self.shape[1] == 1

    def spread(self, x_n: Tensor) -> Tensor:
        """Lay out values of queries: (n, ...) to (R, M, ...)."""
        if self.index_RM is None:
            return x_n.view(*self.shape, *x_n.shape[1:])  # (R, M, ...)
        return x_n[self.index_RM]  # (R, M, ...)

    def collect(self, x_RM: Tensor) -> Tensor:
        """Undo ``spread``: (R, M, ...) to (n, ...)."""
        flat = x_RM.flatten(0, 1)  # (R * M, ...)
        return flat if self.back_n is None else flat[self.back_n]  # (n, ...)

    def allowed(
        self, visibility_n: Tensor, order_n: Tensor, keys_RK: Tensor, order_K: Tensor
    ) -> Tensor:
        """Which keys of its slot (or prefix) each query may attend to, (n, K); arguments of ``may_attend``."""
        seen = may_attend(self.spread(visibility_n), self.spread(order_n), keys_RK, order_K)
        return self.collect(seen.squeeze(1))  # (R, 1, M, K) to (n, K)


@dataclass(frozen=True)
class QueryGroup:
    """Queries that attend together.

    Attributes:
        tokens: Their part of the packed tokens, n of them.
        slots: The R slots that they belong to; None for all slots of the cache.
        own: The queries by slot.
        prefix: The queries by shared prefix, if slots have one.
        bias_n1K: 0 for keys that a query may attend to, else minus infinity; keys of the prefix come first.
    """

    tokens: slice
    slots: Tensor | None
    own: GatherIndex
    prefix: GatherIndex | None
    bias_n1K: Tensor

    @classmethod
    def of(
        cls,
        tokens: slice,
        packed: PackedStep,
        prefix_of_slot: Sequence[int],
        keys_BK: Tensor,
        prefixes_PS: Tensor | None,
    ) -> QueryGroup:
        """A query group with its bias.

        ``keys_BK`` is the visibility of the slots' own tokens, those of the step included; ``prefixes_PS`` is that of the
        prefixes' tokens, or None without prefixes.
        """
        device, count = keys_BK.device, len(prefix_of_slot)
        slots, visibility_n = packed.slots[tokens], packed.visibility_N[tokens]
        present = sorted(set(slots))
        chosen = None
        if 2 * len(present) > count:
            present = list(range(count))  # copying the keys of most slots would cost more
        else:
            chosen = torch.tensor(present, device=device)  # (R)
            keys_BK = keys_BK[chosen]  # (R, K)
        row_of = {slot: row for row, slot in enumerate(present)}
        own = GatherIndex.of([row_of[slot] for slot in slots], len(present), device)
        order_K = torch.arange(keys_BK.size(1), device=device)
        allowed = own.allowed(visibility_n, packed.offsets_N[tokens], keys_BK, order_K)
        prefix = None
        if prefixes_PS is not None:
            prefix = GatherIndex.of([prefix_of_slot[s] for s in slots], len(prefixes_PS), device)
            # Offsets begin behind the prefix, so all of it precedes every query.
            first_n, before_PS = torch.zeros_like(visibility_n), torch.full_like(prefixes_PS, -1)
            before = prefix.allowed(visibility_n, first_n, prefixes_PS, before_PS)
            allowed = torch.cat([before, allowed], dim=-1)  # (n, S + K)
        bias = torch.zeros(allowed.shape, device=device).masked_fill_(~allowed, -torch.inf)
        return cls(tokens, chosen, own, prefix, bias.unsqueeze(1))  # (n, 1, S + K)
