"""Supervised fine-tuning on a teacher's traces with TRL's SFTTrainer: loss on written tokens, never on READ.

    >>> rows = [{"question": "How many hens?", "text": "Tom has 5 hens. He buys 3.", "answer": 8,
    ...          "thoughts": ["Tom 5", "Tom 5 + 3 = 8"]}]
    >>> StreamingSFTTrainer("Qwen/Qwen3-0.6B", StreamingSFTConfig("runs/sft"), rows).train()

``mode: read_then_think`` trains the baseline: the same episodes and steps, every thought moved into the deep part.
With ``restate`` its deep part copies each sentence that it works on. ``mode: prefill_only`` trains the answer alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import TAUGHT_MODES, Mode, Phase
from adasr_trl.layouts import Layout
from adasr_trl.layouts.visibility import StreamingForward, attention_implementation
from adasr_trl.models.positions import longest_sequence
from adasr_trl.training.data_order import EpochSeeded
from adasr_trl.training.health import HealthyTrainer, refuse_publishing
from adasr_trl.training.loop import KeepsAdapterPrecision
from adasr_trl.training.muon import muon_of
from adasr_trl.training.python_options import check_options, obeyed_arguments
from adasr_trl.training.restating import restated_data
from adasr_trl.training.shared_forward import IGNORED
from adasr_trl.training.shared_prefix import SharedPrefixTrainer
from adasr_trl.training.trainer_inputs import own_arguments, trainer_inputs

_ROWS = "give rows with question, text, answer and thoughts."
# Arguments of TRL's trainer that prepare rows, batches or the model.
_REFUSED: Mapping[str, str] = {
    "formatting_func": _ROWS,
    "data_collator": _ROWS,
    "quantization_config": "give a ModelConfig with quantization as the model.",
}


@dataclass
class StreamingSFTConfig(SFTConfig):
    """TRL's SFTConfig, the mode and its form, and three ways to learn with less."""

    mode: str = field(
        default="streaming",
        metadata={
            "help": "streaming, or a baseline: read_then_think, prefill_only (the answer alone)."
        },
    )
    restate: bool = field(
        default=False,
        metadata={
            "help": "In read_then_think, write each sentence that needs a thought before that thought."
        },
    )
    shared_prefix: bool = field(
        default=True,
        metadata={"help": "Compute shared tokens once, without padding; false turns it off."},
    )
    muon_learning_rate: float | None = field(
        default=None,
        metadata={
            "help": "Learning rate of Muon for matrices; none: the optimizer of optim for all."
        },
    )
    read_loss_share: float = field(
        default=0.0,
        metadata={
            "help": "Share of the steps, the first ones, with the loss on READ tokens too: for new models."
        },
    )

    def __post_init__(self) -> None:
        """Refuse an unknown mode; tokenized episodes need no preparation by TRL."""
        refuse_publishing(self)
        check_options(self, "sft")
        super().__post_init__()
        modes = [mode.value for mode in TAUGHT_MODES]
        if self.mode not in modes:
            raise ValueError(f"mode: got {self.mode!r}; expected {' or '.join(modes)}.")
        if self.restate and self.mode != Mode.READ_THEN_THINK.value:
            raise ValueError(
                f"restate: got true with mode {self.mode}; it has an effect in {Mode.READ_THEN_THINK.value} only."
            )
        if self.muon_learning_rate is not None and self.deepspeed:
            raise ValueError(
                "muon_learning_rate: got a rate with deepspeed, which has its own optimizers; remove one of them."
            )
        if not 0 <= self.read_loss_share <= 1:
            raise ValueError(f"read_loss_share: got {self.read_loss_share:g}; expected 0 to 1.")
        self.dataset_kwargs = {"skip_prepare_dataset": True}
        self.max_length = None


@dataclass
class VisibilityCollator(DataCollatorForLanguageModeling):
    """TRL's collator, which also pads a column ``visibility`` where there is one."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate; padding has visibility 0."""
        batch: dict[str, Any] = super().torch_call(examples)
        if "visibility" in examples[0]:
            batch["visibility"] = torch.zeros_like(batch["input_ids"])  # (B, T)
            for row_T, example in zip(batch["visibility"], examples, strict=True):
                row_T[: len(example["visibility"])] = torch.tensor(example["visibility"])
        return batch


class StreamingSFTTrainer(HealthyTrainer, KeepsAdapterPrecision, SharedPrefixTrainer, SFTTrainer):
    """TRL's SFTTrainer under the layout's attention; a resume repeats the order of batches of similar lengths."""

    method = "sft"
    _total_train_tokens: int  # TRL's, not typed there

    def __init__(
        self,
        model: Any,
        args: StreamingSFTConfig | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        *,
        streaming: StreamingConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Load what is a name, tokenize the rows, and prepare TRL's trainer.

        Args:
            model: A Hub id, a directory, a ``ModelConfig``, or a model.
            args: Training arguments.
            train_dataset: Rows with traces (``training.episode_rows``).
            eval_dataset: Rows for a held-out loss, or None.
            processing_class: The tokenizer; by default the model's own.
            streaming: Layout, markers, caps and clock; by default those of a run, else ``StreamingConfig()``.
            **kwargs: SFTTrainer's, such as ``peft_config`` and ``callbacks``.

        Raises:
            UserError: Rows without a trace, a layout that the model does not obey, or another trainer's arguments.
        """
        args = own_arguments(args, StreamingSFTConfig)
        kwargs = obeyed_arguments(kwargs, _REFUSED)
        _refuse_second_optimizer(args, kwargs)
        mode = Mode(args.mode)
        datasets = (train_dataset, eval_dataset)
        inputs = trainer_inputs(model, datasets, args, processing_class, streaming, mode)
        texts = inputs.texts
        positions = longest_sequence(inputs.model.config)
        data = restated_data(texts, positions) if args.restate else texts.data
        train, held_out = data.train, data.held_out
        pad_id = texts.tokenizer.pad_token_id  # padding is masked, so any token will do
        if pad_id is None:
            pad_id = texts.codec.eos_id
        if args.muon_learning_rate is not None:
            kwargs["optimizer_cls_and_kwargs"] = muon_of(args)
        self.protocol, self.origin, self.data = texts.streaming, inputs.origin, texts.data
        super().__init__(
            inputs.model,
            args=args,
            train_dataset=tokenize(train, texts.layout, mode),
            eval_dataset=tokenize(held_out, texts.layout, mode) if held_out else None,
            processing_class=texts.tokenizer,
            data_collator=VisibilityCollator(pad_id, pad_to_multiple_of=args.pad_to_multiple_of),
            **kwargs,
        )

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss, of a forward under the layout's visibility, if it has one."""
        visibility_BT = inputs.pop("visibility", None)
        two_streams, forward = visibility_BT is not None, model
        if two_streams:
            implementation = attention_implementation(self.model)
            inner = self.causal_model(model)
            forward = StreamingForward(model, inner, lambda _: visibility_BT, implementation)
        else:
            visibility_BT = inputs["attention_mask"].cumsum(dim=1) * inputs["attention_mask"]
        if self.shares(model, two_streams=two_streams):
            forward = self.shared_forward(model, forward, visibility_BT)
        # TRL counts tokens from 0 in a resumed run; the state is saved with each checkpoint.
        self._total_train_tokens = max(self._total_train_tokens, self.state.num_input_tokens_seen)
        loss = super().compute_loss(forward, inputs, *args, **kwargs)
        self.state.num_input_tokens_seen = self._total_train_tokens
        return loss

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[dict[str, Any]], Any]:
        """The batches of a step and their number of labels; READ tokens are labels at first (``read_loss_share``)."""
        samples, labels = super().get_batch_samples(*args, **kwargs)
        if self.state.global_step >= self.args.read_loss_share * self.state.max_steps:
            return samples, labels
        for sample in samples:
            is_padding_BT = sample["attention_mask"] == 0  # (B, T)
            sample["labels"] = sample["input_ids"].masked_fill(is_padding_BT, IGNORED)
        return samples, self._get_num_items_in_batch(samples, self.args.device)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "visibility" not in self._signature_columns:
            self._signature_columns.append("visibility")

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        grouped = isinstance(sampler, LengthGroupedSampler)
        return EpochSeeded(sampler, self.args.seed) if grouped else sampler


def _refuse_second_optimizer(args: StreamingSFTConfig, given: Mapping[str, Any]) -> None:
    """Refuse an optimizer beside Muon, of which one would be dropped (UserError)."""
    if args.muon_learning_rate is None:
        return
    optimizer = (given.get("optimizers") or (None,))[0]
    for name, value in (
        ("optimizers", optimizer),
        ("optimizer_cls_and_kwargs", given.get("optimizer_cls_and_kwargs")),
    ):
        if value is not None:
            raise UserError(
                f"{name}: got an optimizer beside muon_learning_rate, which makes one; leave one of them out."
            )


def tokenize(episodes: Sequence[Episode], layout: Layout, mode: Mode) -> Dataset:
    """Columns ``input_ids``, ``labels`` (READ ignored), ``seq_lengths``; ``visibility`` for a layout of two streams."""
    rows = []
    for episode in episodes:
        encoded = layout.encode(episode, mode)
        labels = [
            IGNORED if phase is Phase.READ else token_id
            for token_id, phase in zip(encoded.token_ids, encoded.phases, strict=True)
        ]
        ids, visibility = list(encoded.token_ids), layout.visibility(encoded)
        row = {"input_ids": ids, "labels": labels, "seq_lengths": len(labels)}
        rows.append(row if visibility is None else {**row, "visibility": list(visibility)})
    return Dataset.from_list(rows)
