"""Attention of a packed prefix tree by parts: each segment's queries over the segments of its path.

    >>> with attending(model, SHARED_ATTENTION):
    ...     model(tree.ids_N[None], position_ids=tree.positions_N[None], prefix_tree=tree)

Registered with transformers as an attention implementation, so no model code is needed. Each part is transformers'
SDPA with its own mask; a mask over all tokens is never made. Gradients of shared keys add up over the parts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from adasr_trl.layouts.prefix_tree import PrefixTree

SHARED_ATTENTION = "adasr_prefix_tree"


def shared_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    prefix_tree: PrefixTree,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention function of transformers: queries (1, H, N, D) to attended values (1, N, H, D), and no weights."""
    del attention_mask  # the tree's parts have their own
    sizes = list(prefix_tree.segment_sizes)
    queries, keys, values = (torch.split(states, sizes, dim=2) for states in (query, key, value))
    attended = [
        sdpa_attention_forward(
            module,
            query_part,
            _joined(keys, part.keys),
            _joined(values, part.keys),
            part.mask,
            **options,
        )[0]  # (1, Q, H, D)
        for query_part, part in zip(queries, prefix_tree.attention, strict=True)
    ]
    return torch.cat(attended, dim=1), None  # (1, N, H, D)


AttentionInterface.register(SHARED_ATTENTION, shared_attention)


def _joined(segments_1hKD: tuple[Tensor, ...], chosen: tuple[int, ...]) -> Tensor:
    """Keys, or values, of the chosen segments, (1, h, K, D)."""
    if len(chosen) == 1:
        return segments_1hKD[chosen[0]]
    return torch.cat([segments_1hKD[segment] for segment in chosen], dim=2)
