"""Longest sequence that a model can both write token by token and be trained on.

    >>> longest_sequence(AutoConfig.from_pretrained("microsoft/Phi-3-mini-128k-instruct"))
    4096

LongRoPE turns every position of a sequence by other angles once it is longer than its original context. Keys that a
rollout keeps were turned by the first ones, so a longer stream is sampled from another model than the one that is trained.
"""

from __future__ import annotations

from typing import Any


def longest_sequence(config: Any) -> int | None:
    """Positions of a transformers configuration; None where it names no limit."""
    text = config.get_text_config()
    longest: int | None = getattr(text, "max_position_embeddings", None)  # not on every model
    rope = getattr(text, "rope_parameters", None) or {}
    if rope.get("rope_type") != "longrope":
        return longest
    original: int | None = rope.get("original_max_position_embeddings")
    return original or getattr(text, "original_max_position_embeddings", None) or longest
