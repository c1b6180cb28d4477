"""HRPO's advantages: hierarchical relative policy optimization, tensors in, tensors out.

    >>> scopes = scoped(rewards_BR, streaming_BCR, weights_R, ["global", "streaming", "deep"], settings)
    >>> advantages_BT = hierarchical(scopes, tokens, settings)

GRPO gives a rollout one advantage, relative to the group of G rollouts of its prompt. HRPO (arXiv 2606.14694; two other
methods share the abbreviation) gives three: streaming-local, deep-local and global. The paper states that a factor
lambda balances local and global, and compares stage, sentence and boundary granularity; the formulas are our choice.
TRL 1.16's normalisations are followed to the bit: mean without None, Bessel's standard deviation, epsilon 1e-4.

Sentence granularity is a shape: the C columns of a ``_BC`` tensor are thoughts on the same chunk. Otherwise C is 1, and
its column is all thoughts together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor

from adasr_trl.core.protocol import Phase

EPSILON = 1e-4


class Granularity(Enum):
    """Tokens that share a local advantage.

    STAGE: all thoughts share one, the deep part has one.
    SENTENCE: each thought has its own, compared with the group's thoughts on the same chunk.
    BOUNDARY: as STAGE, but only tokens that decide carry it: a segment's first token and its end marker.
    """

    STAGE = "stage"
    SENTENCE = "sentence"
    BOUNDARY = "boundary"


class Mixing(Enum):
    """Local and global terms in one advantage.

    CONVEX: lambda * local + (1 - lambda) * global. ADDITIVE: global + lambda * local.
    ZONE_SUM: the rewards themselves are summed, global + lambda * local, and then normalised: one baseline a phase.
    It is DSS-GRPO's form (arXiv 2603.07598), whose lambda is 1. A local difference counts as much as its rewards do;
    the other forms scale it to unit size first.
    """

    CONVEX = "convex"
    ADDITIVE = "additive"
    ZONE_SUM = "zone_sum"


class Normalisation(Enum):
    """The divisor of a difference from the group's mean; each is one of TRL's.

    GROUP: the group's standard deviation. NONE: nothing. BATCH: the standard deviation over all rows.
    NORMALIZE_THEN_SUM: each reward by its group's standard deviation before the weighted sum, which is then centred
    and divided over all rows (GDPO, arXiv 2601.05242): for when one reward varies far more than another.
    """

    GROUP = "group"
    NONE = "none"
    BATCH = "batch"
    NORMALIZE_THEN_SUM = "normalize_then_sum"


@dataclass(frozen=True)
class AdvantageSettings:
    """Formation of local and global terms, and their combination."""

    group_size: int  # G, the rollouts of one prompt; the B rows are B/G consecutive groups
    local_weight: float = 0.5  # lambda, the share of the local terms; 0 leaves them out
    mixing: Mixing = Mixing.CONVEX
    granularity: Granularity = Granularity.STAGE
    normalisation: Normalisation = Normalisation.GROUP
    # Least divisor of local terms: else a group that differs by one token gets advantages of full size. Our choice.
    local_min_std: float = 0.0
    # With ZONE_SUM: positive advantages of thoughts, times 1 + weight * share of wrong answers in the group.
    difficulty_weight: float = 0.0  # DSS-GRPO's is 1


@dataclass(frozen=True)
class Scopes:
    """The summed, weighted rewards of each scope; NaN where no reward of the scope could score."""

    streaming_BC: Tensor  # of each thought for sentence granularity; else of all together, C = 1
    deep_B: Tensor
    global_B: Tensor
    right_B: Tensor | None = None  # whether the answers are right, for the difficulty weight


@dataclass(frozen=True)
class Tokens:
    """The part of each completion token of B rows; padding is READ."""

    phase_BT: Tensor  # ``Phase`` as an integer
    chunk_BT: Tensor  # the chunk that a token of a thought follows; anything elsewhere
    boundary_BT: Tensor  # bool: a segment's first token or end marker, for boundary granularity


def local_weight_at(progress: float, start: float, end: float | None, schedule: str) -> float:
    """Lambda when a share of the training is over: constant, or from ``start`` to ``end``, linear or half a cosine."""
    if end is None:
        return start
    share = progress if schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * progress))
    return start + (end - start) * share


def scoped(
    rewards_BR: Tensor,
    streaming_BCR: Tensor,
    weights_R: Tensor,
    scope_names: Sequence[str],
    settings: AdvantageSettings,
) -> Scopes:
    """The weighted sum of each scope's rewards, each normalised first where the settings say so.

    Args:
        rewards_BR: R rewards of B rollouts; NaN where a reward could not score.
        streaming_BCR: The same of C thoughts, or of all together (C = 1); NaN for chunks that an episode lacks.
        weights_R: Their weights.
        scope_names: For each reward ``streaming``, ``deep`` or ``global``.
        settings: Group size and normalisation.
    """
    weights_R, size = weights_R.to(rewards_BR.device), settings.group_size

    def total(name: str, columns_BR: Tensor) -> Tensor:
        chosen = [column for column, scope in enumerate(scope_names) if scope == name]
        columns_BS = columns_BR[:, chosen]  # (B, S), the S rewards of this scope
        if chosen and settings.normalisation is Normalisation.NORMALIZE_THEN_SUM:
            columns_BS = by_column(lambda reward_B: _standardised(reward_B, size), columns_BS)
        sum_B = (columns_BS * weights_R[chosen].unsqueeze(0)).nansum(dim=1)  # (B)
        return sum_B.masked_fill(torch.isnan(columns_BS).all(dim=1), torch.nan)

    thoughts = [total("streaming", thought_BR) for thought_BR in streaming_BCR.unbind(dim=1)]
    streaming_BC = torch.stack(thoughts, dim=1)  # (B, C)
    return Scopes(streaming_BC, total("deep", rewards_BR), total("global", rewards_BR))


def relative(rewards_BC: Tensor, settings: AdvantageSettings, min_std: float = 0.0) -> Tensor:
    """Advantages of one scope, relative to the group; 0 where nothing could score. (B, C).

    Each of the C columns is normalised over the group by itself: the worth of a thought on chunk 3 says nothing about
    one on chunk 1, and the input, not the policy, sets the number of chunks. That is fair only because a skipped chunk
    is a term like any other: were skips left out, their number would hide a bonus in the baseline.
    """
    size = settings.group_size
    if settings.normalisation is Normalisation.GROUP:
        return by_column(lambda reward_B: group_relative(reward_B, size, min_std), rewards_BC)
    if settings.normalisation is Normalisation.NORMALIZE_THEN_SUM:
        centred_BC = rewards_BC - torch.nanmean(rewards_BC)
        return _zero_unknown(centred_BC / (_std_of_all(rewards_BC) + EPSILON))
    centred_BC = by_column(lambda reward_B: reward_B - _group_mean(reward_B, size), rewards_BC)
    if settings.normalisation is Normalisation.BATCH:
        centred_BC = centred_BC / (_std_of_all(rewards_BC).clamp(min=min_std) + EPSILON)
    return _zero_unknown(centred_BC)


def group_relative(rewards_B: Tensor, group_size: int, min_std: float = 0.0) -> Tensor:
    """GRPO's advantage (B): (reward - group mean) / (group standard deviation + epsilon).

    A NaN reward (nothing could score the rollout) is left out of its group's baseline and gets 0.
    """
    return _zero_unknown(_standardised(rewards_B, group_size, min_std))


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
    scopes: Scopes, tokens: Tokens, settings: AdvantageSettings, rows: slice = slice(None)
) -> Tensor:
    """Per-token advantages: the local term of a token's phase mixed with the global one.

    Args:
        scopes: Rewards of each scope, over the rows of all processes.
        tokens: The parts of this process' B rows.
        settings: Group size, lambda, mixing, granularity, normalisation.
        rows: The places of this process' rows among all (a group may be split over processes).

    Returns:
        Advantages, exactly 0 on READ tokens. With boundary granularity, tokens that decide nothing have a local term
        of 0 and keep their global one (our choice). (B, T)
    """
    global_B1 = relative(scopes.global_B.unsqueeze(1), settings)[rows]  # (B, 1)
    written_BT = tokens.phase_BT != Phase.READ
    if settings.local_weight == 0.0:
        return torch.where(written_BT, global_B1, 0.0)
    if settings.mixing is Mixing.ZONE_SUM:
        scopes = zone_sums(scopes, settings)
    min_std = settings.local_min_std
    deep_B1 = relative(scopes.deep_B.unsqueeze(1), settings, min_std)[rows]  # (B, 1)
    # Sentence-level advantages: each thought against the group's thoughts on the same chunk.
    streaming_BC = relative(scopes.streaming_BC, settings, min_std)
    streaming_BC = _weighted_by_difficulty(streaming_BC, scopes, settings)[rows]
    column_BT = tokens.chunk_BT.clamp(0, streaming_BC.size(1) - 1)  # all 0 where thoughts share one
    streaming_BT = streaming_BC.gather(1, column_BT)  # (B, C) -> (B, T)
    local_BT = torch.where(tokens.phase_BT == Phase.STREAM, streaming_BT, deep_B1)
    is_local_BT = written_BT
    if settings.granularity is Granularity.BOUNDARY:
        is_local_BT = tokens.boundary_BT
    mixed_BT = _mixed(local_BT, global_B1, is_local_BT, settings)
    return torch.where(written_BT, mixed_BT, 0.0)


def zone_sums(scopes: Scopes, settings: AdvantageSettings) -> Scopes:
    """The sums of ``Mixing.ZONE_SUM`` in the local scopes' places: global + lambda * local.

    A scope that scores nothing in a whole group adds 0 there. Elsewhere an unknown term makes the sum unknown: such a
    thought (never begun) or rollout is left out of the baseline and gets 0, as in the other forms.
    """
    size, weight = settings.group_size, settings.local_weight
    global_B1 = _known(scopes.global_B.unsqueeze(1), size)  # (B, 1)
    deep_B1 = global_B1 + weight * _known(scopes.deep_B.unsqueeze(1), size)
    streaming_BC = global_B1 + weight * _known(scopes.streaming_BC, size)
    return replace(scopes, streaming_BC=streaming_BC, deep_B=deep_B1.squeeze(1))


def _known(rewards_BC: Tensor, group_size: int) -> Tensor:
    """The rewards, 0 in groups in which none of them could score. (B, C)."""
    is_scored_BC = ~torch.isnan(rewards_BC)
    in_group_N = is_scored_BC.reshape(-1, group_size * rewards_BC.size(1)).any(dim=1)  # (N)
    in_group_B1 = in_group_N.repeat_interleave(group_size).unsqueeze(1)
    return torch.where(in_group_B1, rewards_BC, 0.0)


def _weighted_by_difficulty(
    streaming_BC: Tensor, scopes: Scopes, settings: AdvantageSettings
) -> Tensor:
    """Positive advantages of thoughts count more in groups with wrong answers. (B, C)."""
    if settings.difficulty_weight == 0.0 or scopes.right_B is None:
        return streaming_BC
    wrong_share_B = 1.0 - _group_mean(scopes.right_B.to(streaming_BC.dtype), settings.group_size)
    factor_B1 = (1.0 + settings.difficulty_weight * wrong_share_B).unsqueeze(1)  # (B, 1)
    return torch.where(streaming_BC > 0.0, factor_B1 * streaming_BC, streaming_BC)


def _mixed(
    local_BT: Tensor, global_B1: Tensor, is_local_BT: Tensor, settings: AdvantageSettings
) -> Tensor:
    """Both terms by the form of mixing; tokens without a local term have the global one alone. (B, T)."""
    if settings.mixing is Mixing.ZONE_SUM:
        return torch.where(is_local_BT, local_BT, global_B1)
    global_share = 1.0 - settings.local_weight if settings.mixing is Mixing.CONVEX else 1.0
    local_BT = torch.where(is_local_BT, local_BT, 0.0)
    return settings.local_weight * local_BT + global_share * global_B1


def by_column(function: Callable[[Tensor], Tensor], values_BC: Tensor) -> Tensor:
    """Apply a function of (B) to each of the C columns. (B, C)."""
    return torch.stack([function(values_B) for values_B in values_BC.unbind(dim=1)], dim=1)


def _standardised(rewards_B: Tensor, group_size: int, min_std: float = 0.0) -> Tensor:
    """As ``group_relative``, but NaN stays."""
    std_N = nan_std(rewards_B.view(-1, group_size))  # (N, G) -> (N)
    std_B = std_N.repeat_interleave(group_size, dim=0)
    if min_std > 0.0:
        std_B = std_B.clamp(min=min_std)
    return (rewards_B - _group_mean(rewards_B, group_size)) / (std_B + EPSILON)


def _std_of_all(rewards_BC: Tensor) -> Tensor:
    return nan_std(rewards_BC.reshape(1, -1))[0]  # (1, B * C) -> ()


def _group_mean(rewards_B: Tensor, group_size: int) -> Tensor:
    mean_N = torch.nanmean(rewards_B.view(-1, group_size), dim=1)  # (N, G) -> (N)
    return mean_N.repeat_interleave(group_size, dim=0)


def _zero_unknown(advantages: Tensor) -> Tensor:
    return torch.where(torch.isnan(advantages), 0.0, advantages)
