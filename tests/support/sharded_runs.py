"""Launches ``sharded`` and compares the weights of its runs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from adasr_trl.cli.main import main as adasr
from support import workspace
from support.launching import TORCHRUN, launch_script

TOLERANCE = 1e-5
NEGLIGIBLE = 1e-7  # AdamW divides by the gradient's own size: below this, rounding becomes a step


def launch(root: Path, kind: str, processes: int, *extra: str) -> Path:
    name = f"{kind}-{processes}-{len(list(root.iterdir()))}"
    launch_script(
        "sharded",
        *(root, name, kind, *extra),
        launcher=(*TORCHRUN, processes) if processes > 1 else (),
        timeout=900,  # compiling DeepSpeed's AdamW on a busy machine takes minutes
        TORCH_EXTENSIONS_DIR=str(root / "extensions"),  # what DeepSpeed compiles, once
    )
    return root / name


def make_root(root, episodes):
    """Three steps of AdamW from a saved model; a batch of 4 episodes a step and process."""
    workspace.make(root, episodes)
    assert adasr(["sft", "--config", str(root / "sft.yaml"), "--output_dir", f"{root}/base"]) == 0
    config = workspace.load(root, "sft")
    config |= {"model": {"path": f"{root}/base"}, "max_steps": 3, "save_steps": 1}
    del config["eval_steps"]
    workspace.save(root, "sft", config | {"learning_rate": 1e-4, "eval_strategy": "no"})


def weights(run: Path) -> dict[str, torch.Tensor]:
    (file,) = run.glob("*model.safetensors")
    found = load_file(file)
    if "lm_head.weight" in found:  # a tied head, which DeepSpeed saves too
        assert torch.equal(found.pop("lm_head.weight"), found["model.embed_tokens.weight"])
    return found


def apart(a: Path, b: Path, gradients: dict[str, torch.Tensor] | None = None) -> float:
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    worst = 0.0
    for name, weight in left.items():
        difference = (weight - right[name]).abs()
        if gradients is not None:
            difference = difference[gradients[name] >= NEGLIGIBLE]
        worst = max(worst, difference.max().item() if difference.numel() else 0.0)
    return worst
