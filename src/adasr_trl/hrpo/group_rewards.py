"""Rewards that are relative to the group: tensors in, tensors out, after TRL has gathered over the processes.

    >>> adaptive_thinking(cost_B=[10., 20., 30., 1.], right_B=[True, True, True, False], group_size=4, strength=0.5)
    [1.25, 1.0, 0.75, 0.0]

A group may be split over processes, so nothing here can be a reward function of TRL's. NaN (cannot be scored) stays.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


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


def kimi_length(tokens_B: Tensor, right_B: Tensor, group_size: int) -> Tensor:
    """Kimi k1.5's length reward (arXiv 2501.12599): v if right, min(0, v) if wrong, v = 1/2 - (n - min) / (max - min).

    Minimum and maximum are over the whole group, wrong rollouts included; where they are equal the reward is 0.

    Args:
        tokens_B: n. NaN (cannot be scored) stays NaN.
        right_B: Whether the answer is right, bool.
        group_size: G.
    """
    tokens_NG = tokens_B.view(-1, group_size)
    unknown_NG = torch.isnan(tokens_NG)
    least_N1 = tokens_NG.masked_fill(unknown_NG, math.inf).amin(dim=1, keepdim=True)
    most_N1 = tokens_NG.masked_fill(unknown_NG, -math.inf).amax(dim=1, keepdim=True)
    range_N1 = most_N1 - least_N1
    place_NG = (tokens_NG - least_N1) / range_N1.masked_fill(range_N1 == 0, 1.0)
    value_B = torch.where(range_N1 == 0, tokens_NG * 0.0, 0.5 - place_NG).view(-1)
    return torch.where(right_B | torch.isnan(value_B), value_B, value_B.clamp(max=0.0))


def diversity(kind_B: Tensor, right_B: Tensor, group_size: int, progress: float) -> Tensor:
    """ARM's scaled accuracy (Ada-GRPO, arXiv 2505.20258): rare kinds are worth more, ever less so over the training.

    1[right] * (1 + 1/2 * (G/F - 1) * (1 + cos(pi * progress))), F of the group's G rollouts being of this one's kind:
    G/F at the start, 1 at the end.

    Args:
        kind_B: Kind of each rollout, as a number. NaN (cannot be scored) stays NaN.
        right_B: Whether the answer is right, bool.
        group_size: G.
        progress: Share of the training that is over, 0 to 1.
    """
    kind_NG = kind_B.view(-1, group_size)
    same_NGG = kind_NG.unsqueeze(2) == kind_NG.unsqueeze(1)
    count_B = same_NGG.sum(dim=2).view(-1).clamp(min=1)
    known_B = (~torch.isnan(kind_NG)).sum(dim=1).repeat_interleave(group_size)
    decay = 0.5 * (1.0 + math.cos(math.pi * progress))
    reward_B = right_B.to(kind_B.dtype) * (1.0 + (known_B / count_B - 1.0) * decay)
    return reward_B.masked_fill(torch.isnan(kind_B), torch.nan)
