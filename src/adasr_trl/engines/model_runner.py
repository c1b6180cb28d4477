"""Forwards of the model over a SlotCache: shared prefixes once, then step by step.

>>> runner = ModelRunner(model, pad_id)
>>> runner.prefill_shared({slot: state}, cache)
>>> ready, logits_nV = runner.step([(slot, state)], cache, read_block)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel

from adasr_trl.engines.attention import NO_MASK, SLOT_ATTENTION, attending
from adasr_trl.engines.cache import SlotCache, cache_argument
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.token_log import StepInputs
from adasr_trl.layouts.visibility import mask_and_positions

PREFILL_TOKENS = 16_384  # of one forward, padding included


class ModelRunner:
    """Forwards of one model; it keeps no state of a sequence."""

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        self._cache_argument = cache_argument(model)

    def prefill_shared(self, entered: Mapping[int, SequenceState], cache: SlotCache) -> None:
        """Read the prefixes of the sequences that entered these slots, each distinct prefix once."""
        slots_of: dict[StepInputs, list[int]] = {}
        for slot, state in entered.items():
            slots_of.setdefault(state.take(state.prefix_length), []).append(slot)
        batch: dict[StepInputs, list[int]] = {}
        # By length, so that a batch is padded little; its last prefix is its longest.
        for prefix in sorted(slots_of, key=lambda prefix: len(prefix.token_ids)):
            if batch and (len(batch) + 1) * len(prefix.token_ids) > PREFILL_TOKENS:
                self.prefill(batch, cache)
                batch = {}
            batch[prefix] = slots_of[prefix]
        if batch:
            self.prefill(batch, cache)

    def prefill(self, slots_of: Mapping[StepInputs, Sequence[int]], cache: SlotCache) -> None:
        """One forward over P prefixes, whose states go to all slots that share them."""

        def padded(columns: Iterable[tuple[int, ...]], fill: int = 0) -> Tensor:
            rows = [torch.tensor(column, dtype=torch.long) for column in columns]
            padded_PS = pad_sequence(rows, batch_first=True, padding_value=fill)
            return padded_PS.to(self._model.device)

        visibility_PS = padded(prefix.visibility for prefix in slots_of)
        states = DynamicCache()
        with attending(self._model, "sdpa"):
            self._model(
                input_ids=padded((prefix.token_ids for prefix in slots_of), self._pad_id),
                attention_mask=mask_and_positions(visibility_PS)[0],  # (P, 1, S, S)
                position_ids=padded(prefix.positions for prefix in slots_of),
                use_cache=True,
                # None is needed: each sequence's last token is fed by its own. As an index, not a count: behind a slice
                # of P rows a matrix product copies the head's weights P times.
                logits_to_keep=torch.zeros(1, dtype=torch.long, device=self._model.device),
                **{self._cache_argument: states},
            )
        cache.add_prefixes(visibility_PS, states, list(slots_of.values()))

    def step(
        self, running: Sequence[tuple[int, SequenceState]], cache: SlotCache, read_block: int
    ) -> tuple[list[SequenceState], Tensor]:
        """Feed every sequence its next token, and those that read up to ``read_block`` more in all.

        Returns the n sequences that want a token next, and the logits to sample it from, (n, V).
        """
        counts = []
        for _, state in running:
            counts.append(1 + min(read_block, state.pending - 1))
            read_block -= counts[-1] - 1
        return self.feed(running, counts, cache)

    def feed(
        self, running: Sequence[tuple[int, SequenceState]], counts: Sequence[int], cache: SlotCache
    ) -> tuple[list[SequenceState], Tensor]:
        """Feed every sequence its number of tokens; the result is that of ``step``."""
        step = [
            (slot, state.take(count)) for (slot, state), count in zip(running, counts, strict=True)
        ]
        ready = [n for n, (_, state) in enumerate(running) if state.wants_token]
        return [running[n][1] for n in ready], self.forward(step, ready, cache)

    def forward(
        self, step: Sequence[tuple[int, StepInputs]], wanted: Sequence[int], cache: SlotCache
    ) -> Tensor:
        """One forward of slots' next tokens, N in all, packed without padding.

        Returns the logits behind the last token of the n slots with index ``wanted`` in ``step``, (n, V).
        """
        device = self._model.device
        order_N = cache.prepare([(slot, inputs.visibility) for slot, inputs in step])
        ids = [token_id for _, inputs in step for token_id in inputs.token_ids]
        positions = [position for _, inputs in step for position in inputs.positions]
        with attending(self._model, SLOT_ATTENTION):
            outputs = self._model(
                input_ids=torch.tensor(ids, device=device)[order_N].unsqueeze(0),  # (1, N)
                attention_mask=NO_MASK.to(device),
                position_ids=torch.tensor(positions, device=device)[order_N].unsqueeze(0),  # (1, N)
                use_cache=True,
                # The last token of step[i] is packed token i.
                logits_to_keep=torch.tensor(wanted or [0], device=device),
                slots=cache,
                **{self._cache_argument: cache},
            )
        logits_nV: Tensor = outputs.logits[0]  # (n, V)
        return logits_nV
