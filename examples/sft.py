"""Supervised fine-tuning on rows with traces, of a tiny model made on the spot.

    python examples/sft.py                       # 75 seconds on one CPU core
    python examples/sft.py --steps 4 --out DIR   # a look

A pretrained model is a name in place of ``model``, such as "Qwen/Qwen3-0.6B" with ``peft_config=LoraConfig(...)``.
"""

from __future__ import annotations

import argparse
import logging

from stories import rows
from transformers import PrinterCallback

from adasr_trl import (
    ModelConfig,
    ScratchConfig,
    StreamingConfig,
    StreamingReasoner,
    StreamingSFTConfig,
    StreamingSFTTrainer,
)

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--steps", type=int, default=400)
options.add_argument("--out", default="runs/examples/sft")
given = options.parse_args()

logging.basicConfig(level=logging.INFO, format="%(message)s")
trainer = StreamingSFTTrainer(
    ModelConfig(
        init="scratch", scratch=ScratchConfig(hidden_size=64, num_hidden_layers=2, vocab_size=512)
    ),
    args=StreamingSFTConfig(
        given.out,
        max_steps=given.steps,
        per_device_train_batch_size=32,
        learning_rate=5e-3,
        warmup_steps=0.05,  # a share
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    ),
    train_dataset=rows(32 * given.steps, seed=1),
    streaming=StreamingConfig(max_thought_tokens=12, max_deep_tokens=24),
)
trainer.remove_callback(PrinterCallback)  # a logged line says it in fewer words
trainer.train()
trainer.save_model()

stream = StreamingReasoner.from_pretrained(given.out).start(
    "How many eggs does Tom have at the end?"
)
for event in stream.feed("Tom has 6 eggs. It rains all day. Tom finds 2 eggs.") + stream.finish():
    print(event.kind.value, event.text)
