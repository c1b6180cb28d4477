"""GRPOTrainer under a layout's attention: log-probabilities are computed as the rollouts were sampled.

TRL computes log-probabilities in one method, for old and reference ones before a generation batch is shuffled and split,
and again in the loss. Here its attention mask becomes the tokens' visibility of the source (``layouts.visibility``).
The completions' visibility is a column of the batch, so each row keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from adasr_trl.layouts.visibility import StreamingForward, attention_implementation
from adasr_trl.training.health import HealthyTrainer
from adasr_trl.training.loop import KeepsAdapterPrecision


class StreamingAttentionTrainer(HealthyTrainer, KeepsAdapterPrecision, GRPOTrainer):
    """GRPOTrainer for layouts of two streams; with one stream it is TRL's own."""

    # Of the rows at hand: the visibility of each completion token, 0 for padding.
    _visibility_BT: Tensor | None = None

    @contextmanager
    def _with_visibility(self, visibility_BT: Tensor | None) -> Iterator[None]:
        """Compute log-probabilities of the rows with this visibility."""
        self._visibility_BT = visibility_BT
        try:
            yield
        finally:
            self._visibility_BT = None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        with self._with_visibility(inputs.get("visibility")):
            return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        visibility_BT = self._visibility_BT
        if visibility_BT is not None:
            attention_mask = sequence_visibility(attention_mask, visibility_BT, logits_to_keep)
            model = StreamingForward(
                model, lambda visibility: visibility, attention_implementation(self.model)
            )
        return super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
        )


def sequence_visibility(
    attention_mask: Tensor, visibility_BT: Tensor, completion_width: int
) -> Tensor:
    """The visibility of whole sequences, in the attention mask's place; 0 where that is 0.

    Args:
        attention_mask: 1 for a token, 0 for padding, over prompt and completion. (B, P + T)
        visibility_BT: Of the completion's tokens; the prompt is the source. (B, at most T)
        completion_width: T, which padding may make larger than ``visibility_BT``.
    """
    prompt_BP = attention_mask[:, : attention_mask.size(1) - completion_width]
    missing = completion_width - visibility_BT.size(1)
    completion_BT = torch.nn.functional.pad(visibility_BT, (0, missing))
    return torch.cat([prompt_BP.cumsum(dim=1), completion_BT], dim=1) * attention_mask  # (B, P + T)
