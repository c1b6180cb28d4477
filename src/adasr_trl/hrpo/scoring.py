"""From rollouts to scores: measured on this process' rows, gathered, then made relative to their groups.

>>> rollouts = score_rollouts(rollouts, episodes, rewards)
>>> scores = score(rollouts, rewards, accelerator, settings, progress=0.1)
>>> scores.rewards_BR.shape, scores.right_B.shape    # the rows of all processes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending
from adasr_trl.core.rollout import Rollout
from adasr_trl.hrpo.advantages import AdvantageSettings, Granularity, Scopes, scoped
from adasr_trl.rewards import Reward, RewardValue, Rule, ScoredRollout, answered_right
from adasr_trl.rewards.base import LARGEST


@dataclass(frozen=True)
class RewardedRollout(ScoredRollout):
    """A scored rollout with the values of R rewards, before its group is known."""

    values: tuple[RewardValue, ...]


@dataclass(frozen=True)
class Scores:
    """The rewards of the B rollouts of all processes."""

    rewards_BR: Tensor  # R rewards; NaN where one could not score
    right_B: Tensor  # whether the answer was right, bool
    answered_B: Tensor  # whether there was one, bool
    streaming_BCR: Tensor  # of each thought for sentence granularity; else C = 1, as rewards_BR


def score_rollouts(
    rollouts: Sequence[Rollout],
    episodes: Sequence[Episode],
    rewards: Sequence[Reward],
    stream_values: Sequence[Mapping[Rule, Sequence[float | None]]] | None = None,
) -> list[RewardedRollout]:
    """Judge this process' rollouts, and measure them with every reward; ``stream_values`` as in ``ScoredRollout``."""
    batch = [
        ScoredRollout(rollout, episode, answered_right(rollout, episode), stream_values=known)
        for rollout, episode, known in zip(
            rollouts, episodes, stream_values or [{}] * len(rollouts), strict=True
        )
    ]
    columns = [reward.measure_batch(batch) for reward in rewards]  # R x (B)
    rows = zip(*columns, strict=True)  # B x (R)
    return [
        RewardedRollout(**vars(scored), values=row) for scored, row in zip(batch, rows, strict=True)
    ]


def score(
    rollouts: Sequence[RewardedRollout],
    rewards: Sequence[Reward],
    accelerator: Any,
    settings: AdvantageSettings,
    progress: float,
) -> Scores:
    """Gather the measures of all processes and make them relative to their groups; every process must call it.

    Args:
        rollouts: This process' rows.
        rewards: The rewards that measured them.
        accelerator: Accelerate's, for the gathering.
        settings: Group size, and whether thoughts are scored one by one (sentence granularity).
        progress: Share of the training that is over.
    """
    device = accelerator.device
    measures = [[_number(value.value) for value in scored.values] for scored in rollouts]
    measures_BR = torch.tensor(measures, device=device)
    right = [scored.right for scored in rollouts]
    answered = [scored.rollout.ending is Ending.ANSWERED for scored in rollouts]
    flags_B2 = torch.tensor([right, answered], device=device).T.contiguous()  # (B, 2)
    measures_BR, flags_B2 = accelerator.gather(measures_BR), accelerator.gather(flags_B2)
    right_B, answered_B = flags_B2.unbind(dim=1)
    right_NG = right_B.view(-1, settings.group_size)  # (N, G)
    whole_BCR = _within_groups(measures_BR.unsqueeze(1), rewards, right_NG, progress)  # (B, 1, R)
    streaming_BCR = whole_BCR
    if settings.granularity is Granularity.SENTENCE:
        measures_BCR = _gathered_thoughts(rollouts, accelerator)
        streaming_BCR = _within_groups(measures_BCR, rewards, right_NG, progress)
    return Scores(whole_BCR.squeeze(1), right_B, answered_B, streaming_BCR)


def scopes_of(
    scores: Scores, rewards: Sequence[Reward], settings: AdvantageSettings, *, flat: bool = False
) -> Scopes:
    """The sum of each scope's weighted rewards; of all of them as the global scope if ``flat``."""
    weights_R = torch.tensor([reward.weight for reward in rewards])
    names = ["global" if flat else reward.scope.value for reward in rewards]
    summed = scoped(scores.rewards_BR, scores.streaming_BCR, weights_R, names, settings)
    return replace(summed, right_B=scores.right_B)


def _within_groups(
    measures_BCR: Tensor, rewards: Sequence[Reward], right_NG: Tensor, progress: float
) -> Tensor:
    """The rewards of measures, each compared with the group's on the same chunk. (B, C, R)."""
    rewards_BCR = torch.empty_like(measures_BCR)
    for r, reward in enumerate(rewards):
        for c in range(measures_BCR.size(1)):
            measures_NG = measures_BCR[:, c, r].view(right_NG.shape)  # (B) -> (N, G)
            reward_NG = reward.rule.within_group(measures_NG, right_NG, progress)
            if reward_NG.shape != right_NG.shape or (reward_NG.abs() > LARGEST).any():
                shown = " ".join(str(reward_NG).split())
                raise UserError(
                    f"reward {reward.name}: within_group returned {shown}; expected {-LARGEST:g} to {LARGEST:g} in shape "
                    f"{tuple(right_NG.shape)}, NaN for what cannot be scored."
                )
            rewards_BCR[:, c, r] = reward_NG.flatten()  # (N, G) -> (B)
    return rewards_BCR


def _gathered_thoughts(rollouts: Sequence[RewardedRollout], accelerator: Any) -> Tensor:
    """Every measure of every thought of all processes; NaN for those that were never begun. (B, C, R)."""
    chunks = max(len(scored.episode.chunks) for scored in rollouts)
    shape = (len(rollouts), chunks, len(rollouts[0].values))
    values_BCR = torch.full(shape, torch.nan, device=accelerator.device)
    for b, scored in enumerate(rollouts):
        begun = len(scored.rollout.thought_endings)
        for r, value in enumerate(scored.values):
            of_thoughts = (value.chunks or (value.value,) * begun)[:begun]
            values_BCR[b, :begun, r] = values_BCR.new_tensor([_number(x) for x in of_thoughts])
    padded = accelerator.pad_across_processes(values_BCR, dim=1, pad_index=torch.nan)
    gathered: Tensor = accelerator.gather(padded)
    return gathered


def _number(value: float | None) -> float:
    return torch.nan if value is None else value
