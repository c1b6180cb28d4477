"""What HRPO logs beside TRL's metrics: lengths, endings, skip rate and latency by phase, rewards by scope.

streaming/tokens, deep/tokens, streaming/skip_rate, ending/answered ..., latency_seconds,
reward/global, zero_std_groups/global ..., flat/reward (TRL's own, of the sum of all rewards)
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, MutableSequence, Sequence

import torch

from adasr_trl.advantages import Scopes, Settings, group_relative, nan_std
from adasr_trl.clock import Clock, arrivals, timeline
from adasr_trl.episode import Episode
from adasr_trl.protocol import Ending, Phase
from adasr_trl.rollout import Rollout

_FLAT = ("reward", "reward_std", "frac_reward_zero_std")


def phase_metrics(
    rollouts: Sequence[Rollout], episodes: Sequence[Episode], clock: Clock
) -> dict[str, float]:
    """Means over this process' rollouts, the same keys in the same order every time."""
    lines = [
        timeline(r, arrivals(e, clock), clock) for r, e in zip(rollouts, episodes, strict=True)
    ]
    metrics = {
        "streaming/tokens": _mean(rollout.tokens_in(Phase.STREAM) for rollout in rollouts),
        "deep/tokens": _mean(rollout.tokens_in(Phase.DEEP) for rollout in rollouts),
        "streaming/skip_rate": _mean(rollout.skip_rate for rollout in rollouts),
        "latency_seconds": _mean(line.to_answer_seconds for line in lines),
        "backlog_seconds": _mean(line.backlog_seconds for line in lines),
    }
    for ending in (Ending.ANSWERED, Ending.OUT_OF_TOKENS, Ending.MALFORMED):
        metrics[f"ending/{ending.value}"] = _mean(r.ending is ending for r in rollouts)
    return metrics


def replace_flat_metrics(
    metrics: dict[str, list[float]], scopes: Scopes, settings: Settings
) -> None:
    """Rename TRL's reward statistics, which are of the flat sum, and add each scope's own."""
    for name in _FLAT:
        metrics.setdefault(f"flat/{name}", []).append(metrics[name].pop())
        if not metrics[name]:
            del metrics[name]
    named = {"streaming": scopes.streaming_B, "deep": scopes.deep_B, "global": scopes.global_B}
    for name, rewards_B in named.items():
        std_N = nan_std(rewards_B.view(-1, settings.group_size))
        metrics.setdefault(f"reward/{name}", []).append(torch.nanmean(rewards_B).item())
        flat = torch.isclose(std_N, torch.zeros_like(std_N)).float().mean().item()
        metrics.setdefault(f"zero_std_groups/{name}", []).append(flat)


def replace_flat_advantages(
    logged: MutableSequence[float], scopes: Scopes, settings: Settings
) -> None:
    """In TRL's table of completions, show the global term in place of the flat advantage of the same rows."""
    terms = group_relative(scopes.global_B, settings.group_size).tolist()
    for _ in terms:
        logged.pop()
    logged.extend(terms)


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)
