"""From rollouts to scores: rewards are measured on this process' rows, gathered, and shaped relative to their groups.

>>> rows = [grade(rollout, episode, rewards) for rollout, episode in pairs]
>>> scores = score(rows, rewards, accelerator, settings, progress=0.1)
>>> scores.rewards_BR.shape, scores.right_B.shape    # the rows of all processes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Ending
from adasr_trl.core.rollout import Rollout
from adasr_trl.hrpo.advantages import Granularity, Scopes, Settings, by_column, scoped
from adasr_trl.hrpo.group_rewards import adaptive_thinking, diversity, kimi_length
from adasr_trl.rewards import Graded, Measured, Reward, answered_right
from adasr_trl.rewards.length import AdaptiveThinking, KimiLength
from adasr_trl.rewards.skipping import Diversity


@dataclass(frozen=True)
class Row:
    """One rollout with what its R rewards measured."""

    graded: Graded
    measured: tuple[Measured, ...]


@dataclass(frozen=True)
class Scores:
    """What the rewards say about the B rollouts of all processes.

    Attributes:
        rewards_BR: R shaped rewards; NaN where one could not score.
        right_B: Whether the answer was right, bool.
        answered_B: Whether there was one, bool.
        chunks_BCR: The shaped rewards of each thought; None unless asked for.
    """

    rewards_BR: Tensor
    right_B: Tensor
    answered_B: Tensor
    chunks_BCR: Tensor | None


def grade(rollout: Rollout, episode: Episode, rewards: Sequence[Reward]) -> Row:
    """Judge one rollout, and let every reward measure it."""
    graded = Graded(rollout, episode, answered_right(rollout, episode))
    return Row(graded, tuple(reward.measure(graded) for reward in rewards))


def score(
    rows: Sequence[Row],
    rewards: Sequence[Reward],
    accelerator: Any,
    settings: Settings,
    progress: float,
) -> Scores:
    """Gather what was measured over all processes, and shape it; every process must call it.

    Args:
        rows: This process' rows.
        rewards: What measured them.
        accelerator: Accelerate's, for the gathering.
        settings: Group size, and whether thoughts are scored one by one (sentence granularity).
        progress: Share of the training that is over.
    """
    device = accelerator.device
    rewards_BR = torch.tensor(
        [[_number(each.value) for each in row.measured] for row in rows], device=device
    )
    right = [row.graded.right for row in rows]
    answered = [row.graded.rollout.ending is Ending.ANSWERED for row in rows]
    flags_B2 = torch.tensor([right, answered], device=device).T.contiguous()
    rewards_BR, flags_B2 = accelerator.gather(rewards_BR), accelerator.gather(flags_B2)
    per_chunk = settings.granularity is Granularity.SENTENCE
    chunks_BCR = _gathered_chunks(rows, accelerator) if per_chunk else None
    right_B, answered_B = flags_B2.unbind(dim=1)
    for column, reward in enumerate(rewards):
        shape = _shape(reward, settings.group_size, progress)
        if shape is None:
            continue
        rewards_BR[:, column] = shape(rewards_BR[:, column], right_B)
        if chunks_BCR is not None:
            to_column = partial(shape, right_B=right_B)
            chunks_BCR[:, :, column] = by_column(to_column, chunks_BCR[:, :, column])
    return Scores(rewards_BR, right_B, answered_B, chunks_BCR)


def scopes_of(
    scores: Scores, rewards: Sequence[Reward], settings: Settings, *, flat: bool = False
) -> Scopes:
    """The sum of each scope's weighted rewards; of all of them as the global scope if ``flat``."""
    weights_R = torch.tensor([reward.weight for reward in rewards])
    names = ["global" if flat else reward.scope.value for reward in rewards]
    return scoped(scores.rewards_BR, weights_R, names, settings, scores.chunks_BCR)


def _shape(reward: Reward, group_size: int, progress: float) -> Callable[..., Tensor] | None:
    """The function of (values_B, right_B) that makes the measure a reward; None if it is one."""
    rule = reward.rule
    if isinstance(rule, AdaptiveThinking):
        return partial(
            adaptive_thinking,
            group_size=group_size,
            strength=rule.strength,
            min_cost=rule.min_cost,
        )
    if isinstance(rule, KimiLength):
        return partial(kimi_length, group_size=group_size)
    if isinstance(rule, Diversity):
        return partial(diversity, group_size=group_size, progress=progress)
    return None


def _gathered_chunks(rows: Sequence[Row], accelerator: Any) -> Tensor:
    """Every reward of every thought of all processes; NaN for those that were never begun. (B, C, R)."""
    most = max(len(row.graded.episode.chunks) for row in rows)
    shape = (len(rows), most, len(rows[0].measured))
    chunks_BCR = torch.full(shape, torch.nan, device=accelerator.device)
    for b, row in enumerate(rows):
        begun = len(row.graded.rollout.thought_endings)
        for r, measured in enumerate(row.measured):
            values = (measured.chunks or (measured.value,) * begun)[:begun]
            chunks_BCR[b, :begun, r] = chunks_BCR.new_tensor([_number(each) for each in values])
    padded = accelerator.pad_across_processes(chunks_BCR, dim=1, pad_index=torch.nan)
    gathered: Tensor = accelerator.gather(padded)
    return gathered


def _number(value: float | None) -> float:
    return torch.nan if value is None else value
