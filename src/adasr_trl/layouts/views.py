"""Who sees whom when an episode lies in two streams: one integer per token says it all.

    >>> views = [1, 2, 3, -2, -2, -3]     # three tokens of the source; three of the target
    >>> mask, positions = attention(torch.tensor([views]))
    >>> positions                          # each stream counts on its own
    tensor([[0, 1, 2, 0, 1, 2]])

A token's **view** is how much of the source it may see: n for the source's n-th token (it sees source only, up to
itself), -n for a token of the target that sees the first n tokens of the source and all of the target before it, 0 for
padding, which sees itself. An ordinary causal sequence is a source without a target. Streaming attention and group
positions are StreamingThinker's (arXiv 2510.17238); AdaSR computes all its log-probabilities under them. Ours: views.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from adasr_trl.core.errors import UserError


def attention(views_BT: Tensor) -> tuple[Tensor, Tensor]:
    """The mask and the positions of whole sequences.

    Args:
        views_BT: The view of each token; the tokens of each stream are in order, padding may be anywhere.

    Returns:
        A bool mask (B, 1, T, T), True where a query (third axis) may attend, and position ids (B, T).
    """
    order_T = torch.arange(views_BT.size(1), device=views_BT.device)
    return visible(views_BT, order_T, views_BT, order_T), positions_of(views_BT)


def positions_of(views_BT: Tensor) -> Tensor:
    """Position ids (B, T): each stream counts on its own; padding has 0."""
    target_BT = views_BT < 0
    return torch.where(target_BT, target_BT.cumsum(dim=1) - 1, views_BT - 1).clamp(min=0)


def block_mask(views_BT: Tensor) -> BlockMask:
    """The mask of ``attention`` for FlexAttention."""
    batch, length = views_BT.shape

    def sees(b: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        query, key = views_BT[b, q], views_BT[b, k]
        source = (key > 0) & (key <= query.abs())
        target = (query < 0) & (key < 0) & (k <= q)
        return source | target | ((query == 0) & (q == k))

    return create_block_mask(sees, batch, None, length, length, device=str(views_BT.device))


def visible(queries_BQ: Tensor, order_Q: Tensor, keys_BK: Tensor, order_K: Tensor) -> Tensor:
    """Which keys each query may see: bool (B, 1, Q, K).

    Args:
        queries_BQ: Views of the queries.
        order_Q: Their places in the sequence, (Q) or (B, Q).
        keys_BK: Views of the keys.
        order_K: Their places.
    """
    query, key = queries_BQ.unsqueeze(-1), keys_BK.unsqueeze(-2)
    at, behind = order_Q.unsqueeze(-1), order_K.unsqueeze(-2)
    seen = (key > 0) & (key <= query.abs())
    target = behind <= at  # in place from here on: each of these may be long
    target = target.logical_and(query < 0).logical_and_(key < 0)
    seen |= target
    if bool((queries_BQ == 0).any()):
        seen |= (behind == at) & (query == 0)
    return seen.unsqueeze(1)


def attention_of(model: Any) -> str:
    """How a model attends, as transformers names it."""
    return str(model.config.get_text_config()._attn_implementation)


def views_of(prompt_length: int, chunk_of_token: Sequence[int], *, fed: bool) -> tuple[int, ...]:
    """The views of a trajectory whose first ``prompt_length`` tokens are the source, the others the target.

    Args:
        prompt_length: Length of the source.
        chunk_of_token: The chunk of each token: -1 for the question and the target's header, k for chunk k and its
            thought, C for the end of the stream and the deep part.
        fed: Whether a segment's last token sees what the next segment sees: when it is fed, the next chunk has been
            read (StreamingThinker's code). Else it sees what its own segment sees (the paper's text).
    """
    source, target = chunk_of_token[:prompt_length], chunk_of_token[prompt_length:]
    read = {chunk: bisect_right(source, chunk) for chunk in set(target)}  # chunks come in order
    views = [-read[chunk] for chunk in target]
    if fed:
        for i, (chunk, following) in enumerate(itertools.pairwise(target)):
            if chunk != following:
                views[i] = -read[following]
    return (*range(1, prompt_length + 1), *views)


@dataclass(frozen=True)
class Viewed:
    """A model that is called with views in place of an attention mask.

    TRL's trainers call ``model(input_ids=..., attention_mask=..., ...)``; given this in the model's place, they run the
    same forward under the streaming attention.

    Attributes:
        model: The model, wrapped by whatever trains it.
        views: The views (B, T), given the attention mask of a call.
        implementation: The model's attention: ``sdpa``, or ``flex_attention``, which skips blocks that are masked.
    """

    model: Callable[..., Any]
    views: Callable[[Tensor], Tensor]
    implementation: str = "sdpa"

    def __post_init__(self) -> None:
        """Refuse attention that reads the mask as something else, or not at all."""
        if self.implementation not in ("sdpa", "flex_attention"):
            raise UserError(
                f"model: its attention is {self.implementation!r}; the parallel layout needs 'sdpa' or "
                f"'flex_attention' (attn_implementation)."
            )

    def __call__(self, *, attention_mask: Tensor, **inputs: Any) -> Any:
        """The model's outputs under the views' mask and positions."""
        views_BT = self.views(attention_mask)
        if self.implementation == "flex_attention":
            mask: Any = block_mask(views_BT)
        else:
            mask = attention(views_BT)[0]
        return self.model(**inputs, attention_mask=mask, position_ids=positions_of(views_BT))
