"""Streaming settings, model shape and training arguments of the tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from adasr_trl.config.sections import ScratchConfig, StreamingConfig

STREAMING = StreamingConfig(max_thought_tokens=12, max_deep_tokens=24, decode_batch=8, read_block=3)
SCRATCH = ScratchConfig(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    vocab_size=420,
    max_position_embeddings=512,
)
PARALLEL = dataclasses.replace(STREAMING, layout="parallel")
# Training arguments of a trainer on the CPU that saves and reports nothing.
ON_CPU: Mapping[str, Any] = {
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "gradient_checkpointing": False,
}
