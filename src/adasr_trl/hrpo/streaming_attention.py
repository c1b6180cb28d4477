"""GRPOTrainer under a layout's attention: log-probabilities are computed as the rollouts were sampled.

    class HRPOTrainer(ViewedGRPOTrainer): ...

TRL computes log-probabilities in one place, called for old and reference ones before a generation batch is shuffled and
split, and again in the loss. Both give it a plain attention mask; here the mask becomes views (``layouts.views``), and the
model is called with those. Each completion token's view rides in the batch as ``views``, so rows keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from adasr_trl.layouts.views import Viewed, attention_of
from adasr_trl.training.loop import KeepsAdapterPrecision


class ViewedGRPOTrainer(KeepsAdapterPrecision, GRPOTrainer):
    """GRPOTrainer for layouts with views; without any it is TRL's own."""

    _views_BT: Tensor | None = (
        None  # of the rows at hand: each completion token's view, 0 for padding
    )

    @contextmanager
    def _viewed(self, views_BT: Tensor | None) -> Iterator[None]:
        """Compute log-probabilities of the rows that have these views."""
        self._views_BT = views_BT
        try:
            yield
        finally:
            self._views_BT = None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        with self._viewed(inputs.get("views")):
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
        views_BT = self._views_BT
        if views_BT is not None:
            attention_mask = with_views(attention_mask, views_BT, logits_to_keep)
            model = Viewed(model, lambda views: views, attention_of(self.model))
        return super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
        )


def with_views(attention_mask: Tensor, views_BT: Tensor, completion_width: int) -> Tensor:
    """The views of whole sequences, in the attention mask's place; where that is 0, so are they.

    Args:
        attention_mask: 1 for a token, 0 for padding, over prompt and completion. (B, P + T)
        views_BT: The views of the completion's tokens; the prompt is the source.
        completion_width: T, which padding may make larger than the views'.
    """
    prompt = attention_mask[:, : attention_mask.size(1) - completion_width]
    missing = completion_width - views_BT.size(1)
    completion = torch.nn.functional.pad(views_BT, (0, missing))
    return torch.cat([prompt.cumsum(dim=1), completion], dim=1) * attention_mask
