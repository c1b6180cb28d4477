"""Streaming settings and model shape of the tests."""

from __future__ import annotations

import dataclasses

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
