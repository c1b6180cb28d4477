"""A base model and an SFT run with an adapter on its weights in 4 bits."""

from __future__ import annotations

from adasr_trl.cli.main import main as adasr
from support import workspace
from support.runs import run
from support.settings import SCRATCH

FOUR_BITS = "{kind: nf4, compute_dtype: float32}"
WIDE = {**vars(SCRATCH), "hidden_size": 128, "intermediate_size": 128, "head_dim": 64}


def make_runs(root, episodes):
    """ROOT/base, and ROOT/sft, an adapter on the base in 4 bits."""
    workspace.make(root, episodes)
    wide = {"init": "scratch", "scratch": WIDE}
    workspace.save(root, "base", {**workspace.load(root, "sft"), "model": wide})
    base = str(root / "base")
    assert adasr(["sft", "--config", f"{base}.yaml", "--output_dir", base]) == 0
    flags = ("--model", f"{{path: {base}, quantization: {FOUR_BITS}}}", "--lora.r", "4")
    config = {**workspace.load(root, "sft"), "learning_rate": 0.02}
    workspace.save(root, "sft", config)
    assert run("sft", root, *flags) == 0
