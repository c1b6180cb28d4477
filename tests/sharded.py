"""Trains the tiny model with ``adasr sft``, plainly or with DeepSpeed, in as many processes as it was launched with.

    python -m torch.distributed.run --nproc_per_node 2 tests/sharded.py ROOT NAME {plain,zero2,zero3} [--key value ...]

Not a test: ``test_deepspeed`` launches and compares. Under ROOT/NAME it leaves the run ``whole``, whose end was repeated from
its last checkpoint, and ``cut``, which was interrupted in its last step and resumed; a plain run also leaves each weight's
smallest gradient. DeepSpeed stays in a process of its own, since it leaks into trainers that are made later.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

import torch
from transformers import TrainerCallback

from adasr_trl import callbacks, cli, rundir, sft

CONFIGS = Path(__file__).parent.parent / "configs" / "deepspeed"


class Kill(TrainerCallback):
    """Interrupts the last step."""

    def on_step_end(self, args, state, control, **_kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt


class Gradients(TrainerCallback):
    """Keeps the smallest size of each weight's gradient over the steps."""

    def __init__(self):
        self.smallest = {}

    def on_pre_optimizer_step(self, args, state, control, model=None, **_kwargs):
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                size = parameter.grad.abs()
                before = self.smallest.get(name.removeprefix("module."), size)
                self.smallest[name.removeprefix("module.")] = torch.minimum(before, size)


def run(root, kind, out, extra, *more):
    plain = callbacks.callbacks
    sharding = () if kind == "plain" else ("--deepspeed", str(CONFIGS / f"{kind}.yaml"))
    command = ["sft", "--config", str(root / "sft.yaml"), "--output_dir", str(out), *sharding]
    resume = ["--resume"] if "resume" in more else []
    watching = [each for each in more if each != "resume"]
    with patch.object(sft, "callbacks", lambda path: [*plain(path), *watching]):
        return cli.main([*command, *resume, *extra])


def undo_the_end(out):
    """As if the run had been killed behind its last checkpoint, before it saved the model."""
    if os.environ.get("RANK", "0") == "0":
        record = json.loads((out / rundir.RUN_FILE).read_text())
        (out / rundir.RUN_FILE).write_text(json.dumps({**record, "complete": False}))
        for file in out.glob("*.safetensors"):
            file.unlink()
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    rundir._unlock(out)


def main(root, name, kind, extra):
    torch.set_num_threads(1)
    folder = root / name
    gradients = Gradients()
    assert run(root, kind, folder / "whole", extra, gradients) == 0
    assert run(root, kind, folder / "cut", extra, Kill()) == 130
    rundir._unlock(folder / "cut")
    assert run(root, kind, folder / "cut", extra, "resume") == 0
    undo_the_end(folder / "whole")
    assert run(root, kind, folder / "whole", extra, "resume") == 0
    if kind == "plain":
        torch.save(gradients.smallest, folder / "gradients.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], sys.argv[4:])
