"""Visibility of the source: one integer per token says which tokens it may attend to, in a layout of two streams.

    >>> visibility = [1, 2, 3, -2, -2, -3]     # three tokens of the source; three of the target
    >>> mask, positions = mask_and_positions(torch.tensor([visibility]))
    >>> positions                               # each stream counts on its own
    tensor([[0, 1, 2, 0, 1, 2]])

The **visibility** of a token is the number of source tokens that it sees, negative in the target:

- n, the source's n-th token: it sees the source up to itself, and nothing of the target.
- -n, a token of the target: it sees the first n tokens of the source, and the target up to itself.
- 0, padding: it sees itself.

An ordinary causal sequence is a source without a target. Streaming attention and group positions are StreamingThinker's
(arXiv 2510.17238); AdaSR computes all its log-probabilities under them. The integer is our own notation.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from adasr_trl.core.errors import UserError


def source_visibility(
    prompt_length: int, chunk_of_token: Sequence[int], *, fed: bool
) -> tuple[int, ...]:
    """The visibility of each token of a trajectory: first the source, then the target.

    Args:
        prompt_length: Length of the source.
        chunk_of_token: The chunk of each token: -1 for the question and the target's header, k for chunk k and its
            thought, C for the end of the stream and the deep part.
        fed: Whether a segment's last token sees as much as the next segment: by the time it is fed, the next chunk has
            been read (StreamingThinker's code). Else it sees as much as its own segment (the paper's text).
    """
    source, target = chunk_of_token[:prompt_length], chunk_of_token[prompt_length:]
    # Chunks come in order, so the source up to chunk k ends where k would be inserted.
    read = {chunk: bisect_right(source, chunk) for chunk in set(target)}
    visibility = [-read[chunk] for chunk in target]
    if fed:
        for i, (chunk, following) in enumerate(itertools.pairwise(target)):
            if chunk != following:
                visibility[i] = -read[following]
    return (*range(1, prompt_length + 1), *visibility)


def mask_and_positions(visibility_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Bool mask (B, 1, T, T), True where a query (third axis) may attend, and position ids (B, T), of whole sequences.

    Tokens of a stream are in order; padding may be anywhere.
    """
    order_T = torch.arange(visibility_BT.size(1), device=visibility_BT.device)
    mask = may_attend(visibility_BT, order_T, visibility_BT, order_T)  # (B, 1, T, T)
    return mask, positions_of(visibility_BT)


def positions_of(visibility_BT: Tensor) -> Tensor:
    """Position ids (B, T): each stream counts on its own; padding has 0."""
    target_BT = visibility_BT < 0
    counted_BT = target_BT.cumsum(dim=1) - 1
    return torch.where(target_BT, counted_BT, visibility_BT - 1).clamp(min=0)  # (B, T)


def may_attend(
    queries_BQ: Tensor, query_order: Tensor, keys_BK: Tensor, key_order: Tensor
) -> Tensor:
    """Which keys each query may attend to: bool (B, 1, Q, K), from the visibility of both.

    Their order is their indices in the sequence: (Q) or (B, Q), and (K) or (B, K).
    """
    query, key = queries_BQ.unsqueeze(-1), keys_BK.unsqueeze(-2)  # (B, Q, 1), (B, 1, K)
    at, behind = query_order.unsqueeze(-1), key_order.unsqueeze(-2)  # (..., Q, 1), (..., 1, K)
    allowed = (key > 0) & (key <= query.abs())  # source keys, (B, Q, K)
    target = behind <= at  # target keys, (..., Q, K)
    # In place from here on: at a long context each of these masks takes as much as the attention itself.
    target = target.logical_and(query < 0).logical_and_(key < 0)  # (B, Q, K)
    allowed |= target
    if bool((queries_BQ == 0).any()):
        allowed |= (behind == at) & (query == 0)  # padding; a query without any key would be NaN
    return allowed.unsqueeze(1)  # (B, 1, Q, K)


def block_mask(visibility_BT: Tensor) -> BlockMask:
    """The mask of ``mask_and_positions`` for FlexAttention."""
    batch, length = visibility_BT.shape

    def allowed(b: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        query, key = visibility_BT[b, q], visibility_BT[b, k]
        source = (key > 0) & (key <= query.abs())
        target = (query < 0) & (key < 0) & (k <= q)
        return source | target | ((query == 0) & (q == k))

    return create_block_mask(allowed, batch, None, length, length, device=str(visibility_BT.device))


def attention_implementation(model: Any) -> str:
    """The model's attention, as transformers names it."""
    return str(model.config.get_text_config()._attn_implementation)


def check_implementation(name: str) -> None:
    """Refuse attention that reads a bool mask as something else, or not at all (UserError)."""
    if name not in ("sdpa", "flex_attention"):
        raise UserError(
            f"model: its attention is {name!r}; streaming attention needs 'sdpa' or 'flex_attention' "
            f"(attn_implementation), since others read a boolean mask differently or not at all."
        )


def has_full_attention(model: Any) -> bool:
    """Whether every layer attends to all tokens before it: no sliding window, convolution or recurrent state."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)  # set, yet unused, where layers have types
    is_windowed = not kinds and window is not None  # 0 is a window to transformers
    return not (kinds - {"full_attention"} or is_windowed)


@contextmanager
def masked(causal_model: Any, mask: Any) -> Iterator[None]:
    """Give the model's layers this mask. The call keeps one of tokens, by which the load of experts is weighed."""

    def replaced(_module: Any, args: Any, options: dict[str, Any]) -> Any:
        return args, options | {"attention_mask": mask}

    hook = causal_model.base_model.register_forward_pre_hook(replaced, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@dataclass(frozen=True)
class StreamingForward:
    """A model's forward under streaming attention: called with visibility in place of an attention mask.

    TRL's trainers call ``model(input_ids=..., attention_mask=..., ...)``, and get this in the model's place.

    Attributes:
        model: The model, wrapped by its trainer.
        inner: The causal LM in it, without adapter or wrapper.
        visibility: The attention mask of a call to the visibility of its tokens (B, T).
        implementation: The model's attention: ``sdpa``, or ``flex_attention``, which skips masked blocks.
    """

    model: Callable[..., Any]
    inner: Any
    visibility: Callable[[Tensor], Tensor]
    implementation: str = "sdpa"

    def __post_init__(self) -> None:
        """Refuse other implementations (UserError)."""
        check_implementation(self.implementation)

    def __call__(self, *, attention_mask: Tensor, **inputs: Any) -> Any:
        """The model's outputs under the mask and the positions of the visibility."""
        visibility_BT = self.visibility(attention_mask)
        if self.implementation == "flex_attention":
            mask: Any = block_mask(visibility_BT)
        else:
            mask = mask_and_positions(visibility_BT)[0]
        is_token_BT = (visibility_BT != 0).long()
        positions_BT = positions_of(visibility_BT)
        with masked(self.inner, mask):
            return self.model(**inputs, attention_mask=is_token_BT, position_ids=positions_BT)
