"""HRPO's advantages: hierarchical relative policy optimization, tensors in, tensors out.

    >>> advantages_BT = hierarchical(scopes, phase_BT, settings)

GRPO gives a rollout one advantage, relative to the group of G rollouts of its prompt. HRPO (arXiv 2606.14694; named
in full here because two other methods share the abbreviation) gives three: streaming-local, deep-local and global.
The paper states that a factor lambda balances local and global; the formulas below are ours. TRL 1.16's
normalisation is followed to the bit: mean without None, Bessel's standard deviation, epsilon 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from adasr_trl.protocol import Phase

EPSILON = 1e-4


@dataclass(frozen=True)
class Settings:
    """How local and global terms are combined.

    Attributes:
        group_size: G, the rollouts of one prompt; the B rows are B/G consecutive groups.
        local_weight: lambda, the share of the local terms; 0 leaves them out.
        mixing: ``convex`` is lambda * local + (1 - lambda) * global; ``additive`` is global + lambda * local.
        local_min_std: Local terms divide by at least this, so that a group that differs by one token does not get
            advantages of full size (ours; 0 is off).
    """

    group_size: int
    local_weight: float = 0.5
    mixing: Literal["convex", "additive"] = "convex"
    local_min_std: float = 0.0


@dataclass(frozen=True)
class Scopes:
    """The summed, weighted rewards of each scope (B); NaN where no reward of the scope could score."""

    streaming_B: Tensor
    deep_B: Tensor
    global_B: Tensor


def scoped(rewards_BR: Tensor, weights_R: Tensor, scope_names: Sequence[str]) -> Scopes:
    """The weighted sum of each scope's rewards.

    Args:
        rewards_BR: R rewards of B rollouts; NaN where a reward could not score.
        weights_R: Their weights.
        scope_names: For each reward ``streaming``, ``deep`` or ``global``.
    """
    weights_R = weights_R.to(rewards_BR.device)

    def total(name: str) -> Tensor:
        chosen = [column for column, scope in enumerate(scope_names) if scope == name]
        columns_BS = rewards_BR[:, chosen]
        sum_B = (columns_BS * weights_R[chosen].unsqueeze(0)).nansum(dim=1)
        return sum_B.masked_fill(torch.isnan(columns_BS).all(dim=1), torch.nan)

    return Scopes(total("streaming"), total("deep"), total("global"))


def group_relative(rewards_B: Tensor, group_size: int, min_std: float = 0.0) -> Tensor:
    """GRPO's advantage (B): (reward - group mean) / (group standard deviation + epsilon).

    A NaN reward (nothing could score the rollout) is left out of its group's baseline and gets 0.
    """
    rewards_NG = rewards_B.view(-1, group_size)
    mean_B = torch.nanmean(rewards_NG, dim=1).repeat_interleave(group_size, dim=0)
    std_B = nan_std(rewards_NG).repeat_interleave(group_size, dim=0)
    if min_std > 0.0:
        std_B = std_B.clamp(min=min_std)
    return torch.nan_to_num((rewards_B - mean_B) / (std_B + EPSILON), nan=0.0)


def nan_std(rewards_NG: Tensor) -> Tensor:
    """Standard deviation (N) of each group over its numbers, with Bessel's correction; 0 for groups of one."""
    if rewards_NG.size(1) == 1:
        return torch.zeros_like(rewards_NG[:, 0])
    mean_N1 = torch.nanmean(rewards_NG, dim=1, keepdim=True)
    variance_N = torch.nanmean((rewards_NG - mean_N1) ** 2, dim=1)
    count_N = (~torch.isnan(rewards_NG)).sum(dim=1)
    correction_N = torch.where(count_N > 1, count_N / (count_N - 1), torch.nan)
    return torch.sqrt(variance_N * correction_N)


def hierarchical(
    scopes: Scopes, phase_BT: Tensor, settings: Settings, rows: slice = slice(None)
) -> Tensor:
    """Per-token advantages at stage granularity: one value for a rollout's STREAM tokens, one for its DEEP ones.

    Args:
        scopes: Rewards of each scope, over the rows of all processes.
        phase_BT: ``Phase`` of each completion token of this process' B rows as an integer; READ for padding.
        settings: Group size, lambda and mixing.
        rows: Where this process' rows stand among all (a group may be split over processes).

    Returns:
        Advantages, exactly 0 on READ tokens. (B, T)
    """
    global_all = group_relative(scopes.global_B, settings.group_size)
    streaming_B = _mix(scopes.streaming_B, global_all, settings)[rows]
    deep_B = _mix(scopes.deep_B, global_all, settings)[rows]
    streaming_BT = torch.where(phase_BT == Phase.STREAM, streaming_B.unsqueeze(1), 0.0)
    return torch.where(phase_BT == Phase.DEEP, deep_B.unsqueeze(1), streaming_BT)


def adaptive_thinking(
    cost_B: Tensor, right_B: Tensor, group_size: int, strength: float = 1.0, min_cost: float = 1.0
) -> Tensor:
    """The adaptive-thinking reward: a right answer is worth 1, more if it was cheap for its group, less if dear.

    0 if wrong; 1 + clip(-strength * (cost - mean) / max(mean, min_cost), -1/2, 1/2) if right, where mean is the mean
    cost of the group's right rollouts. So a right answer never scores below a wrong one (1/2 against 0), and writing
    less is worth nothing unless the answer is right. The paper names length as the proxy of cost; the form is ours.

    Args:
        cost_B: Tokens, or seconds of waiting. NaN (cannot be scored) stays NaN.
        right_B: Whether the answer is right, bool.
        group_size: G.
        strength: How much a relative saving is worth.
        min_cost: Costs are compared with at least this, in the unit of the cost.
    """
    cost_NG = cost_B.view(-1, group_size)
    counted_NG = right_B.view(-1, group_size) & ~torch.isnan(cost_NG)
    count_N1 = counted_NG.sum(dim=1, keepdim=True).clamp(min=1)
    mean_N1 = torch.where(counted_NG, cost_NG, 0.0).sum(dim=1, keepdim=True) / count_N1
    saving_NG = -strength * (cost_NG - mean_N1) / mean_N1.clamp(min=min_cost)
    reward_B = 1.0 + saving_NG.clamp(-0.5, 0.5).view(-1)
    return torch.where(right_B | torch.isnan(cost_B), reward_B, 0.0)


def _mix(local_rewards_B: Tensor, global_B: Tensor, settings: Settings) -> Tensor:
    if settings.local_weight == 0.0:
        return global_B
    local_B = group_relative(local_rewards_B, settings.group_size, settings.local_min_std)
    if settings.mixing == "additive":
        return global_B + settings.local_weight * local_B
    return settings.local_weight * local_B + (1.0 - settings.local_weight) * global_B
