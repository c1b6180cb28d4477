"""Drawing tokens by inverse CDF from one counter-based uniform number per (row seed, token).

    >>> uniform(seed=1, counter=0)
    0.5665615751722809

No random state exists: the t-th token of a row depends on its seed, t and its logits alone, so that a rollout is
the same alone, in any batch, and after a resume. Ours; the generator is SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from adasr_trl.engines.base import Sampling

_MASK = (1 << 64) - 1


def uniform(seed: int, counter: int) -> float:
    """A number in [0, 1) that is a function of its arguments."""
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def processors(sampling: Sampling) -> LogitsProcessorList:
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


def draw(
    logits_BV: Tensor, uniforms: list[float], sampling: Sampling, chain: LogitsProcessorList
) -> tuple[list[int], list[float]]:
    """One token for each row, and its log-probability.

    Args:
        logits_BV: Raw logits of the B rows that sample now.
        uniforms: One number in [0, 1) a row.
        sampling: The settings.
        chain: ``processors(sampling)``.

    Returns:
        Token ids, and log-probabilities under the temperature-scaled but otherwise unprocessed policy, which is
        what TRL's training forward computes (temperature 1 for greedy).
    """
    logits_BV = logits_BV.float()
    temperature = sampling.temperature or 1.0
    logp_BV = torch.log_softmax(logits_BV / temperature, dim=-1)
    if sampling.temperature == 0.0:
        ids_B = logits_BV.argmax(dim=-1)
    else:
        empty = torch.empty((len(uniforms), 0), dtype=torch.long, device=logits_BV.device)
        probs_BV = torch.softmax(chain(empty, logits_BV).double(), dim=-1)
        cdf_BV = probs_BV.cumsum(dim=-1)
        target_B1 = torch.tensor(uniforms, dtype=torch.float64, device=cdf_BV.device).unsqueeze(1)
        ids_B = torch.searchsorted(cdf_BV, target_B1 * cdf_BV[:, -1:], right=True).squeeze(1)
        ids_B = ids_B.clamp(max=probs_BV.size(1) - 1)
    chosen_B = logp_BV.gather(1, ids_B.unsqueeze(1)).squeeze(1)
    return ids_B.tolist(), chosen_B.tolist()
