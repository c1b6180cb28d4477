"""Supervised fine-tuning on a teacher's traces with TRL's SFTTrainer: loss on written tokens, never on READ.

    >>> trainer = sft_trainer(model, texts, SFTSettings(output_dir="runs/sft"), lora=None)

``mode: read_then_think`` trains the baseline: the same episodes and steps, every thought moved into the deep part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from adasr_trl.config.sections import LoraSection
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import TAUGHT_MODES, Mode, Phase
from adasr_trl.layouts import Layout
from adasr_trl.layouts.visibility import StreamingForward, attention_implementation
from adasr_trl.training.callbacks import callbacks
from adasr_trl.training.data import Texts
from adasr_trl.training.data_order import EpochSeeded
from adasr_trl.training.health import HealthyTrainer, refuse_publishing
from adasr_trl.training.loop import KeepsAdapterPrecision, lora_config

IGNORED = -100  # the label of a token that is not trained on, as in PyTorch's cross entropy


@dataclass
class SFTSettings(SFTConfig):
    """TRL's SFTConfig and the mode."""

    mode: str = field(
        default="streaming", metadata={"help": "streaming, or read_then_think (the baseline)."}
    )

    def __post_init__(self) -> None:
        """Refuse an unknown mode; tokenized episodes need no preparation by TRL."""
        super().__post_init__()
        refuse_publishing(self)
        if self.mode not in [mode.value for mode in TAUGHT_MODES]:
            raise ValueError(f"mode: got {self.mode!r}; expected streaming or read_then_think.")
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


class StreamingSFTTrainer(HealthyTrainer, KeepsAdapterPrecision, SFTTrainer):
    """TRL's SFTTrainer under the layout's attention; a resume repeats the order of batches of similar lengths."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss, of a forward under the layout's visibility, if it has one."""
        visibility_BT = inputs.pop("visibility", None)
        if visibility_BT is not None:
            model = StreamingForward(
                model, lambda _: visibility_BT, attention_implementation(self.model)
            )
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "visibility" not in self._signature_columns:
            self._signature_columns.append("visibility")

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        grouped = isinstance(sampler, LengthGroupedSampler)
        return EpochSeeded(sampler, self.args.seed) if grouped else sampler


def sft_trainer(
    model: PreTrainedModel, texts: Texts, args: SFTSettings, lora: LoraSection | None
) -> StreamingSFTTrainer:
    """TRL's SFTTrainer on tokenized episodes; a UserError for packing under streaming attention."""
    if texts.streaming.layout == "parallel" and (args.packing or args.padding_free):
        raise UserError(
            "packing, padding_free: got true with streaming.layout: parallel, whose mask is of one episode; use "
            "train_sampling_strategy: group_by_length, which saves the padding too."
        )
    mode, held_out = Mode(args.mode), texts.data.held_out
    pad_id = texts.tokenizer.pad_token_id  # padding is masked, so any token will do
    if pad_id is None:
        pad_id = texts.codec.eos_id
    return StreamingSFTTrainer(
        model,
        args=args,
        train_dataset=tokenize(texts.data.train, texts.layout, mode),
        eval_dataset=tokenize(held_out, texts.layout, mode) if held_out else None,
        processing_class=texts.tokenizer,
        data_collator=VisibilityCollator(pad_id, pad_to_multiple_of=args.pad_to_multiple_of),
        peft_config=lora_config(lora, texts.codec),
        callbacks=callbacks(Path(args.output_dir)),
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
