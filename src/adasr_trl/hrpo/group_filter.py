"""Dynamic sampling, after DAPO: groups without signal are sampled again.

    >>> batch = sample_batch(sample, judge, group_of_row, GroupFilter(max_resamples=3))

A group without signal costs its rollouts and its share of the batch. All wrong is judged by the answers themselves. If
the reward decided, all-wrong groups that differ in form or length would stay, and the policy would learn from those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate.logging import get_logger
from torch import Tensor

from adasr_trl.config.sections import GroupFilter
from adasr_trl.hrpo.advantages import AdvantageSettings, Granularity, Mixing, Scopes, zone_sums
from adasr_trl.hrpo.scoring import RewardedRollout, Scores

logger = get_logger(__name__)  # logs on the main process only

EQUAL = 1e-6  # sums of rewards that differ by less are equal: rounding


@dataclass(frozen=True)
class Verdicts:
    """Properties of each of the N groups, bool."""

    all_right_N: Tensor
    all_wrong_N: Tensor
    format_dead_N: Tensor
    varies_N: Tensor

    @property
    def no_signal(self) -> Tensor:
        """All wrong, or nothing that enters an advantage varies. (N)."""
        return self.all_wrong_N | ~self.varies_N


@dataclass(frozen=True)
class GenerationBatch:
    """The rollouts of this process, and the scores of all."""

    rollouts: tuple[RewardedRollout, ...]  # in the order of the batch
    first_rollouts: tuple[RewardedRollout, ...]  # of the first attempt: the episodes as they come
    scores: Scores  # of ``rollouts`` of all processes
    first: Verdicts  # before any group was sampled again
    last: Verdicts  # of the groups that are trained on
    resampled: int  # number of groups sampled again, each attempt counted


def verdicts(scores: Scores, sums_BK: Tensor, group_size: int) -> Verdicts:
    """Judge every group by the scores of all processes and the ``sums`` that enter an advantage."""
    right_NG = scores.right_B.view(-1, group_size)  # (N, G)
    sums_NGK = sums_BK.view(-1, group_size, sums_BK.size(1))  # (N, G, K)
    unknown_NGK = torch.isnan(sums_NGK)
    most_NK = sums_NGK.masked_fill(unknown_NGK, -torch.inf).amax(dim=1)  # (N, K)
    least_NK = sums_NGK.masked_fill(unknown_NGK, torch.inf).amin(dim=1)  # (N, K)
    return Verdicts(
        all_right_N=right_NG.all(dim=1),
        all_wrong_N=~right_NG.any(dim=1),
        format_dead_N=~scores.answered_B.view(-1, group_size).any(dim=1),
        varies_N=(most_NK - least_NK > EQUAL).any(dim=1),  # -inf where nothing is known
    )


def sums(scopes: Scopes, settings: AdvantageSettings) -> Tensor:
    """The sums of rewards that enter an advantage, side by side; not normalised. (B, K)."""
    terms = []
    has_global = settings.mixing is Mixing.ADDITIVE or settings.local_weight != 1.0
    if settings.mixing is Mixing.ZONE_SUM and settings.local_weight != 0.0:
        scopes = zone_sums(scopes, settings)
        has_global = settings.granularity is Granularity.BOUNDARY
    if has_global:
        terms.append(scopes.global_B.unsqueeze(1))  # (B, 1)
    if settings.local_weight != 0.0:
        terms += [scopes.streaming_BC, scopes.deep_B.unsqueeze(1)]
    return torch.cat(terms, dim=1)  # (B, K)


def to_resample(groups: Verdicts, rule: GroupFilter) -> Tensor:
    """The groups that the filter samples again, bool. (N)."""
    if rule.criterion == "reward":
        return ~groups.varies_N
    return groups.no_signal | groups.all_right_N if rule.drop_all_right else groups.no_signal


def sample_batch(
    sample: Callable[[Sequence[int], int], Sequence[RewardedRollout]],
    judge: Callable[[Sequence[RewardedRollout]], tuple[Scores, Verdicts]],
    groups: Sequence[int],
    rule: GroupFilter | None,
) -> GenerationBatch:
    """Sample a batch, and the groups again that the rule asks for.

    Args:
        sample: Samples the rows of these indices (none, on some process) for the given attempt, 0 being the first.
        judge: Scores the rows of all processes; every process calls it equally often.
        groups: The group of each of this process' rows, among those of all processes.
        rule: The filter, or None for none.
    """
    rollouts = list(sample(range(len(groups)), 0))
    first_rollouts = tuple(rollouts)
    scores, first = judge(rollouts)
    last, resampled = first, 0
    if rule is None:
        return GenerationBatch(first_rollouts, first_rollouts, scores, first, last, resampled)
    for attempt in range(1, rule.max_resamples + 1):
        again_N = to_resample(last, rule)
        if not again_N.any():
            break
        resampled += int(again_N.sum())
        indices = [index for index, group in enumerate(groups) if again_N[group]]
        for index, rollout in zip(indices, sample(indices, attempt), strict=True):
            rollouts[index] = rollout
        scores, last = judge(rollouts)
    return GenerationBatch(tuple(rollouts), first_rollouts, scores, first, last, resampled)


def warn_of_criterion(rule: GroupFilter | None) -> None:
    """Warn of the effect of filtering on the reward."""
    if rule and rule.criterion == "reward":
        logger.warning(
            "group_filter.criterion: reward keeps all-wrong groups whose form or length differs, so the policy learns "
            "to be wrong in a cheaper way; it has destroyed policies within 40 steps. The default, accuracy, does not."
        )
