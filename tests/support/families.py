"""Tiny random models of every decoder family that the parallel layout was tried on."""

from __future__ import annotations

from typing import Any

import torch
import transformers as t

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 512}
NEOX = {key: value for key, value in SHAPE.items() if key != "num_key_value_heads"}

GOOD: dict[str, tuple[Any, dict[str, Any]]] = {
    "qwen2": (t.Qwen2Config, SHAPE),
    "qwen3": (t.Qwen3Config, {**SHAPE, "head_dim": 16}),
    "qwen3_moe": (t.Qwen3MoeConfig, {**SHAPE, **MOE, "head_dim": 16}),
    "llama": (t.LlamaConfig, SHAPE),
    "mistral": (t.MistralConfig, {**SHAPE, "sliding_window": None}),
    "phi3": (t.Phi3Config, {**SHAPE, "pad_token_id": 0}),
    "gemma": (t.GemmaConfig, {**SHAPE, "head_dim": 16}),
    "smollm3": (t.SmolLM3Config, {**SHAPE, "pad_token_id": 0}),
    "olmo2": (t.Olmo2Config, SHAPE),
    "granite": (t.GraniteConfig, SHAPE),
    "gpt_neox": (t.GPTNeoXConfig, NEOX),
    "gpt2": (t.GPT2Config, GPT2),
}
BAD: dict[str, tuple[Any, dict[str, Any]]] = {
    "mistral with a window": (t.MistralConfig, {**SHAPE, "sliding_window": 8}),
    "gemma3": (t.Gemma3TextConfig, {**SHAPE, "head_dim": 16, "sliding_window": 8}),
    "lfm2": (t.Lfm2Config, {**SHAPE, "layer_types": ["conv", "full_attention"]}),
    "bloom": (t.BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 2}),
}


def build(
    kind: tuple[Any, dict[str, Any]], vocabulary: int, seed: int = 0, scale: float = 4.0
) -> Any:
    """A random model of the family, sharp enough that its samples differ."""
    config_class, shape = kind
    torch.manual_seed(seed)
    config = config_class(vocab_size=vocabulary, **shape)
    model = t.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed" not in name and "wte" not in name:
                parameter.mul_(scale)
    return model


def lean_towards(model: Any, token_ids: list[int], by: float) -> None:
    """Make the model like some tokens, such as end markers, so that its rollouts end in every way."""

    def tilt(_module: Any, _args: Any, output: Any) -> None:
        output.logits[..., token_ids] += by

    model.register_forward_hook(tilt)
