"""Supervised fine-tuning on teacher's traces, with TRL's SFTTrainer: loss on what the model writes, never on READ.

    >>> trainer = sft_trainer(model, texts, SFTSettings(output_dir="runs/sft"), lora=None)

``mode: read_then_think`` trains the baseline: the same episodes and steps, every thought moved into the deep part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer

from adasr_trl.config_sections import LoraSection
from adasr_trl.episode import Episode
from adasr_trl.layouts import Layout
from adasr_trl.protocol import Mode, Phase
from adasr_trl.samplers import EpochSeeded
from adasr_trl.training import Texts, callbacks, lora_config

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
        if self.mode not in [mode.value for mode in Mode]:
            raise ValueError(f"mode: got {self.mode!r}; expected streaming or read_then_think.")
        self.dataset_kwargs = {"skip_prepare_dataset": True}
        self.max_length = None


class StreamingSFTTrainer(SFTTrainer):
    """TRL's SFTTrainer whose batches of similar lengths come in an order that a resumed run repeats."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        grouped = isinstance(sampler, LengthGroupedSampler)
        return EpochSeeded(sampler, self.args.seed) if grouped else sampler


def sft_trainer(
    model: PreTrainedModel, texts: Texts, args: SFTSettings, lora: LoraSection | None
) -> StreamingSFTTrainer:
    """TRL's SFTTrainer on tokenized episodes."""
    mode, held_out = Mode(args.mode), texts.data.held_out
    return StreamingSFTTrainer(
        model,
        args=args,
        train_dataset=tokenize(texts.data.train, texts.layout, mode),
        eval_dataset=tokenize(held_out, texts.layout, mode) if held_out else None,
        processing_class=texts.tokenizer,
        peft_config=lora_config(lora),
        callbacks=callbacks(Path(args.output_dir)),
    )


def tokenize(episodes: Sequence[Episode], layout: Layout, mode: Mode) -> Dataset:
    """Columns ``input_ids``, ``labels`` (READ tokens ignored) and ``seq_lengths``."""
    rows = []
    for episode in episodes:
        encoded = layout.encode(episode, mode)
        labels = [
            IGNORED if phase is Phase.READ else token_id
            for token_id, phase in zip(encoded.token_ids, encoded.phases, strict=True)
        ]
        rows.append(
            {
                "input_ids": list(encoded.token_ids),
                "labels": labels,
                "seq_lengths": len(labels),
            }
        )
    return Dataset.from_list(rows)
