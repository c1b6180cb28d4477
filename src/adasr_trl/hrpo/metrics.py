"""Metrics of HRPO beside TRL's: lengths, endings, skips, latency, rewards by scope, groups, credit.

accuracy, streaming/tokens, deep/tokens, streaming/skip_rate, ending/answered ..., answer_latency_seconds,
reward/global, zero_std_groups/global ..., groups/all_wrong, groups/no_signal ..., credit/flat_against_deep ...,
and TRL's own reward, reward_std, frac_reward_zero_std, which are of the sum of all rewards
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.hrpo.advantages import AdvantageSettings, Scopes, nan_std, relative
from adasr_trl.hrpo.group_filter import GenerationBatch
from adasr_trl.hrpo.scoring import scopes_of
from adasr_trl.rewards import Reward, ScoredRollout

NEEDS_DEEP = "deep"  # the tag of episodes that need deep work

SumAndCount = tuple[float, int]


def log_batch(
    metrics: dict[str, list[float]],
    batch: GenerationBatch,
    clock: Clock,
    more: Mapping[str, SumAndCount],
    accelerator: Any,
) -> None:
    """Add the means over all processes of the first attempt's rollouts, and of ``more``; a count of 0 is left out."""
    local = {**rollout_metrics(batch.first_rollouts, clock), **more}
    sums = torch.tensor([list(local.values())], device=accelerator.device)  # (1, metrics, 2)
    totals = accelerator.gather(sums).sum(dim=0).tolist()  # (processes, metrics, 2) -> (metrics, 2)
    for name, (total, count) in zip(local, totals, strict=True):
        if count:
            metrics.setdefault(name, []).append(total / count)
    for name, share in group_metrics(batch).items():
        metrics.setdefault(name, []).append(share)


def rollout_metrics(scored: Sequence[ScoredRollout], clock: Clock) -> dict[str, SumAndCount]:
    """Sums and counts over this process' rollouts, always with the same keys in the same order."""
    rollouts = [item.rollout for item in scored]
    lines = [timeline(item.rollout, arrivals(item.episode, clock), clock) for item in scored]
    deep = [item for item in scored if NEEDS_DEEP in item.episode.tags]
    thoughts = [ending for rollout in rollouts for ending in rollout.thought_endings]
    metrics = {
        "accuracy": _sum(item.right for item in scored),
        "accuracy/needs_deep": _sum(item.right for item in deep),
        "streaming/tokens": _sum(rollout.tokens_in(Phase.STREAM) for rollout in rollouts),
        "streaming/skip_rate": _sum(r.skip_rate for r in rollouts if r.thought_endings),
        "streaming/capped": _sum(ending is Ending.OUT_OF_TOKENS for ending in thoughts),
        "streaming/malformed": _sum(ending is Ending.MALFORMED for ending in thoughts),
        "deep/tokens": _sum(rollout.tokens_in(Phase.DEEP) for rollout in rollouts),
        "deep/tokens_needs_deep": _sum(item.rollout.tokens_in(Phase.DEEP) for item in deep),
        "answer_latency_seconds": _sum(line.answer_latency_seconds for line in lines),
        "backlog_seconds": _sum(line.backlog_seconds for line in lines),
    }
    for ending in (Ending.ANSWERED, Ending.OUT_OF_TOKENS, Ending.MALFORMED):
        metrics[f"ending/{ending.value}"] = _sum(r.ending is ending for r in rollouts)
    return metrics


def group_metrics(batch: GenerationBatch) -> dict[str, float]:
    """Shares of all groups: of the first attempt by kind, sampled again, and without signal at the end."""
    first = batch.first
    return {
        "groups/all_right": first.all_right_N.float().mean().item(),
        "groups/all_wrong": first.all_wrong_N.float().mean().item(),
        "groups/format_dead": first.format_dead_N.float().mean().item(),
        "groups/redrawn": batch.resampled / len(first.all_right_N),
        "groups/no_signal": batch.last.no_signal.float().mean().item(),
    }


def log_scopes(
    metrics: dict[str, list[float]], scopes: Scopes, settings: AdvantageSettings
) -> None:
    """Add each scope's reward statistics to ``metrics``."""
    for name, rewards_B in {**_local_scopes(scopes), "global": scopes.global_B}.items():
        std_N = nan_std(rewards_B.view(-1, settings.group_size))  # (N, G) -> (N)
        metrics.setdefault(f"reward/{name}", []).append(torch.nanmean(rewards_B).item())
        equal_share = torch.isclose(std_N, torch.zeros_like(std_N)).float().mean().item()
        metrics.setdefault(f"zero_std_groups/{name}", []).append(equal_share)


def credit_metrics(
    batch: GenerationBatch, rewards: Sequence[Reward], settings: AdvantageSettings, rows: slice
) -> dict[str, SumAndCount]:
    """Share of tokens whose GRPO advantage and per-phase advantage have opposite signs (our measure).

    It says where hierarchical credit can help at all. GRPO's advantage is of all rewards in one sum. Rollouts for which
    either advantage is 0 are not counted. ``rows`` are the indices of this process' rows among all.
    """
    phases = {"streaming": Phase.STREAM, "deep": Phase.DEEP}
    if settings.group_size < 2:  # an evaluation
        return {f"credit/flat_against_{name}": (0.0, 0) for name in phases}
    flat = scopes_of(batch.scores, rewards, settings, flat=True)
    flat_B = relative(flat.global_B.unsqueeze(1), settings)[rows, 0]  # (B, 1) -> (B)
    local = _local_scopes(scopes_of(batch.scores, rewards, settings))
    metrics = {}
    for name, phase in phases.items():
        own_B = relative(local[name].unsqueeze(1), settings)[rows, 0]  # (B, 1) -> (B)
        tokens_B = torch.tensor([item.rollout.tokens_in(phase) for item in batch.rollouts])
        against, judged = opposed(flat_B, own_B, tokens_B)
        metrics[f"credit/flat_against_{name}"] = (float(against), judged)
    return metrics


def opposed(first_B: Tensor, second_B: Tensor, tokens_B: Tensor) -> tuple[int, int]:
    """Tokens of rollouts whose two advantages have opposite signs, and of those in which neither is 0."""
    sign_B = (first_B * second_B).sign().to(tokens_B.device)
    return int(tokens_B[sign_B < 0].sum()), int(tokens_B[sign_B != 0].sum())


def _local_scopes(scopes: Scopes) -> dict[str, Tensor]:
    """The rewards of each phase, the mean over the thoughts for the stream. Each (B)."""
    return {"streaming": torch.nanmean(scopes.streaming_BC, dim=1), "deep": scopes.deep_B}


def _sum(values: Iterable[float]) -> SumAndCount:
    known = list(values)
    return float(sum(known)), len(known)
