"""How the tokens of one step are packed, and which of them are attended to together.

A step has one token of each row that writes and many of one that reads. Packed in one sequence, no forward computes
padding. Attention needs them apart again: queries of one row share its keys, those of rows with one beginning share
that. So a step is one **band** with the last token of every row, and another with the tokens before them, if any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adasr_trl.layouts.views import visible


@dataclass(frozen=True)
class Placed:
    """Tokens of one row for the next forward.

    Attributes:
        row: The row in the cache.
        start: The slot of the first of them.
        views: What each of them sees.
    """

    row: int
    start: int
    views: tuple[int, ...]


@dataclass(frozen=True)
class Spread:
    """The n tokens of a band laid out as (R, M): M, at most, for each of R rows or beginnings.

    Attributes:
        index_RM: The token at each place; any one where there is none. None if they lie so already.
        back_n: The place of each token in the flattened (R, M), or None.
        shape: R and M.
    """

    index_RM: Tensor | None
    back_n: Tensor | None
    shape: tuple[int, int]

    @classmethod
    def of(cls, owners: Sequence[int], count: int, device: torch.device) -> Spread:
        """Lay out tokens by their owner, one of ``count``."""
        members: list[list[int]] = [[] for _ in range(count)]
        places = []
        for token, owner in enumerate(owners):
            places.append((owner, len(members[owner])))
            members[owner].append(token)
        most = max(map(len, members))
        if places == [(token // most, token % most) for token in range(count * most)]:
            return cls(None, None, (count, most))  # they lie so already
        index = [each + [0] * (most - len(each)) for each in members]
        back = [owner * most + n for owner, n in places]
        index_RM, back_n = torch.tensor(index, device=device), torch.tensor(back, device=device)
        return cls(index_RM, back_n, (count, most))

    @property
    def single(self) -> bool:
        """Whether each row or beginning has exactly one token, in their order."""
        return self.index_RM is None and self.shape[1] == 1

    def out(self, x_n: Tensor) -> Tensor:
        """From (n, ...) to (R, M, ...)."""
        return (
            x_n.view(*self.shape, *x_n.shape[1:]) if self.index_RM is None else x_n[self.index_RM]
        )

    def back(self, x_RM: Tensor) -> Tensor:
        """From (R, M, ...) to (n, ...)."""
        flat = x_RM.flatten(0, 1)
        return flat if self.back_n is None else flat[self.back_n]


@dataclass(frozen=True)
class Band:
    """Queries that are attended to together.

    Attributes:
        tokens: Which of the packed tokens they are, n of them.
        rows: The cache's rows that they belong to; all of them if None.
        own: The tokens by row.
        shared: The tokens by beginning, if rows have one.
        bias_n1K: 0 where a token may attend, else minus infinity; keys of the beginning first.
    """

    tokens: slice
    rows: Tensor | None
    own: Spread
    shared: Spread | None
    bias_n1K: Tensor

    @classmethod
    def of(
        cls,
        tokens: slice,
        rows: Sequence[int],
        beginnings: Sequence[int],
        count: int,
        device: torch.device,
    ) -> Band:
        """A band of tokens, which is told later what it sees.

        Args:
            tokens: Which of the packed tokens they are.
            rows: The row of each.
            beginnings: The beginning of each row of the cache.
            count: How many beginnings there are; if none, no row has one.
            device: Where the indices go.
        """
        present = sorted(set(rows))
        everyone = 2 * len(present) > len(beginnings)  # else their keys are copied, which is less
        of_row = {row: row if everyone else n for n, row in enumerate(present)}
        own = Spread.of(
            [of_row[row] for row in rows], len(beginnings) if everyone else len(present), device
        )
        begun = [beginnings[row] for row in rows]
        return cls(
            tokens=tokens,
            rows=None if everyone else torch.tensor(present, device=device),
            own=own,
            shared=Spread.of(begun, count, device) if count else None,
            bias_n1K=torch.zeros(0),
        )

    def seeing(
        self, views_N: Tensor, slots_N: Tensor, keys_BT: Tensor, beginnings_PS: Tensor | None
    ) -> Band:
        """The band with its bias.

        Args:
            views_N: The views of the packed tokens.
            slots_N: Their slots.
            keys_BT: The views of the rows' own tokens.
            beginnings_PS: The views of the beginnings' tokens.
        """
        views_n, slots_n = views_N[self.tokens], slots_N[self.tokens]
        keys = keys_BT if self.rows is None else keys_BT[self.rows]
        order = torch.arange(keys.size(1), device=keys.device)
        seen = visible(self.own.out(views_n), self.own.out(slots_n), keys, order)
        parts = [self.own.back(seen.squeeze(1))]
        if self.shared is not None and beginnings_PS is not None:
            views_PM = self.shared.out(views_n)
            before_PS = torch.full_like(beginnings_PS, -1)
            seen = visible(views_PM, torch.zeros_like(views_PM), beginnings_PS, before_PS)
            parts.insert(0, self.shared.back(seen.squeeze(1)))
        seen_n1K = torch.cat(parts, dim=-1).unsqueeze(1)
        bias = torch.zeros(seen_n1K.shape, device=keys.device).masked_fill_(~seen_n1K, -torch.inf)
        return replace(self, bias_n1K=bias)


@dataclass(frozen=True)
class Packed:
    """The N tokens of a step in one sequence.

    Attributes:
        order_N: Where each stood when the rows' tokens followed one another.
        rows_N: Its row in the cache.
        slots_N: Its slot there.
        views_N: What it sees.
        bands: How they are attended to; the first band has the last token of each row, in the order of the step.
    """

    order_N: Tensor
    rows_N: Tensor
    slots_N: Tensor
    views_N: Tensor
    bands: tuple[Band, ...]


def pack(
    step: Sequence[Placed], beginnings: Sequence[int], count: int, device: torch.device
) -> Packed:
    """Pack the tokens of a step: the last one of every row, then all the others; arguments as in ``Band.of``."""
    lasts, others, at = [], [], 0
    for each in step:
        end = len(each.views) - 1
        lasts.append((at + end, each.row, each.start + end, each.views[end]))
        others += [(at + n, each.row, each.start + n, each.views[n]) for n in range(end)]
        at += end + 1
    order_N, rows_N, slots_N, views_N = torch.tensor(lasts + others, device=device).unbind(dim=1)
    parts = ((slice(0, len(lasts)), lasts), (slice(len(lasts), at), others))
    bands = tuple(
        Band.of(tokens, [row for _, row, _, _ in members], beginnings, count, device)
        for tokens, members in parts
        if members
    )
    return Packed(order_N, rows_N, slots_N, views_N, bands)
