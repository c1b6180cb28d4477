"""Streaming attention by a loop over tokens, and a dense forward under it: the reference for the parallel layout."""

from __future__ import annotations

import torch

from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec


def naive(prompt_length, chunks, fed):
    """Which tokens attend to which, token by token, in the papers' words."""
    count = len(chunks)
    seen = torch.zeros(count, count, dtype=torch.bool)
    for i in range(count):
        for j in range(i + 1):
            if j >= prompt_length or i < prompt_length:  # both of the target, or of the source
                seen[i, j] = True
            else:
                own = chunks[i]
                last = i + 1 < count and chunks[i + 1] != own
                read = chunks[i + 1] if fed and last else own
                seen[i, j] = chunks[j] <= read
    return seen


def parts_for(tokenizer, streaming):
    codec = Codec(tokenizer, streaming.markers)
    return codec, build_layout(streaming, codec)


def dense(rollout, fed, following=()):
    """Mask and positions of a rollout by the loop of ``naive``; ``following`` is the next token's chunk."""
    length, count = rollout.prompt_length, len(rollout.token_ids)
    mask = naive(length, (*rollout.chunk_of_token, *following), fed)[None, None, :count, :count]
    positions = [*range(length), *range(len(rollout.token_ids) - length)]
    return mask, torch.tensor([positions])


def full_logps(model, rollout, fed, following=()):
    """Log-probability of every token but the first, by one forward, and all logits."""
    mask, positions = dense(rollout, fed, following)
    ids = torch.tensor([rollout.token_ids])
    with torch.no_grad():
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
        ).logits
    logps = torch.log_softmax(logits[0, :-1].float(), dim=-1)
    return logps.gather(1, ids[0, 1:, None])[:, 0], logits[0]
