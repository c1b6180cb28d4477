"""Trains the tiny model in every combination of one sharding that ``combinations`` says works, two steps each.

    python -m torch.distributed.run --nproc_per_node 2 tests/support/combined.py ROOT {PLAIN,ZERO2,...}

Not a test: ``test_combinations`` launches it. DeepSpeed stays in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

import torch

from adasr_trl.cli.main import main as adasr
from adasr_trl.cli.support_matrix import Combination, Sharding, Status, Weights, decide
from adasr_trl.training import shared_prefix
from tools.support_table import every_row

CONFIGS = Path(__file__).parents[2] / "configs" / "deepspeed"
FILES = {
    Sharding.ZERO2: "zero2",
    Sharding.ZERO2_OFFLOAD: "zero2-offload",
    Sharding.ZERO3: "zero3",
    Sharding.ZERO3_OFFLOAD: "zero3-offload",
}
BITS = "{kind: nf4, compute_dtype: float32}"


def rows_of(sharding):
    for command, engine, layout, weights in every_row():
        verdict = decide(Combination(command, weights, sharding, layout, engine))
        if verdict.status is Status.WORKS and engine == "hf" and command in ("sft", "hrpo"):
            yield command, layout, weights


def train(root, sharding, command, layout, weights):
    """SFT from the base, or HRPO from that SFT run."""
    name = f"{sharding.name}-{layout}-{weights.name}"
    flags = ["--output_dir", f"{root}/{name}-{command}", "--streaming.layout", layout]
    if sharding in FILES:
        flags += ["--deepspeed", str(CONFIGS / f"{FILES[sharding]}.yaml")]
    if command == "sft":
        bits = f", quantization: {BITS}" if weights is Weights.QLORA else ""
        flags += ["--model", f"{{path: {root}/base{bits}}}"]
        flags += [] if weights is Weights.FULL else ["--lora.r", "4"]
    else:
        flags += ["--model.path", f"{root}/{name}-sft", "--gradient_accumulation_steps", "1"]
    return adasr([command, "--config", f"{root}/{command}.yaml", *flags])


def main(root, sharding):
    torch.set_num_threads(1)
    # Sharing must not give way to padded rows, which it would say.
    with patch.object(shared_prefix.logger, "warning", side_effect=AssertionError):
        for row in rows_of(sharding):
            status = train(root, sharding, *row)
            assert status == 0, row
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Sharding[sys.argv[2]])
