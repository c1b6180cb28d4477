"""Rollouts with a transformers model: every row moves through its own chunks, the KV cache is kept throughout.

    >>> engine = HFEngine(model, codec, layout, streaming)
    >>> rollouts = engine.rollout(requests, Sampling(temperature=1.0))

What all rollouts of an episode begin with is read once (in the parallel layout the whole input). Then a step feeds a
block of tokens: a row that decodes feeds the one it sampled last, a row that reads feeds the next ones of its chunk. No
row waits for another one's chunk; a finished row's place goes to the next request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from adasr_trl.codec import Codec
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.engines.base import Request, Sampling
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.row import Fed, Row
from adasr_trl.engines.sampling import draw, processors, uniform
from adasr_trl.files import UserError
from adasr_trl.layouts.base import Layout, Turn
from adasr_trl.layouts.views import attention
from adasr_trl.rollout import Rollout

PREFILL_TOKENS = 16_384  # of one forward


class HFEngine:
    """Batched streaming generation on a transformers decoder (or a PEFT model around one)."""

    def __init__(
        self, model: PreTrainedModel, codec: Codec, layout: Layout, streaming: StreamingConfig
    ) -> None:
        """Keep the parts; no state survives a call.

        Raises:
            UserError: The model's attention would not obey the cache's mask.
        """
        check_attention(model)
        self._model = model
        self._codec = codec
        self._layout = layout
        self._streaming = streaming

    @torch.no_grad()
    def rollout(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        progress: Callable[[int], None] | None = None,
    ) -> list[Rollout]:
        """One rollout a request, in the same order."""
        with self._decoding():
            return self._run(requests, sampling, progress or (lambda _: None))

    @torch.no_grad()
    def advance(self, row: Row, cache: SlotCache, sampling: Sampling) -> None:
        """Read and write on in one live row until it waits for more of its stream, or is done."""
        chain = processors(sampling)
        with self._decoding():
            while not (row.waiting or row.done):
                logits_BV = self._step([row], cache)
                self._sample([row], logits_BV, sampling, chain)

    def live_row(self, request: Request, turns: Sequence[Turn]) -> tuple[Row, SlotCache]:
        """A row whose stream is still arriving, and its cache."""
        config = self._model.config.get_text_config()
        row = self._row(request, config.max_position_embeddings, turns)
        return row, SlotCache(config.num_hidden_layers, 1, self._model.device)

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Evaluation mode, and attention for single tokens over a cache (FlexAttention is for whole sequences)."""
        was_training, config = self._model.training, self._model.config.get_text_config()
        taught = config._attn_implementation
        self._model.eval()
        config._attn_implementation = "sdpa"
        try:
            yield
        finally:
            config._attn_implementation = taught
            self._model.train(was_training)

    def _run(
        self, requests: Sequence[Request], sampling: Sampling, progress: Callable[[int], None]
    ) -> list[Rollout]:
        config = self._model.config.get_text_config()
        places = min(len(requests), self._streaming.decode_batch)
        cache = SlotCache(config.num_hidden_layers, places, self._model.device)
        chain = processors(sampling)
        waiting = deque(enumerate(requests))
        active: list[tuple[int, Row] | None] = [None] * places
        finished: dict[int, Rollout] = {}
        while len(finished) < len(requests):
            entered: dict[int, Row] = {}
            for place, occupant in enumerate(active):
                if occupant is None and waiting:
                    index, request = waiting.popleft()
                    entered[place] = self._row(request, config.max_position_embeddings)
                    active[place] = (index, entered[place])
            self._read_beginnings(entered, cache)
            active = _close_ranks(active, cache)
            rows = [occupant[1] if occupant else None for occupant in active]
            logits_BV = self._step(rows, cache)
            self._sample(rows, logits_BV, sampling, chain)
            for place, occupant in enumerate(active):
                if occupant and occupant[1].done:
                    finished[occupant[0]] = occupant[1].rollout()
                    active[place] = None
                    progress(1)
        return [finished[index] for index in range(len(requests))]

    def _row(
        self, request: Request, max_positions: int, turns: Sequence[Turn] | None = None
    ) -> Row:
        return Row(request, self._layout, self._codec, self._streaming, max_positions, turns)

    def _read_beginnings(self, entered: Mapping[int, Row], cache: SlotCache) -> None:
        """Read what rows have in common once for all of them, as many different beginnings as fit a forward."""
        places_of: dict[Fed, list[int]] = {}
        for place, row in entered.items():
            if row.shared > 0:
                places_of.setdefault(row.take(row.shared), []).append(place)
        batch: list[Fed] = []
        for fed in sorted(places_of, key=lambda fed: len(fed.token_ids)):
            if batch and (len(batch) + 1) * len(fed.token_ids) > PREFILL_TOKENS:
                self._prefill(batch, places_of, cache)
                batch = []
            batch.append(fed)
        if batch:
            self._prefill(batch, places_of, cache)

    def _prefill(
        self, batch: Sequence[Fed], places_of: Mapping[Fed, Sequence[int]], cache: SlotCache
    ) -> None:
        """One forward over some beginnings, whose states go to all the rows that have them."""
        device, longest = self._model.device, len(batch[-1].token_ids)

        def padded(rows: Iterable[tuple[int, ...]], fill: int = 0) -> Tensor:
            return torch.tensor(
                [row + (fill,) * (longest - len(row)) for row in rows], device=device
            )

        views_NQ = padded(fed.views for fed in batch)
        states = DynamicCache()
        self._model(
            input_ids=padded((fed.token_ids for fed in batch), self._codec.eos_id),
            attention_mask=attention(views_NQ)[0],
            position_ids=padded(fed.positions for fed in batch),
            past_key_values=states,
            use_cache=True,
            logits_to_keep=1,
        )
        pairs = [(place, n) for n, fed in enumerate(batch) for place in places_of[fed]]
        rows, source = torch.tensor(pairs, device=device).unbind(dim=1)
        cache.load(rows, views_NQ[source], states, source)

    def _step(self, rows: list[Row | None], cache: SlotCache) -> Tensor:
        """Feed one block (tokens at its right end) and return the logits behind each row's last token."""
        block = self._block(rows)
        ids, positions, slots, views = [], [], [], []
        for row in rows:
            start = row.fed + 1 if row else 0
            taken = row.take(block) if row else Fed((), (), ())
            padding = block - len(taken.token_ids)
            none = (0,) * padding
            ids.append((self._codec.eos_id,) * padding + taken.token_ids)
            positions.append(none + taken.positions)
            views.append(none + taken.views)
            slots.append(none + tuple(range(start, start + block - padding)))
        device = self._model.device
        cache.place(torch.tensor(slots, device=device), torch.tensor(views, device=device))
        outputs = self._model(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=cache.mask(),
            position_ids=torch.tensor(positions, device=device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits_BV: Tensor = outputs.logits[:, -1]
        return logits_BV

    def _block(self, rows: list[Row | None]) -> int:
        """Tokens a row may feed in this step: as many as every row has, else at most ``read_block``."""
        pending = [row.pending for row in rows if row]
        return max(min(pending), min(max(pending), self._streaming.read_block))

    def _sample(
        self,
        rows: list[Row | None],
        logits_BV: Tensor,
        sampling: Sampling,
        chain: object,
    ) -> None:
        ready = [(place, row) for place, row in enumerate(rows) if row and row.wants_token]
        if not ready:
            return
        uniforms = [uniform(row.request.seed, row.sampled) for _, row in ready]
        places = torch.tensor([place for place, _ in ready], device=logits_BV.device)
        token_ids, logprobs = draw(logits_BV[places], uniforms, sampling, chain)
        for (_, row), token_id, logprob in zip(ready, token_ids, logprobs, strict=True):
            row.accept(token_id, logprob)


def _close_ranks(
    active: list[tuple[int, Row] | None], cache: SlotCache
) -> list[tuple[int, Row] | None]:
    """Drop empty places once they are a quarter of all, so that the last rows do not pay for the others."""
    kept = [place for place, occupant in enumerate(active) if occupant]
    if 4 * len(kept) > 3 * len(active):
        return active
    cache.keep(kept)
    return [active[place] for place in kept]


def check_attention(model: PreTrainedModel) -> None:
    """Refuse attention that would read the bool mask in another way, or look through a window of its own."""
    config = model.config.get_text_config()
    implementation = config._attn_implementation
    if implementation not in ("sdpa", "flex_attention"):
        raise UserError(
            f"model: its attention is {implementation!r}; streaming rollouts need 'sdpa' or 'flex_attention' "
            f"(attn_implementation), since others read a boolean mask differently or none at all."
        )
    kinds = set(getattr(config, "layer_types", None) or ())
    windowed = (
        bool(kinds - {"full_attention"}) if kinds else getattr(config, "sliding_window", None)
    )
    if windowed:
        raise UserError(
            f"model: {config.model_type} has layers without full attention (sliding window or "
            f"recurrent), which streaming rollouts do not serve; use a model with full attention."
        )
