"""Which groups teach something, and drawing those again that do not (dynamic sampling, after DAPO).

    >>> draw = drawn(sample, judge, group_of_row, GroupFilter(max_resamples=3))

A group without signal costs its rollouts and its share of the batch. All wrong is judged by the answers themselves:
where the shaped reward decides, all-wrong groups stay for differing in form or length, and the policy learns that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate.logging import get_logger
from torch import Tensor

from adasr_trl.config.sections import GroupFilter
from adasr_trl.hrpo.advantages import Mixing, Scopes, Settings
from adasr_trl.hrpo.scoring import Row, Scores

logger = get_logger(__name__)  # speaks on the main process only

EQUAL = 1e-6  # sums of rewards that differ by less are equal: rounding


@dataclass(frozen=True)
class Verdicts:
    """What is true of each of the N groups, bool."""

    all_right_N: Tensor
    all_wrong_N: Tensor
    format_dead_N: Tensor
    varies_N: Tensor

    @property
    def no_signal(self) -> Tensor:
        """All wrong, or nothing that enters an advantage varies. (N)."""
        return self.all_wrong_N | ~self.varies_N


def verdicts(scores: Scores, sums_BK: Tensor, group_size: int) -> Verdicts:
    """Judge every group.

    Args:
        scores: Of all processes.
        sums_BK: What enters an advantage (``sums``).
        group_size: G.
    """
    right_NG = scores.right_B.view(-1, group_size)
    sums_NGK = sums_BK.view(-1, group_size, sums_BK.size(1))
    unknown = torch.isnan(sums_NGK)
    most_NK = sums_NGK.masked_fill(unknown, -torch.inf).amax(dim=1)
    least_NK = sums_NGK.masked_fill(unknown, torch.inf).amin(dim=1)
    return Verdicts(
        all_right_N=right_NG.all(dim=1),
        all_wrong_N=~right_NG.any(dim=1),
        format_dead_N=~scores.answered_B.view(-1, group_size).any(dim=1),
        varies_N=(most_NK - least_NK > EQUAL).any(dim=1),  # -inf where nothing is known
    )


def sums(scopes: Scopes, settings: Settings) -> Tensor:
    """The sums of rewards that enter an advantage, side by side; not normalised. (B, K)."""
    found = []
    if settings.mixing is Mixing.ADDITIVE or settings.local_weight != 1.0:
        found.append(scopes.global_B)
    if settings.local_weight != 0.0:
        streaming = scopes.streaming
        found += streaming.unbind(dim=1) if streaming.dim() == 2 else [streaming]
        found.append(scopes.deep_B)
    return torch.stack(found, dim=1)


def to_redraw(found: Verdicts, rule: GroupFilter) -> Tensor:
    """Which of the N groups the filter draws again, bool."""
    if rule.criterion == "reward":
        return ~found.varies_N
    if rule.drop_all_right:
        return found.no_signal | found.all_right_N
    return found.no_signal


@dataclass(frozen=True)
class Draw:
    """The rows of this process, the scores of all, and how the first draw's groups were.

    Attributes:
        rows: Rollouts with their measures, in the order of the batch.
        first_rows: Those of the first draw: what the policy does on the episodes as they come.
        scores: Of the rows of all processes.
        first: Verdicts before anything was drawn again.
        last: Verdicts of what is trained on.
        redrawn: How many groups were drawn again, each time counted.
    """

    rows: tuple[Row, ...]
    first_rows: tuple[Row, ...]
    scores: Scores
    first: Verdicts
    last: Verdicts
    redrawn: int


def drawn(
    sample: Callable[[Sequence[int], int], Sequence[Row]],
    judge: Callable[[Sequence[Row]], tuple[Scores, Verdicts]],
    groups: Sequence[int],
    rule: GroupFilter | None,
) -> Draw:
    """Sample a batch, and sample again what the rule asks for.

    Args:
        sample: Rolls out the rows at these places (none, on some process) for the given attempt, 0 being the first.
        judge: Scores the rows of all processes; every process calls it equally often.
        groups: The group of each of this process' rows, among those of all processes.
        rule: The filter, or None for none.
    """
    rows = list(sample(range(len(groups)), 0))
    first_rows = tuple(rows)
    scores, first = judge(rows)
    if rule is None:
        return Draw(first_rows, first_rows, scores, first, first, 0)
    last, redrawn = first, 0
    for attempt in range(1, rule.max_resamples + 1):
        again_N = to_redraw(last, rule)
        if not again_N.any():
            break
        redrawn += int(again_N.sum())
        places = [place for place, group in enumerate(groups) if again_N[group]]
        for place, row in zip(places, sample(places, attempt), strict=True):
            rows[place] = row
        scores, last = judge(rows)
    return Draw(tuple(rows), first_rows, scores, first, last, redrawn)


def warn_of_criterion(rule: GroupFilter | None) -> None:
    """Say what filtering on the shaped reward does."""
    if rule and rule.criterion == "reward":
        logger.warning(
            "group_filter.criterion: reward keeps all-wrong groups whose form or length differs, so the policy learns "
            "to be wrong in a cheaper way; it has destroyed policies within 40 steps. The default, accuracy, does not."
        )
