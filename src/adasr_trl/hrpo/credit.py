"""How often one flat advantage says the opposite of what a phase's own reward says of that phase's tokens.

>>> disagreement(draw, rewards, settings, rows)
{'credit/flat_against_streaming': (1210, 5480), 'credit/flat_against_deep': (310, 2200)}

Ours: it says where hierarchical credit can help at all. A token counts as wronged where the flat advantage of its rollout
(all rewards in one sum, relative to the group) and the advantage of its phase's rewards alone have opposite signs; a
rollout for which either is 0 is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adasr_trl.core.protocol import Phase
from adasr_trl.hrpo.advantages import Settings, relative
from adasr_trl.hrpo.group_filter import Draw
from adasr_trl.hrpo.scoring import scopes_of
from adasr_trl.rewards import Reward


def disagreement(
    draw: Draw, rewards: Sequence[Reward], settings: Settings, rows: slice
) -> dict[str, tuple[float, int]]:
    """Of this process' tokens of each phase: how many are wronged, and how many are judged.

    Args:
        draw: The rollouts of this process, with the scores of all.
        rewards: What measured them.
        settings: Group size and normalisation.
        rows: Which rows of all are this process'.
    """
    if settings.group_size < 2:  # an evaluation
        return {f"credit/flat_against_{name}": (0.0, 0) for name in ("streaming", "deep")}
    flat_B = relative(scopes_of(draw.scores, rewards, settings, flat=True).global_B, settings)
    scopes = scopes_of(draw.scores, rewards, settings)
    streaming_B = scopes.streaming
    if streaming_B.dim() == 2:
        streaming_B = torch.nanmean(streaming_B, dim=1)
    found = {}
    for name, own_B, phase in (
        ("streaming", streaming_B, Phase.STREAM),
        ("deep", scopes.deep_B, Phase.DEEP),
    ):
        counts = [row.graded.rollout.tokens_in(phase) for row in draw.rows]
        wronged, judged = opposed(
            flat_B[rows], relative(own_B, settings)[rows], torch.tensor(counts)
        )
        found[f"credit/flat_against_{name}"] = (float(wronged), judged)
    return found


def opposed(first_B: Tensor, second_B: Tensor, tokens_B: Tensor) -> tuple[int, int]:
    """Tokens of rollouts whose two advantages have opposite signs, and of those in which neither is 0."""
    sign_B = (first_B * second_B).sign().to(tokens_B.device)
    return int(tokens_B[sign_B < 0].sum()), int(tokens_B[sign_B != 0].sum())
