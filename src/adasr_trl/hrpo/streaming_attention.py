"""GRPOTrainer under a layout's attention: log-probabilities are computed as the rollouts were sampled.

TRL computes log-probabilities in one method, for old and reference ones before a generation batch is shuffled and split,
and again in the loss. Here its attention mask becomes the tokens' visibility of the source (``layouts.visibility``).
The completions' visibility is a column of the batch, so each row keeps its own. Rows of a group are computed over their
distinct tokens, at written tokens only (``training.shared_prefix``), and are kept together in a micro-batch for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from adasr_trl.layouts.visibility import StreamingForward, attention_implementation
from adasr_trl.training.health import HealthyTrainer
from adasr_trl.training.loop import KeepsAdapterPrecision
from adasr_trl.training.shared_prefix import SharedPrefixTrainer


class StreamingAttentionTrainer(
    HealthyTrainer, KeepsAdapterPrecision, SharedPrefixTrainer, GRPOTrainer
):
    """GRPOTrainer for layouts of two streams; with one stream and ``shared_prefix: false`` it is TRL's own."""

    # Of the completions at hand, 0 for padding: each token's visibility, and whether the model wrote it.
    _visibility_BT: Tensor | None = None
    _written_BT: Tensor | None = None
    _buffered_inputs: Any  # TRL's: the micro-batches of a generation batch

    @contextmanager
    def _with_rows(
        self, visibility_BT: Tensor | None, written_BT: Tensor | None = None
    ) -> Iterator[None]:
        """Compute log-probabilities of rows with this visibility, at their written tokens."""
        self._visibility_BT, self._written_BT = visibility_BT, written_BT
        try:
            yield
        finally:
            self._visibility_BT = self._written_BT = None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        size = self.num_generations if self.model.training else self.num_generations_eval
        first = self.accelerator.process_index * len(inputs)
        rows_B = torch.arange(first, first + len(inputs), device=self.accelerator.device)
        return output | {"group": rows_B // size}

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        buffered = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        is_new = self._buffered_inputs is not buffered
        if is_new and self.args.shared_prefix and self.args.steps_per_generation > 1:
            self._buffered_inputs = kept_by_group(self._buffered_inputs)
            inputs = self._buffered_inputs[self._step % self.args.steps_per_generation]
        return inputs

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        written_BT = inputs["completion_mask"] * inputs.get("tool_mask", 1)
        with self._with_rows(inputs.get("visibility"), written_BT):
            return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        compute = super()._get_per_token_logps_and_entropies
        visibility_BT = self._visibility_BT
        forward: Callable[..., Any] = model
        visibility_BL = attention_mask.cumsum(dim=1) * attention_mask  # causal
        if visibility_BT is not None:
            visibility_BL = sequence_visibility(attention_mask, visibility_BT, logits_to_keep)
            inner, implementation = self.causal_model(model), attention_implementation(self.model)
            forward = StreamingForward(model, inner, lambda visibility: visibility, implementation)
        elif hasattr(self.causal_model(model).base_model, "wpe"):  # GPT-2's learned positions
            forward = PositionedForward(model)
        if not self.shares(model, two_streams=visibility_BT is not None):
            mask = attention_mask if visibility_BT is None else visibility_BL
            return compute(forward, input_ids, mask, logits_to_keep, batch_size, **kwargs)
        written_BL = self._written(input_ids, logits_to_keep)
        outputs = []
        for rows in torch.split(torch.arange(len(input_ids)), batch_size or len(input_ids)):
            shared = self.shared_forward(model, forward, visibility_BL[rows], written_BL[rows])
            outputs.append(
                compute(shared, input_ids[rows], attention_mask[rows], logits_to_keep, **kwargs)
            )
        logps, entropies, aux_losses = zip(*outputs, strict=True)
        return (
            torch.cat(logps),  # (B, T)
            None if entropies[0] is None else torch.cat(entropies),  # (B, T)
            None if aux_losses[0] is None else torch.stack(aux_losses).mean(),
        )

    @torch.no_grad()
    def token_logps(
        self, model: Any, ids_BT: Tensor, visibility_BT: Tensor, counted_BT: Tensor
    ) -> Tensor:
        """Log-probabilities of the counted tokens, 0 elsewhere, (B, T); tokens that rows share are computed once.

        Args:
            model: The model, or the trainer's own wrapped.
            ids_BT: Whole sequences, each token behind all that it sees, padded at the end.
            visibility_BT: Visibility of the source (``layouts.visibility``), 0 for padding.
            counted_BT: Tokens to compute, bool; never a first one.
        """
        device = self.accelerator.device
        ids_BT, visibility_BT = ids_BT.to(device), visibility_BT.to(device)
        counted_BT = counted_BT.to(device)
        has_target = bool((visibility_BT < 0).any())  # else the layout has one stream
        rows = (visibility_BT[:, 1:] if has_target else None, counted_BT[:, 1:])
        with self._with_rows(*rows):
            logps_BT, _, _ = self._get_per_token_logps_and_entropies(
                model, ids_BT, (visibility_BT != 0).long(), ids_BT.size(1) - 1
            )
        return torch.nn.functional.pad(logps_BT, (1, 0)) * counted_BT  # (B, T - 1) -> (B, T)

    def _written(self, input_ids: Tensor, completion_width: int) -> Tensor:
        """Whether the model wrote each token, as far as is known; true elsewhere. (B, P + T)."""
        written_BL = torch.ones_like(input_ids)
        if self._written_BT is not None:
            start = input_ids.size(1) - completion_width
            written_BL[:, start : start + self._written_BT.size(1)] = self._written_BT
        return written_BL


@dataclass(frozen=True)
class PositionedForward:
    """A forward whose positions begin at a row's first token, as in its rollout.

    Without them, a model with learned positions counts the padding before it. Rotary ones depend on distances alone.
    """

    model: Callable[..., Any]

    def __call__(self, *, attention_mask: Tensor, **inputs: Any) -> Any:
        """The model's outputs; the mask has 1 for a token, (B, T)."""
        positions_BT = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
        return self.model(**inputs, attention_mask=attention_mask, position_ids=positions_BT)


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


def kept_by_group(batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows in as many batches, the rows of a group together; groups in the order of their first rows.

    TRL scatters rows over the micro-batches of a generation batch, where a group's rows could not share a forward.
    """
    groups = torch.cat([batch["group"] for batch in batches]).tolist()
    first = {group: row for row, group in reversed(list(enumerate(groups)))}
    order = torch.tensor(sorted(range(len(groups)), key=lambda row: first[groups[row]]))

    def joined(values: Sequence[Any]) -> Any:
        if isinstance(values[0], Tensor) and values[0].ndim:
            return torch.cat(list(values))[order.to(values[0].device)]
        if isinstance(values[0], list):
            rows = [row for column in values for row in column]
            return [rows[index] for index in order.tolist()]
        return values[0]  # one number of the whole batch, or None

    whole = {key: joined([batch[key] for batch in batches]) for key in batches[0]}
    parts: list[dict[str, Any]] = split_tensor_dict(whole, len(batches))
    return parts
