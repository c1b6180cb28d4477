"""A forward at the cost of the distinct tokens: rows become one prefix tree, and the head is computed at labels only.

    >>> forward = SharedForward(model, causal_model, model, visibility_BT)
    >>> forward(input_ids=ids_BT, labels=labels_BT, fused_lm_head=True).log_probs      # (B, T - 1), as TRL's

TRL's trainers call ``model(input_ids=..., labels=..., fused_lm_head=True)``, and get this in the model's place. The rows'
common beginnings are computed once (``layouts.prefix_tree``), packed without padding, under attention by parts
(``shared_attention``) or FlexAttention. TRL's fused head then sees only the hidden states that predict a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl.trainer.utils import FusedCausalLMOutput

from adasr_trl.engines.attention import attending
from adasr_trl.layouts.prefix_tree import PrefixTree, prefix_tree
from adasr_trl.layouts.visibility import attention_implementation, masked
from adasr_trl.training.shared_attention import SHARED_ATTENTION

IGNORED = -100  # the label of a token that is not trained on, as in PyTorch's cross entropy


@dataclass(frozen=True)
class SharedForward:
    """The fused forward of a causal LM over distinct tokens.

    Attributes:
        model: The model, wrapped by its trainer.
        inner: The causal LM in it, without adapter or wrapper.
        plain: The forward of whole rows, for calls that want logits.
        visibility_BT: Visibility of the source of each token, 0 for padding.
        written_BT: Tokens whose labels count; None for all labels.
        runs_again: Whether layers run again in the backward pass (gradient checkpointing). The model then keeps the
            attention by parts, until an ``attending`` around both passes ends.
        tree_of: The tree of ids and visibility.
    """

    model: Callable[..., Any]
    inner: Any
    plain: Callable[..., Any]
    visibility_BT: Tensor
    written_BT: Tensor | None = None
    runs_again: bool = False
    tree_of: Callable[[Tensor, Tensor], PrefixTree] = prefix_tree

    def __call__(self, *, fused_lm_head: bool = False, **inputs: Any) -> Any:
        """TRL's fused output in the rows' shape, (B, T - 1), zero where the label is ignored; else the plain forward's."""
        if not fused_lm_head:
            return self.plain(**inputs)
        input_ids, is_label = inputs.pop("input_ids"), inputs.pop("labels") != IGNORED  # (B, T)
        inputs.pop("attention_mask", None)  # the visibility says more
        tree = self.tree_of(input_ids, self.visibility_BT)
        if self.written_BT is not None:
            is_label &= self.written_BT.bool()
        is_label[:, 0] = False  # nothing predicts a first token
        # A node is predicted once, whichever rows have it. Without labels one is made up, and not read.
        nodes_M, back = torch.unique(tree.node_BT[is_label], return_inverse=True)
        if not len(nodes_M):
            nodes_M = torch.zeros(1, dtype=torch.long, device=input_ids.device)
        outputs = self._packed(tree, nodes_M, inputs)
        fields = {
            name: _scattered(getattr(outputs, name), back, is_label[:, 1:])
            for name in ("log_probs", "entropy", "is_top1")
        }
        return FusedCausalLMOutput(**fields, label_mask=is_label[:, 1:], aux_loss=outputs.aux_loss)

    def _packed(self, tree: PrefixTree, nodes_M: Tensor, options: dict[str, Any]) -> Any:
        """One forward of all nodes; outputs (1, M) for the labels that are the nodes M."""
        options |= {
            "fused_lm_head": True,
            "input_ids": tree.ids_N.unsqueeze(0),  # (1, N)
            "position_ids": tree.positions_N.unsqueeze(0),  # (1, N)
            "shift_labels": tree.ids_N[nodes_M].unsqueeze(0),  # (1, M)
            # TRL weighs the load of experts by this mask. The layers have others: under an attention
            # that is not its own, transformers makes none.
            "attention_mask": tree.rows_N.unsqueeze(0).float(),  # (1, N)
        }
        with _head_at(self.inner, tree.parent_N[nodes_M]):
            if attention_implementation(self.inner) == "flex_attention":
                with masked(self.inner, tree.block_mask()):
                    return self.model(**options)
            with self._attending():
                return self.model(**options, prefix_tree=tree)

    @contextmanager
    def _attending(self) -> Iterator[None]:
        with attending(self.inner, SHARED_ATTENTION):
            yield
        if self.runs_again:
            self.inner.config.get_text_config()._attn_implementation = SHARED_ATTENTION


@contextmanager
def _head_at(inner: Any, index_M: Tensor) -> Iterator[None]:
    """Give the head the hidden states with these indices only."""

    def choose(_module: Any, _args: Any, outputs: Any) -> Any:
        outputs.last_hidden_state = outputs.last_hidden_state[:, index_M]  # (1, M, hidden)
        return outputs

    hook = inner.base_model.register_forward_hook(choose)
    try:
        yield
    finally:
        hook.remove()


def _scattered(packed_1M: Tensor | None, back: Tensor, mask_BT: Tensor) -> Tensor | None:
    """Values of the predicted nodes at every label that they are, zero elsewhere, (B, T - 1)."""
    if packed_1M is None:
        return None
    # masked_scatter keeps an output without labels connected to the model.
    return packed_1M.new_zeros(mask_BT.shape).masked_scatter(mask_BT, packed_1M[0][back])
