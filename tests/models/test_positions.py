"""Longest sequences: LongRoPE's ends at its original context, behind which rollouts and training would differ."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from adasr_trl.config.sections import ModelConfig
from adasr_trl.models.loading import positions_of
from adasr_trl.models.positions import longest_sequence

SHAPE = {
    "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512,
}  # fmt: skip
LONG = {
    "rope_type": "longrope", "factor": 2.0, "original_max_position_embeddings": 64, "rope_theta": 1e4,
    "short_factor": [1.0] * 8, "long_factor": [3.0] * 8,
}  # fmt: skip
YARN = {
    "rope_type": "yarn",
    "factor": 2.0,
    "original_max_position_embeddings": 64,
    "rope_theta": 1e4,
}


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        (LlamaConfig(**SHAPE, rope_parameters=LONG), 64),
        (LlamaConfig(**SHAPE, rope_parameters=YARN), 512),  # turns all positions alike
        (Qwen3Config(**SHAPE), 512),
    ],
)
def test_the_longest_sequence(tmp_path, config, longest):
    assert longest_sequence(config) == longest
    config.save_pretrained(tmp_path)
    assert positions_of(ModelConfig(path=str(tmp_path))) == longest


@torch.no_grad()
@pytest.mark.parametrize(("length", "is_same"), [(64, True), (65, False)])
def test_that_is_where_decoding_stops_to_equal_one_forward(length, is_same):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE, rope_parameters=LONG)).eval()
    for weight in model.parameters():
        weight.mul_(8.0 if weight.dim() > 1 else 1.0)
    ids = torch.arange(length).unsqueeze(0)  # (1, T)
    cache = model(ids[:, :-1], use_cache=True).past_key_values
    last = model(ids[:, -1:], past_key_values=cache).logits[0, -1]
    assert torch.allclose(last, model(ids).logits[0, -1], atol=1e-3) is is_same
