"""Rollouts with a transformers model: every row moves through its own chunks, the KV cache is kept throughout.

    >>> engine = HFEngine(model, codec, layout, streaming)
    >>> rollouts = engine.rollout(requests, Sampling(temperature=1.0))

What all rollouts of an episode begin with is read once (in the parallel layout the whole input). Then every step feeds a
token of each row that writes, and more of one that reads. No row waits for another one's chunk; a finished row's place
goes to the next request.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import LogitsProcessorList, PreTrainedModel

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.base import Generate, Request, Sampling
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.feeding import Feeder
from adasr_trl.engines.memory import Room, bytes_per_token, is_out_of_memory
from adasr_trl.engines.rollout_state import Row
from adasr_trl.engines.sampling import draw, processors, uniform
from adasr_trl.layouts.base import Layout, Turn
from adasr_trl.layouts.codec import Codec

logger = logging.getLogger(__name__)

LIVE_BLOCK = 2048  # tokens of input read in one step where there is no other row to hold up


class HFEngine:
    """Batched streaming generation on a transformers decoder (or a PEFT model around one)."""

    def __init__(
        self,
        model: PreTrainedModel,
        codec: Codec,
        layout: Layout,
        streaming: StreamingConfig,
        room: Room | None = None,
    ) -> None:
        """Keep the parts; ``room`` is what outlives an engine.

        Raises:
            UserError: The model's attention would not obey the layout's views.
        """
        check_attention(model)
        self._model = model
        self._codec = codec
        self._layout = layout
        self._streaming = streaming
        self._room = room or Room(streaming.decode_batch)
        self._feeder = Feeder(model, codec.eos_id)

    @torch.inference_mode()
    def rollout(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        progress: Callable[[int], None] | None = None,
    ) -> list[Rollout]:
        """One rollout a request, in the same order."""
        started = time.monotonic()
        positions = self._model.config.get_text_config().max_position_embeddings
        rows = [self._row(each, positions) for each in requests]
        waiting = deque(rows)
        with self._decoding():
            while waiting:
                running: list[Row] = []
                try:
                    self._run(waiting, running, sampling, progress or (lambda _: None))
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    self._room.halve(len(running), error)
                    waiting.extendleft(reversed(running))
                    for row in running:
                        row.rewind()
        self._room.seconds += time.monotonic() - started
        self._room.tokens += sum(row.sampled for row in rows)
        return [row.rollout() for row in rows]

    @torch.inference_mode()
    def advance(self, row: Row, cache: SlotCache, sampling: Sampling) -> None:
        """Read and write on in one live row until it waits for more of its stream, or is done."""
        chain = processors(sampling)
        with self._decoding():
            while not (row.waiting or row.done):
                self._advance([(0, row)], cache, sampling, chain, LIVE_BLOCK)

    @torch.inference_mode()
    def live_row(self, request: Request, turns: Sequence[Turn]) -> tuple[Row, SlotCache]:
        """A row whose stream is still arriving, and its cache; what it begins with is read at once."""
        config = self._model.config.get_text_config()
        row = self._row(request, config.max_position_embeddings, turns)
        cache = SlotCache(config.num_hidden_layers, 1, self._model.device)
        with self._decoding():
            while row.fed < row.shared:
                fed = row.take(min(LIVE_BLOCK, row.shared - row.fed))
                self._feeder.feed([(0, fed)], [], cache)
        return row, cache

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        if not self._model.training:  # live use comes here for every chunk
            yield
            return
        self._model.eval()
        try:
            yield
        finally:
            self._model.train()

    def _run(
        self,
        waiting: deque[Row],
        running: list[Row],
        sampling: Sampling,
        progress: Callable[[int], None],
    ) -> None:
        """Bring all waiting rows to their end; ``running`` has those that have begun and are not done."""
        layers = self._model.config.get_text_config().num_hidden_layers
        size = bytes_per_token(self._model)
        fitting = self._room.fitting(waiting, size, self._streaming.max_cache_gib)
        places = min(len(waiting), fitting)
        cache = SlotCache(layers, places, self._model.device)
        chain = processors(sampling)
        seats: list[Row | None] = [None] * places
        while waiting or running:
            entered: dict[int, Row] = {}
            for place, seat in enumerate(seats):
                if seat is None and waiting:
                    seats[place] = entered[place] = waiting.popleft()
            running += entered.values()
            self._feeder.begin(entered, cache)
            seats = _close_ranks(seats, cache)
            seated = [(place, row) for place, row in enumerate(seats) if row]
            self._advance(seated, cache, sampling, chain, self._streaming.read_block)
            self._room.peak_bytes = max(self._room.peak_bytes, cache.nbytes)
            for place, row in seated:
                if row.done:
                    seats[place] = None
                    running.remove(row)
                    progress(1)

    def _row(
        self, request: Request, max_positions: int, turns: Sequence[Turn] | None = None
    ) -> Row:
        return Row(request, self._layout, self._codec, self._streaming, max_positions, turns)

    def _advance(
        self,
        rows: Sequence[tuple[int, Row]],
        cache: SlotCache,
        sampling: Sampling,
        chain: LogitsProcessorList,
        read_block: int,
    ) -> None:
        """One step: every row is fed, and those that want a token get one."""
        ready, logits_nV = self._feeder.step(rows, cache, read_block)
        if not ready:
            return
        uniforms = [uniform(row.request.seed, row.sampled) for row in ready]
        token_ids, logprobs = draw(logits_nV, uniforms, sampling, chain)
        for row, token_id, logprob in zip(ready, token_ids, logprobs, strict=True):
            row.accept(token_id, logprob)


def _close_ranks(seats: list[Row | None], cache: SlotCache) -> list[Row | None]:
    """Drop empty places once they are a quarter of all, so that the last rows do not pay for the others."""
    kept = [place for place, seat in enumerate(seats) if seat]
    if 4 * len(kept) > 3 * len(seats):
        return seats
    cache.keep(kept)
    return [seats[place] for place in kept]


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


def for_training(
    trainer: Any, codec: Codec, layout: Layout, streaming: StreamingConfig, room: Room
) -> Generate:
    """Rollouts with the trainer's own model, for ``engine: hf``."""
    from trl.models import unwrap_model_for_generation

    why = (
        "the parallel layout has an attention of its own"
        if streaming.layout == "parallel"
        else "the default; each rollout is repeatable from its seed"
    )
    logger.info("rollouts: transformers (engine: hf): %s", why)

    def generate(requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
        unwrapped = unwrap_model_for_generation(
            trainer.model_wrapped,
            trainer.accelerator,
            gather_deepspeed3_params=trainer.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
        )
        with unwrapped as model:
            return HFEngine(model, codec, layout, streaming, room).rollout(requests, sampling)

    return generate
