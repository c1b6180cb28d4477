"""Commands in a ``workspace``, their interruption, and the comparison of their runs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from adasr_trl.artifacts.names import SAMPLES_FILE
from adasr_trl.cli.main import main as adasr
from adasr_trl.training import callbacks, health


def run(command: str, root: Path, *flags: str) -> int:
    return adasr([command, "--config", str(root / f"{command}.yaml"), *flags])


def weights(run_directory: Path) -> dict[str, torch.Tensor]:
    return load_file(run_directory / "model.safetensors")


def assert_equal(a: Path, b: Path) -> None:
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    assert max((left[name] - right[name]).abs().max().item() for name in left) == 0.0


def samples(run_directory: Path) -> str:
    return (run_directory / SAMPLES_FILE).read_text()


class Kill(TrainerCallback):
    """Ends the process's work as abruptly as an exception can, inside a step's end."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **_kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def kill_at(monkeypatch, step):
    plain = callbacks.callbacks
    monkeypatch.setattr(health, "callbacks", lambda path: [*plain(path), Kill(step)])


def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = model(input_ids=ids).logits
    model.train(was_training)
    return found
