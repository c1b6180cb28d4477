"""Log-probability of the gold answer behind each thought of a rollout, read from forced answers in one packed forward.

    source   <user> How many? Tom has 5.<EOS> He buys 3.<EOS>        interleaved: the same in one stream
    target   <assistant> Tom 5<EOT> Tom 5 + 3 = 8<EOT>
    branches                 |                     `-- <EOI><EOR> 8<eos>
                             `-- <EOI><EOR> 8<eos>                   and one before the first thought

A branch is the rollout as if its stream had ended there, with the reasoning's end marker given (``Mode.NO_DEEP``): only the
answer and the end of sequence are counted. A branch sees its own prefix alone. In feeding order, branches of a rollout are
rows with common beginnings, which the trainer's log-probabilities compute once (``training.shared_prefix``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from adasr_trl.core.episode import Episode
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.hf import evaluating
from adasr_trl.layouts import Layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.visibility import mask_and_positions

# Ids, visibility and counted tokens (B, T) of rows in feeding order, to log-probabilities of the counted ones, 0 elsewhere.
TokenLogps = Callable[[Tensor, Tensor, Tensor], Tensor]
PADDED_TOKENS = 16_384  # of the rows of one forward; a rollout's branches are never torn apart


@dataclass(frozen=True)
class Branch:
    """Tokens of a forced answer and all before it, in feeding order; the last ``counted`` are answer and end."""

    token_ids: tuple[int, ...]
    visibility: tuple[int, ...]
    counted: int


def branches(rollout: Rollout, episode: Episode, layout: Layout, codec: Codec) -> list[Branch]:
    """The forced answers before the first thought and behind each begun one, (C + 1)."""
    answer = (*codec.encode_text(episode.answer.strip()), codec.eos_id)
    deep = codec.marker("reasoning_end") + answer
    found = []
    for count in range(len(rollout.thought_endings) + 1):
        cut = layout.ended_after(rollout, count, deep)
        visibility = layout.visibility(cut) or range(1, len(cut.token_ids) + 1)
        order = feeding_order(visibility)
        found.append(
            Branch(
                tuple(cut.token_ids[i] for i in order),
                tuple(visibility[i] for i in order),
                counted=len(answer),
            )
        )
    return found


def feeding_order(visibility: Sequence[int]) -> list[int]:
    """Indices of tokens such that each stands behind all that it sees: a token of the target behind its last of the source."""
    return sorted(range(len(visibility)), key=lambda i: (abs(visibility[i]), visibility[i] < 0))


def gold_logps(
    token_logps: TokenLogps,
    rollouts: Sequence[Rollout],
    episodes: Sequence[Episode],
    layout: Layout,
    codec: Codec,
) -> list[tuple[float, ...]]:
    """Log p(gold answer) before the first thought and behind each begun one, (C + 1) a rollout."""
    rows = [
        branches(rollout, episode, layout, codec)
        for rollout, episode in zip(rollouts, episodes, strict=True)
    ]
    found: list[tuple[float, ...]] = []
    for batch in _batches(rows):
        logps = iter(_forward(token_logps, [branch for row in batch for branch in row]))
        found += [tuple(next(logps) for _ in row) for row in batch]
    return found


def _forward(token_logps: TokenLogps, rows: Sequence[Branch]) -> list[float]:
    """One forward of branches, (B)."""
    ids_BT = pad_sequence([torch.tensor(row.token_ids) for row in rows], batch_first=True)
    visibility_BT = pad_sequence([torch.tensor(row.visibility) for row in rows], batch_first=True)
    last_B1 = (visibility_BT != 0).sum(dim=1, keepdim=True)
    first_B1 = last_B1 - torch.tensor([[row.counted] for row in rows])
    place_T = torch.arange(ids_BT.size(1))
    counted_BT = (place_T >= first_B1) & (place_T < last_B1)
    logps_BT = token_logps(ids_BT, visibility_BT, counted_BT)
    sums: list[float] = logps_BT.float().sum(dim=1).tolist()
    return sums


@torch.no_grad()
def plain_logps(model: Any, ids_BT: Tensor, visibility_BT: Tensor, counted_BT: Tensor) -> Tensor:
    """``TokenLogps`` of a model without a trainer, over whole padded rows."""
    ids_BT, visibility_BT, counted_BT = (
        column_BT.to(model.device) for column_BT in (ids_BT, visibility_BT, counted_BT)
    )
    mask, positions_BT = mask_and_positions(visibility_BT)
    with evaluating(model):
        logits = model(input_ids=ids_BT, attention_mask=mask, position_ids=positions_BT).logits
    logps = logits[:, :-1].float().log_softmax(dim=-1)  # (B, T - 1, V)
    logps_BT = logps.gather(2, ids_BT[:, 1:].unsqueeze(2)).squeeze(2)  # (B, T - 1)
    return torch.nn.functional.pad(logps_BT, (1, 0)) * counted_BT  # (B, T)


def _batches(rows: Sequence[list[Branch]]) -> Iterator[list[list[Branch]]]:
    """Rollouts whose branches are computed together, in order."""
    batch: list[list[Branch]] = []
    count = longest = 0  # branches of the batch, and tokens of the longest
    for of_rollout in rows:
        length = max(len(branch.token_ids) for branch in of_rollout)
        if batch and (count + len(of_rollout)) * max(longest, length) > PADDED_TOKENS:
            yield batch
            batch, count, longest = [], 0, 0
        batch.append(of_rollout)
        count, longest = count + len(of_rollout), max(longest, length)
    if batch:
        yield batch
