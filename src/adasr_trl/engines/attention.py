"""Attention of packed tokens over a SlotCache: each over its slot's own keys and over its shared prefix.

    >>> with attending(model, SLOT_ATTENTION):
    ...     model(input_ids, attention_mask=NO_MASK, slots=cache, **{cache_argument(model): cache})

Registered with transformers as an attention implementation, so no model code is needed. Single-token decoding is bound by
memory traffic: the keys that a group's rollouts share are read once for all of them, and key-value heads are never
repeated for their query heads. The sums are those of ordinary attention, in another order.

Shapes: n queries, H query heads, h key-value heads, D head size, R slots (or prefixes), M queries a slot, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from adasr_trl.engines.packing import GatherIndex, QueryGroup

if TYPE_CHECKING:
    from adasr_trl.engines.cache import SlotCache, SlotLayer

SLOT_ATTENTION = "adasr_slots"
NO_MASK = torch.ones((1, 1, 1, 1), dtype=torch.bool)  # with four axes, transformers makes no mask


@contextmanager
def attending(model: Any, implementation: str) -> Iterator[None]:
    """Let the model use this attention implementation for now."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = implementation
    try:
        yield
    finally:
        config._attn_implementation = before


def slot_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    *,
    slots: SlotCache,
    **_ignored: Any,
) -> tuple[Tensor, None]:
    """Attention function of transformers: queries (1, H, N, D) to attended values (1, N, H, D), and no weights.

    ``slots`` is the cache after ``prepare``; ``scaling`` is 1 / sqrt(D) by default.
    """
    del key, value, attention_mask  # all three are in the cache by now
    layer = slots.layers[module.layer_idx]
    scale = query.size(-1) ** -0.5 if scaling is None else scaling
    q_NHD = query[0].transpose(0, 1) * scale  # (N, H, D)
    parts = [_attended(q_NHD[group.tokens], group, layer, slots.width) for group in slots.groups]
    attended_NHD = parts[0] if len(parts) == 1 else torch.cat(parts)  # (N, H, D)
    return attended_NHD.unsqueeze(0), None  # (1, N, H, D)


AttentionInterface.register(SLOT_ATTENTION, slot_attention)


def _attended(q_nHD: Tensor, group: QueryGroup, layer: SlotLayer, width: int) -> Tensor:
    """Values attended to by the queries of a group, (n, H, D)."""
    keys, values = layer.keys[:, :, :width], layer.values[:, :, :width]  # (B, h, K, D)
    if group.slots is not None:
        keys, values = keys[group.slots], values[group.slots]  # (R, h, K, D)
    scores_nHK = _matmul(q_nHD, group.own, keys.transpose(-1, -2))  # (n, H, K)
    if group.prefix is None or layer.prefix_keys is None or layer.prefix_values is None:
        weights_nHK = _softmax(scores_nHK, group, values.dtype)
        return _matmul(weights_nHK, group.own, values)
    before = _matmul(q_nHD, group.prefix, layer.prefix_keys.transpose(-1, -2))  # (n, H, S)
    scores = torch.cat([before, scores_nHK], dim=-1)  # (n, H, S + K)
    weights = _softmax(scores, group, values.dtype)  # (n, H, S + K)
    split = layer.prefix_keys.size(2)
    attended_nHD = _matmul(weights[..., :split], group.prefix, layer.prefix_values)
    return attended_nHD + _matmul(weights[..., split:], group.own, values)


def _softmax(scores_nHK: Tensor, group: QueryGroup, dtype: torch.dtype) -> Tensor:
    scores_nHK = scores_nHK.float().add_(group.bias_n1K)  # in place: it may be large
    return torch.softmax(scores_nHK, dim=-1).to(dtype)  # (n, H, K)


def _matmul(x_nHA: Tensor, index: GatherIndex, y_RhAB: Tensor) -> Tensor:
    """Each query's vectors times the matrices of its slot (or prefix), (n, H, B).

    Scores are queries times transposed keys (A = D, B = K); attended values are weights times values (A = K, B = D).
    """
    heads = y_RhAB.size(1)
    if index.single:  # n = R: no gather, one batched product
        x = x_nHA.reshape(len(x_nHA) * heads, -1, x_nHA.size(-1))  # (n * h, H / h, A)
        return torch.bmm(x, y_RhAB.flatten(0, 1)).view(*x_nHA.shape[:2], -1)  # (n, H, B)
    x_RMHA = index.spread(x_nHA)
    slots, most, all_heads, size = x_RMHA.shape
    x = x_RMHA.reshape(slots, most, heads, -1, size).transpose(1, 2)  # (R, h, M, H / h, A)
    x = x.reshape(slots, heads, -1, size)  # (R, h, M * H / h, A)
    product = (x @ y_RhAB).view(slots, heads, most, all_heads // heads, -1)  # (R, h, M, H / h, B)
    product = product.transpose(1, 2).reshape(slots, most, all_heads, -1)  # (R, M, H, B)
    return index.collect(product)  # (n, H, B)
