"""Attention of packed tokens over a SlotCache: each over its row's own keys and over those that it shares.

    >>> with attending(model, SLOTS):
    ...     model(input_ids, attention_mask=NO_MASK, past_key_values=cache, slots=cache, ...)

Registered with transformers as an attention implementation, so no model code is needed. The keys that a group's rollouts
share are read from memory once for all of them, and key-value heads are never repeated for the query heads that use
them: single-token decoding is bound by that traffic. The sums are those of ordinary attention, in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from adasr_trl.engines.packing import Band, Spread

if TYPE_CHECKING:
    from adasr_trl.engines.cache import SlotCache, SlotLayer

SLOTS = "adasr_slots"
NO_MASK = torch.ones(
    (1, 1, 1, 1), dtype=torch.bool
)  # four axes: transformers makes none of its own


@contextmanager
def attending(model: Any, implementation: str) -> Iterator[None]:
    """Let the model attend in this way for now."""
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
    """What transformers calls in place of its own attention.

    Args:
        module: The layer.
        query: Of the packed tokens, (1, H, N, D).
        key: Unused, as is ``value``: both are in the cache by now.
        value: See ``key``.
        attention_mask: Unused: what is seen is in the cache.
        scaling: Of the scores; 1 / sqrt(D) if None.
        slots: The cache, which ``place`` was called on.

    Returns:
        The attended values, (1, N, H, D), and no weights.
    """
    del key, value, attention_mask
    layer = slots.layers[module.layer_idx]
    q_NHD = query[0].transpose(0, 1) * (query.size(-1) ** -0.5 if scaling is None else scaling)
    parts = [_attended(q_NHD[band.tokens], band, layer, slots.width) for band in slots.bands]
    attended_NHD = parts[0] if len(parts) == 1 else torch.cat(parts)
    return attended_NHD.unsqueeze(0), None


AttentionInterface.register(SLOTS, slot_attention)


def _attended(q_nHD: Tensor, band: Band, layer: SlotLayer, width: int) -> Tensor:
    keys, values = layer.keys[:, :, :width], layer.values[:, :, :width]
    if band.rows is not None:
        keys, values = keys[band.rows], values[band.rows]
    scores_nHK = _scores(q_nHD, band.own, keys)
    if band.shared is None or layer.shared_keys is None or layer.shared_values is None:
        weights_nHK = _weights(scores_nHK, band, values)
        return _mixed(weights_nHK, band.own, values)
    scores_nHK = torch.cat([_scores(q_nHD, band.shared, layer.shared_keys), scores_nHK], dim=-1)
    weights_nHK = _weights(scores_nHK, band, values)
    shared = layer.shared_keys.size(2)
    mixed = _mixed(weights_nHK[..., :shared], band.shared, layer.shared_values)
    return mixed + _mixed(weights_nHK[..., shared:], band.own, values)


def _weights(scores_nHK: Tensor, band: Band, values: Tensor) -> Tensor:
    scores_nHK = scores_nHK.float().add_(band.bias_n1K)  # in place: it may be large
    return torch.softmax(scores_nHK, dim=-1).to(values.dtype)


def _scores(q_nHD: Tensor, spread: Spread, keys_RhKD: Tensor) -> Tensor:
    """Each query against the keys of its row or beginning, (n, H, K)."""
    heads = keys_RhKD.size(1)
    if spread.single:
        q = q_nHD.reshape(len(q_nHD) * heads, -1, q_nHD.size(-1))
        scores = torch.bmm(q, keys_RhKD.flatten(0, 1).transpose(1, 2))
        return scores.view(*q_nHD.shape[:2], -1)
    q_RMHD = spread.out(q_nHD)
    rows, most, all_heads, size = q_RMHD.shape
    q = q_RMHD.reshape(rows, most, heads, -1, size).transpose(1, 2).reshape(rows, heads, -1, size)
    scores = (q @ keys_RhKD.transpose(-1, -2)).view(rows, heads, most, all_heads // heads, -1)
    return spread.back(scores.transpose(1, 2).reshape(rows, most, all_heads, -1))


def _mixed(weights_nHK: Tensor, spread: Spread, values_RhKD: Tensor) -> Tensor:
    """The values of each query's row or beginning by their weights, (n, H, D)."""
    heads = values_RhKD.size(1)
    if spread.single:
        w = weights_nHK.reshape(len(weights_nHK) * heads, -1, weights_nHK.size(-1))
        return torch.bmm(w, values_RhKD.flatten(0, 1)).view(*weights_nHK.shape[:2], -1)
    w_RMHK = spread.out(weights_nHK)
    rows, most, all_heads, length = w_RMHK.shape
    w = (
        w_RMHK.reshape(rows, most, heads, -1, length)
        .transpose(1, 2)
        .reshape(rows, heads, -1, length)
    )
    mixed = (w @ values_RhKD).view(rows, heads, most, all_heads // heads, -1)
    return spread.back(mixed.transpose(1, 2).reshape(rows, most, all_heads, -1))
