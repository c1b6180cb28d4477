"""A directory with 60 episodes and configurations of runs that take a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from adasr_trl.core.episode import Episode, write_episodes

SCRATCH = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "vocab_size": 420,
}
CPU = {
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "save_total_limit": 2,
    "logging_steps": 1,
}


def make(root: Path, episodes: list[Episode]) -> None:
    """Write train.jsonl, test.jsonl, sft.yaml, hrpo.yaml and eval.yaml into ``root``."""
    write_episodes(root / "train.jsonl", episodes[:48])
    write_episodes(root / "test.jsonl", episodes[48:54])
    data = {"train": str(root / "train.jsonl"), "held_out": 8}
    streaming = {"max_thought_tokens": 12, "max_deep_tokens": 20, "decode_batch": 16}
    sft = {
        "output_dir": str(root / "sft"),
        "model": {"init": "scratch", "scratch": SCRATCH},
        "data": data,
        "streaming": streaming,
        "max_steps": 6,
        "save_steps": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 3e-3,
        "eval_strategy": "steps",
        "eval_steps": 2,
        **CPU,
    }
    hrpo = {
        "output_dir": str(root / "hrpo"),
        "model": {"path": str(root / "sft")},
        "data": data,
        "streaming": streaming,
        "rewards": [
            {"name": "accuracy", "scope": "global"},
            {"name": "format", "scope": "streaming", "weight": 0.25},
            {"name": "format", "scope": "deep", "weight": 0.25},
            {"name": "adaptive_thinking", "scope": "deep", "settings": {"cost": "latency"}},
        ],
        "num_generations": 4,
        "generation_batch_size": 8,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": 4,
        "sample_steps": 2,
        "save_steps": 1,
        "learning_rate": 1e-3,
        **CPU,
    }
    evaluation = {
        "model": {"path": str(root / "hrpo")},
        "data": {**data, "test": str(root / "test.jsonl")},
        "eval": {"modes": ["streaming", "read_then_think"], "temperatures": [0.0, 1.0]},
    }
    for name, config in (("sft", sft), ("hrpo", hrpo), ("eval", evaluation)):
        save(root, name, config)


def save(root: Path, name: str, config: dict[str, Any]) -> None:
    """Write one configuration."""
    (root / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def load(root: Path, name: str) -> dict[str, Any]:
    """Read one configuration."""
    return yaml.safe_load((root / f"{name}.yaml").read_text(encoding="utf-8"))
