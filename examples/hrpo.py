"""HRPO from the model of sft.py, with built-in rewards and two of one's own; then unseen questions and a live stream.

python examples/hrpo.py                                  # about a minute on one CPU core
python examples/hrpo.py --steps 2 --model DIR --out DIR  # a look
"""

from __future__ import annotations

import argparse
import logging

from reward import brief, counts
from stories import rows
from transformers import PrinterCallback

from adasr_trl import EvalConfig, HRPOConfig, HRPOTrainer, StreamingReasoner, evaluate

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--steps", type=int, default=20)
options.add_argument("--questions", type=int, default=100)
options.add_argument("--model", default="runs/examples/sft")
options.add_argument("--out", default="runs/examples/hrpo")
given = options.parse_args()

logging.basicConfig(level=logging.INFO, format="%(message)s")
trainer = HRPOTrainer(
    given.model,
    reward_funcs=[
        "accuracy",
        "format",
        {"name": "adaptive_thinking", "scope": "deep", "settings": {"cost": "latency"}},
        {"name": brief, "scope": "deep", "weight": 0.1},
        {"name": counts, "scope": "streaming", "weight": 0.25},
    ],
    args=HRPOConfig(
        given.out,
        max_steps=given.steps,
        num_generations=8,
        per_device_train_batch_size=32,
        learning_rate=1e-4,
        temperature=1.0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    ),
    train_dataset=rows(4 * given.steps, seed=2),
)
trainer.remove_callback(PrinterCallback)  # a logged line says it in fewer words
trainer.train()
trainer.save_model()

# The records are RUN/eval: adasr report, adasr show and adasr push read them.
evaluate(given.out, rows(given.questions, seed=3), EvalConfig(temperatures=(0.0,)))
stream = StreamingReasoner.from_pretrained(given.out).start(
    "How many eggs does Tom have at the end?"
)
for event in stream.feed("Tom has 6 eggs. It rains all day. Tom finds 2 eggs.") + stream.finish():
    print(event.kind.value, event.text)
