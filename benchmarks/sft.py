"""An SFT step on streaming episodes against TRL's SFT step on the same token ids.

    python -m benchmarks.sft           # about 3 minutes on one core

Eight episodes of 5 to 11 sentences a step. TRL's SFTTrainer gets the ids and labels of the interleaved layout; ours the
same, and the parallel layout's with its visibility, in padded rows or over distinct tokens. CPU seconds of a step, the
trainers in turns.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Sequence
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode
from adasr_trl.layouts import build_layout
from adasr_trl.training.data import Data, Texts
from adasr_trl.training.sft import StreamingSFTConfig, StreamingSFTTrainer, tokenize
from benchmarks import parts
from benchmarks.step import StepTimes

VOCABULARY, HIDDEN, LAYERS, ROWS, STEPS = 32_000, 256, 4, 8, 6
FORMS = ("TRL", "interleaved, padded", "interleaved", "parallel, padded", "parallel")


def steps_of(form: str, folder: str) -> list[float]:
    """CPU seconds of the steps of one trainer."""
    layout: Any = "parallel" if form.startswith("parallel") else "interleaved"
    streaming = StreamingConfig(layout=layout, max_prompt_tokens=100_000)
    codec = parts.codec_of(streaming)
    episodes = [episode_of(n) for n in range(ROWS * STEPS)]
    own_layout = build_layout(streaming, codec)
    times = StepTimes()
    settings: dict[str, Any] = {
        "output_dir": folder,
        "per_device_train_batch_size": ROWS,
        "max_steps": STEPS,
        **parts.TIMED,
    }
    model = parts.model_of(VOCABULARY, HIDDEN, LAYERS)
    if form == "TRL":
        skip = {"dataset_kwargs": {"skip_prepare_dataset": True}, "max_length": None}
        trainer = SFTTrainer(
            model,
            args=SFTConfig(**settings, **skip),
            train_dataset=tokenize(episodes, own_layout, Mode.STREAMING),
            processing_class=codec.tokenizer,
            data_collator=DataCollatorForLanguageModeling(codec.eos_id),
            callbacks=[times],
        )
    else:
        texts = Texts(Data(episodes, ()), codec.tokenizer, streaming, codec, own_layout)
        args = StreamingSFTConfig(**settings, shared_prefix=not form.endswith("padded"))
        trainer = StreamingSFTTrainer(model, args, texts, callbacks=[times])
    trainer.train()
    return times.seconds[1:]


def episode_of(number: int) -> Episode:
    """An episode of 5 to 11 sentences, whose words come in an order of their own: episodes share their prompt only."""
    words = parts.LONG_SENTENCE.split()
    dice = random.Random(number)
    sentences = [
        "".join(f" {word}" for word in dice.sample(words, len(words)))
        for _ in range(5 + number % 7)
    ]
    return parts.episode_of(sentences, f"e{number}")


def main(_arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(parts.REPEATS):
        for form in FORMS:
            with tempfile.TemporaryDirectory() as folder:
                seconds[form].append(statistics.median(steps_of(form, folder)))
    lines = [
        [
            "TRL's SFT" if form == "TRL" else form,
            f"{statistics.median(seconds[form]):.2f}",
            parts.ratio(seconds[form], seconds["TRL"]),
        ]
        for form in FORMS
    ]
    print(parts.table(("step", "CPU s", "times TRL's"), lines))


if __name__ == "__main__":
    main()
