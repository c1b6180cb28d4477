"""Sampling by inverse CDF from one counter-based uniform number per (request seed, token).

    >>> uniform(seed=1, counter=0)
    0.5665615751722809

The t-th token of a rollout depends on its seed, t and its logits alone. So a rollout is the same alone, in any batch, and
after a resume. Our choice, not specified in the paper; the generator is SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from adasr_trl.engines.request import Sampling
from adasr_trl.engines.rollout_state import SequenceState

_MASK = (1 << 64) - 1


def uniform(seed: int, counter: int) -> float:
    """A number in [0, 1) that is a function of its arguments."""
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def _processors(sampling: Sampling) -> LogitsProcessorList:
    """Transformers' own logits processors, in its order: temperature, top-k, top-p, min-p."""
    chain = LogitsProcessorList()
    if sampling.temperature not in (0.0, 1.0):
        chain.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k > 0:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        chain.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p > 0.0:
        chain.append(MinPLogitsWarper(sampling.min_p))
    return chain


def sample_tokens(
    logits_BV: Tensor, uniforms: Sequence[float], sampling: Sampling
) -> tuple[list[int], list[float]]:
    """One token id for each of B sequences, from its raw logits and a number in [0, 1), and its log-probability.

    Log-probabilities are of the temperature-scaled but otherwise unprocessed policy, as in TRL's training forward
    (temperature 1 for greedy).
    """
    logits_BV = logits_BV.float()
    logp_BV = torch.log_softmax(logits_BV / (sampling.temperature or 1.0), dim=-1)
    if sampling.temperature == 0.0:
        ids_B = logits_BV.argmax(dim=-1)  # (B)
    else:
        # Warpers take the ids so far, and read none of them.
        empty = torch.empty((len(uniforms), 0), dtype=torch.long, device=logits_BV.device)
        processed_BV = _processors(sampling)(empty, logits_BV)
        probs_BV = torch.softmax(processed_BV.double(), dim=-1)
        cdf_BV = probs_BV.cumsum(dim=-1)
        uniform_B1 = torch.tensor(uniforms, dtype=torch.float64, device=cdf_BV.device).unsqueeze(1)
        target_B1 = uniform_B1 * cdf_BV[:, -1:]  # rounding may leave the sum beside 1
        ids_B = torch.searchsorted(cdf_BV, target_B1, right=True).squeeze(1)  # (B)
        ids_B = ids_B.clamp(max=probs_BV.size(1) - 1)
    chosen_B = logp_BV.gather(1, ids_B.unsqueeze(1)).squeeze(1)  # (B)
    return ids_B.tolist(), chosen_B.tolist()


def accept_sampled(states: Sequence[SequenceState], logits_nV: Tensor, sampling: Sampling) -> None:
    """Sample the next token of each sequence, and let the sequence take it in."""
    uniforms = [uniform(state.request.seed, state.sampled_tokens) for state in states]
    token_ids, logprobs = sample_tokens(logits_nV, uniforms, sampling)
    for state, token_id, logprob in zip(states, token_ids, logprobs, strict=True):
        state.accept(token_id, logprob)


def server_settings(state: SequenceState, sampling: Sampling) -> dict[str, object]:
    """Settings of the next segment's request to a server, under OpenAI's names."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": state.tokens_left,
        # A seed for each segment: with one for all, each would begin with the same random numbers.
        "seed": int(uniform(state.request.seed, state.sampled_tokens) * 2**31),
    }
