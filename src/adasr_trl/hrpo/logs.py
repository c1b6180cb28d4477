"""What HRPO logs beside TRL's metrics: lengths, endings, skip rate and latency by phase, rewards by scope, groups.

accuracy, streaming/tokens, deep/tokens, streaming/skip_rate, ending/answered ..., answer_latency_seconds,
reward/global, zero_std_groups/global ..., groups/all_wrong, groups/no_signal ...,
flat/reward (TRL's own, of the sum of all rewards)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.hrpo.advantages import Scopes, Settings, nan_std
from adasr_trl.hrpo.group_filter import Draw
from adasr_trl.hrpo.scoring import Row

_FLAT = ("reward", "reward_std", "frac_reward_zero_std")
NEEDS_DEEP = "deep"  # the tag of episodes that need deep work


def phase_metrics(rows: Sequence[Row], clock: Clock) -> dict[str, tuple[float, int]]:
    """Sum and count over this process' rollouts, the same keys in the same order every time."""
    graded = [row.graded for row in rows]
    rollouts = [each.rollout for each in graded]
    lines = [timeline(each.rollout, arrivals(each.episode, clock), clock) for each in graded]
    deep = [each for each in graded if NEEDS_DEEP in each.episode.tags]
    thoughts = [ending for rollout in rollouts for ending in rollout.thought_endings]
    metrics = {
        "accuracy": _sum(each.right for each in graded),
        "accuracy/needs_deep": _sum(each.right for each in deep),
        "streaming/tokens": _sum(rollout.tokens_in(Phase.STREAM) for rollout in rollouts),
        "streaming/skip_rate": _sum(r.skip_rate for r in rollouts if r.thought_endings),
        "streaming/capped": _sum(ending is Ending.OUT_OF_TOKENS for ending in thoughts),
        "streaming/malformed": _sum(ending is Ending.MALFORMED for ending in thoughts),
        "deep/tokens": _sum(rollout.tokens_in(Phase.DEEP) for rollout in rollouts),
        "deep/tokens_needs_deep": _sum(each.rollout.tokens_in(Phase.DEEP) for each in deep),
        "answer_latency_seconds": _sum(line.answer_latency_seconds for line in lines),
        "backlog_seconds": _sum(line.backlog_seconds for line in lines),
    }
    for ending in (Ending.ANSWERED, Ending.OUT_OF_TOKENS, Ending.MALFORMED):
        metrics[f"ending/{ending.value}"] = _sum(r.ending is ending for r in rollouts)
    return metrics


def log_draw(
    metrics: dict[str, list[float]],
    draw: Draw,
    clock: Clock,
    more: Mapping[str, tuple[float, int]],
    accelerator: Any,
) -> None:
    """Add the means over all processes of the first draw, and of ``more`` sums and counts.

    What counted nowhere is left out.
    """
    local = {**phase_metrics(draw.first_rows, clock), **more}
    sums = torch.tensor([list(local.values())], device=accelerator.device)  # (1, metrics, 2)
    totals = accelerator.gather(sums).sum(dim=0).tolist()
    for name, (total, count) in zip(local, totals, strict=True):
        if count:
            metrics.setdefault(name, []).append(total / count)
    for name, share in group_metrics(draw).items():
        metrics.setdefault(name, []).append(share)


def group_metrics(draw: Draw) -> dict[str, float]:
    """Shares of all groups: those of the first draw by kind, those drawn again, and what is left without signal."""
    first = draw.first
    return {
        "groups/all_right": first.all_right_N.float().mean().item(),
        "groups/all_wrong": first.all_wrong_N.float().mean().item(),
        "groups/format_dead": first.format_dead_N.float().mean().item(),
        "groups/redrawn": draw.redrawn / len(first.all_right_N),
        "groups/no_signal": draw.last.no_signal.float().mean().item(),
    }


def replace_flat(metrics: dict[str, list[float]], scopes: Scopes, settings: Settings) -> None:
    """Rename TRL's reward statistics in ``metrics``, which are of the flat sum, and add those of each scope."""
    for name in _FLAT:
        metrics.setdefault(f"flat/{name}", []).append(metrics[name].pop())
        if not metrics[name]:
            del metrics[name]
    streaming_B = scopes.streaming
    if streaming_B.dim() == 2:
        streaming_B = torch.nanmean(streaming_B, dim=1)
    named = {"streaming": streaming_B, "deep": scopes.deep_B, "global": scopes.global_B}
    for name, rewards_B in named.items():
        std_N = nan_std(rewards_B.view(-1, settings.group_size))
        metrics.setdefault(f"reward/{name}", []).append(torch.nanmean(rewards_B).item())
        flat = torch.isclose(std_N, torch.zeros_like(std_N)).float().mean().item()
        metrics.setdefault(f"zero_std_groups/{name}", []).append(flat)


def _sum(values: Iterable[float]) -> tuple[float, int]:
    known = list(values)
    return float(sum(known)), len(known)
