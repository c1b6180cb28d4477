"""Trains the tiny model with ``adasr sft``, plainly, with DeepSpeed or with FSDP, in as many processes as it was launched with.

    python -m torch.distributed.run --nproc_per_node 2 tests/support/sharded.py ROOT NAME {plain,zero2,zero3,fsdp} [--key value ...]

Not a test: ``test_deepspeed`` and ``test_fsdp`` launch and compare. Under ROOT/NAME it leaves the run ``whole``, whose end was repeated from
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
from accelerate import DistributedType, PartialState
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import RUN_FILE
from adasr_trl.cli.main import main as adasr
from adasr_trl.training import callbacks, distributed, health

CONFIGS = Path(__file__).parents[2] / "configs" / "deepspeed"


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


class Sharded(TrainerCallback):
    """Writes down which share of the weights this process has."""

    def __init__(self, file):
        self.file = file

    def on_train_end(self, args, state, control, model=None, **_kwargs):
        weights = list(model.parameters())
        here = sum(w.to_local().numel() if isinstance(w, DTensor) else w.numel() for w in weights)
        share = here / sum(w.numel() for w in weights)
        self.file.with_suffix(f".{os.environ.get('RANK', '0')}").write_text(str(share))


def take_cpu_processes_for_accelerators():
    """Let accelerate shard over CPU processes, for which it leaves FSDP out; and let the command go on with it."""
    begin = PartialState.__init__

    def begin_sharded(self, *arguments, **named):
        begin(self, *arguments, **named)
        if self._shared_state["distributed_type"] is DistributedType.MULTI_CPU:
            self._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = begin_sharded
    distributed._refuse_fsdp_on_cpu = lambda **_settings: None


def run(root, kind, out, extra, *more):
    plain = callbacks.callbacks
    sharding = () if kind in ("plain", "fsdp") else ("--deepspeed", str(CONFIGS / f"{kind}.yaml"))
    command = ["sft", "--config", str(root / "sft.yaml"), "--output_dir", str(out), *sharding]
    resume = ["--resume"] if "resume" in more else []
    watching = [each for each in more if each != "resume"]
    with patch.object(health, "callbacks", lambda path: [*plain(path), *watching]):
        return adasr([*command, *resume, *extra])


def undo_the_end(out):
    """As if the run had been killed behind its last checkpoint, before it saved the model."""
    if os.environ.get("RANK", "0") == "0":
        record = json.loads((out / RUN_FILE).read_text())
        (out / RUN_FILE).write_text(json.dumps({**record, "complete": False}))
        for file in out.glob("*.safetensors"):
            file.unlink()
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    directory._unlock(out)


def main(root, name, kind, extra):
    torch.set_num_threads(1)
    folder = root / name
    gradients = Gradients()
    if kind == "fsdp":
        take_cpu_processes_for_accelerators()
    watching = (gradients,) if kind == "plain" else (Sharded(root / f"{name}-share"),)
    assert run(root, kind, folder / "whole", extra, *watching) == 0
    assert run(root, kind, folder / "cut", extra, Kill()) == 130
    directory._unlock(folder / "cut")
    assert run(root, kind, folder / "cut", extra, "resume") == 0
    undo_the_end(folder / "whole")
    assert run(root, kind, folder / "whole", extra, "resume") == 0
    if kind == "plain":
        torch.save(gradients.smallest, folder / "gradients.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], sys.argv[4:])
