"""Choice of the forward: over distinct tokens where the model gives the same numbers, else TRL's over padded rows.

The choice is made once, at the first forward: random rows with a common beginning go through both. A model that
differs, raises, or has another attention than SDPA or FlexAttention trains on padded rows, which is said once.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from adasr_trl.engines.attention import attending
from adasr_trl.layouts.prefix_tree import PrefixTree, SegmentAttention, prefix_tree
from adasr_trl.layouts.visibility import (
    StreamingForward,
    attention_implementation,
    has_full_attention,
)
from adasr_trl.models.precision import computing_dtype
from adasr_trl.training.shared_forward import SharedForward

logger = logging.getLogger(__name__)

# Of three rows: four tokens of a source, then six of a target; the first two rows share five tokens.
_VISIBILITY = {  # by: in two streams
    False: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    True: (1, 2, 3, 4, -2, -2, -3, -3, -4, -4),
}
_SHARED, _LABELS = 5, 6
# Largest difference of a log-probability. In 16 bits rounding alone moves single tokens, so the mean counts there, as a
# share of the difference that rows make which see each other.
_TOLERANCE_FULL, _TOLERANCE_HALF = 1e-4, 0.25


class SharedPrefixTrainer:
    """A part of trainers: forwards over distinct tokens (``args.shared_prefix``)."""

    args: Any
    accelerator: Any
    model: Any
    is_fsdp_enabled: bool = False  # set by transformers
    _shares: bool | None = None  # unknown before the first forward

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's step. Checkpointed layers run again in the backward pass, under the attention of their forward."""
        with attending(self.model, attention_implementation(self.model)):
            return super().training_step(*args, **kwargs)  # type: ignore[misc]  # transformers' Trainer

    def shares(self, model: Any, *, two_streams: bool) -> bool:
        """Whether forwards are over distinct tokens; every process must call it."""
        if not self.args.shared_prefix:
            return False
        if self._shares is None:
            refusal = self._refusal(model, self.causal_model(model), two_streams=two_streams)
            self._shares = not refusal
            if refusal:
                logger.warning("shared_prefix: %s, so rows are computed whole and padded", refusal)
        return self._shares

    def shared_forward(
        self, model: Any, plain: Any, visibility_BT: Tensor, written_BT: Tensor | None = None
    ) -> SharedForward:
        """The forward over the distinct tokens of these rows."""
        runs_again = bool(self.args.gradient_checkpointing) and torch.is_grad_enabled()
        return SharedForward(
            model, self.causal_model(model), plain, visibility_BT, written_BT, runs_again
        )

    def causal_model(self, model: Any) -> Any:
        """The causal LM in a wrapped model, without its adapter."""
        inner = self.accelerator.unwrap_model(model)
        return inner.get_base_model() if isinstance(inner, PeftModel) else inner

    def _refusal(self, model: Any, inner: Any, *, two_streams: bool) -> str | None:
        """The reason to compute whole rows, agreed upon by all processes."""
        if self.is_fsdp_enabled:
            return "FSDP has not been tried with it"
        if self.args.torch_compile:
            return "torch_compile would compile again for every batch"
        if attention_implementation(inner) not in ("sdpa", "flex_attention"):
            return f"the model's attention is {attention_implementation(inner)}"
        if not has_full_attention(inner):
            return f"{inner.config.model_type} has layers without full attention"
        with self.accelerator.autocast():
            fault = check_sharing(model, inner, two_streams=two_streams)
        is_bad = torch.tensor([float(fault is not None)], device=self.accelerator.device)
        if self.accelerator.reduce(is_bad, reduction="sum").item() > 0:
            return fault or "another process found that the model differs"
        return None


@torch.no_grad()
def check_sharing(model: Any, inner: Any, *, two_streams: bool) -> str | None:
    """How log-probabilities over distinct tokens differ from those of whole rows, None if they do not."""
    device, was_training = inner.device, inner.training
    vocabulary = inner.config.get_text_config().vocab_size
    generator = torch.Generator().manual_seed(0)  # leaves the run's random numbers alone
    visibility_BT = torch.tensor([_VISIBILITY[two_streams]] * 3, device=device)
    ids_BT = torch.randint(vocabulary, visibility_BT.shape, generator=generator).to(device)
    ids_BT[1, :_SHARED] = ids_BT[0, :_SHARED]
    inputs: dict[str, Any] = {
        "input_ids": ids_BT,
        "attention_mask": torch.ones_like(ids_BT),
        "labels": ids_BT.index_fill(1, torch.arange(ids_BT.size(1) - _LABELS, device=device), -100),
        "fused_lm_head": True,
    }
    plain = model
    if two_streams:
        implementation = attention_implementation(inner)
        plain = StreamingForward(model, inner, lambda _: visibility_BT, implementation)
    sharing = SharedForward(model, inner, plain, visibility_BT)
    forwards = (plain, sharing, replace(sharing, tree_of=_leaking_tree))
    inner.eval()  # without dropout
    try:
        whole, shared, leaking = (forward(**inputs).log_probs.float() for forward in forwards)
    except Exception as error:  # anything that a model without such attention may raise
        return f"a forward over distinct tokens raises {type(error).__name__}: {error}"
    finally:
        inner.train(was_training)
    is_full = computing_dtype(inner) in (torch.float32, torch.float64)
    is_full &= not torch.is_autocast_enabled(device.type)
    difference = (whole - shared).abs()
    worst = float(difference.max() if is_full else difference.mean())
    leak = float((whole - leaking).abs().mean())
    if worst <= (_TOLERANCE_FULL if is_full else _TOLERANCE_HALF * leak):
        return None
    return f"log-probabilities over distinct tokens differ by {worst:.1g}"


def _leaking_tree(ids_BT: Tensor, visibility_BT: Tensor) -> PrefixTree:
    """The tree of a model that does not obey: each node sees all nodes before it, of whichever row."""
    tree = prefix_tree(ids_BT, visibility_BT)
    count = len(tree.ids_N)
    return replace(
        tree,
        end_N=torch.full_like(tree.end_N, count),
        segment_sizes=(count,),
        attention=(SegmentAttention((0,), None),),
    )
