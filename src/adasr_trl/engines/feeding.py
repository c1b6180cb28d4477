"""Feeding rows' tokens to the model: what rows begin with once for all of them, then step by step.

>>> feeder = Feeder(model, pad_id)
>>> feeder.begin({place: row}, cache)
>>> ready, logits_nV = feeder.step([(place, row)], cache, read_block)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from adasr_trl.engines.attention import NO_MASK, SLOTS, attending
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.rollout_state import Row
from adasr_trl.engines.token_log import Fed
from adasr_trl.layouts.views import attention

PREFILL_TOKENS = 16_384  # of one forward


class Feeder:
    """Forwards of rows over a SlotCache; nothing is kept here."""

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        """Keep the model."""
        self._model = model
        self._pad_id = pad_id

    def begin(self, entered: Mapping[int, Row], cache: SlotCache) -> None:
        """Read what rows have in common once for all of them, as many different beginnings as fit a forward."""
        places_of: dict[Fed, list[int]] = {}
        for place, row in entered.items():
            places_of.setdefault(row.take(row.shared), []).append(place)
        batch: dict[Fed, list[int]] = {}
        for fed in sorted(places_of, key=lambda fed: len(fed.token_ids)):
            if batch and (len(batch) + 1) * len(fed.token_ids) > PREFILL_TOKENS:
                self.prefill(batch, cache)
                batch = {}
            batch[fed] = places_of[fed]
        if batch:
            self.prefill(batch, cache)

    def step(
        self, rows: Sequence[tuple[int, Row]], cache: SlotCache, read_block: int
    ) -> tuple[list[Row], Tensor]:
        """Feed every row its next token, and rows that read up to ``read_block`` more of them.

        Args:
            rows: The rows and their places in the cache.
            cache: Where their states go.
            read_block: Tokens beyond one a row, for all rows together.

        Returns:
            The n rows that now want a token, and the logits that it is drawn from, (n, V).
        """
        fed = []
        for place, row in rows:
            taken = row.take(1 + min(read_block, row.pending - 1))
            read_block -= len(taken.token_ids) - 1
            fed.append((place, taken))
        ready = [n for n, (_, row) in enumerate(rows) if row.wants_token]
        return [rows[n][1] for n in ready], self.feed(fed, ready, cache)

    def feed(
        self, step: Sequence[tuple[int, Fed]], wanted: Sequence[int], cache: SlotCache
    ) -> Tensor:
        """One forward of tokens of some rows.

        Args:
            step: Places in the cache, each with its tokens.
            wanted: Which of them, by their number in ``step``, want the logits behind their last token.
            cache: Where the states go.

        Returns:
            Those logits, (n, V).
        """
        device = self._model.device
        order_N = cache.place([(place, fed.views) for place, fed in step])
        ids = [token_id for _, fed in step for token_id in fed.token_ids]
        positions = [position for _, fed in step for position in fed.positions]
        with attending(self._model, SLOTS):
            outputs = self._model(
                input_ids=torch.tensor(ids, device=device)[order_N].unsqueeze(0),
                attention_mask=NO_MASK.to(device),
                position_ids=torch.tensor(positions, device=device)[order_N].unsqueeze(0),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=torch.tensor(wanted or [0], device=device),
                slots=cache,
            )
        logits_nV: Tensor = outputs.logits[0]
        return logits_nV

    def prefill(self, places_of: Mapping[Fed, Sequence[int]], cache: SlotCache) -> None:
        """One forward over some beginnings, whose states go to all the rows that have them."""
        device = self._model.device
        longest = max(len(fed.token_ids) for fed in places_of)

        def padded(rows: Iterable[tuple[int, ...]], fill: int = 0) -> Tensor:
            filled = [row + (fill,) * (longest - len(row)) for row in rows]
            return torch.tensor(filled, device=device)

        views_PS = padded(fed.views for fed in places_of)
        states = DynamicCache()
        with attending(self._model, "sdpa"):
            self._model(
                input_ids=padded((fed.token_ids for fed in places_of), self._pad_id),
                attention_mask=attention(views_PS)[0],
                position_ids=padded(fed.positions for fed in places_of),
                past_key_values=states,
                use_cache=True,
                logits_to_keep=1,
            )
        cache.share(views_PS, states, dict(enumerate(places_of.values())))
