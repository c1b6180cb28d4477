"""Rollouts with a transformers model: each sequence moves through its own chunks, and keeps its KV cache throughout.

    >>> engine = HFEngine(model, codec, layout, streaming)
    >>> rollouts = engine.rollout(requests, Sampling(temperature=1.0))

The prefix that all rollouts of an episode share is read once; in the parallel layout it is the whole input. Then every
step feeds one token of each sequence that writes, and more of one that reads. No sequence waits for another one's
chunk, and the slot of a finished one goes to the next request.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.base import Generate, Progress
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.memory import CacheBudget, bytes_per_token, is_out_of_memory
from adasr_trl.engines.model_runner import ModelRunner
from adasr_trl.engines.pool import SequencePool, tokens_of_a_stream
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import accept_sampled
from adasr_trl.layouts.base import Layout, Turn
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.visibility import (
    attention_implementation,
    check_implementation,
    has_full_attention,
)
from adasr_trl.models.positions import longest_sequence

logger = logging.getLogger(__name__)

LIVE_BLOCK = 2048  # tokens of input a step, where no other sequence would wait for them


class HFEngine:
    """Batched streaming generation on a transformers decoder (or a PEFT model around one)."""

    def __init__(
        self,
        model: PreTrainedModel,
        codec: Codec,
        layout: Layout,
        streaming: StreamingConfig,
        budget: CacheBudget | None = None,
    ) -> None:
        """Keep the parts; ``budget`` outlives the engine.

        Raises:
            UserError: The model's attention would not obey the layout's visibility.
        """
        check_attention(model)
        self._model, self._config = model, model.config.get_text_config()
        self._codec = codec
        self._layout = layout
        self._streaming = streaming
        self._budget = budget or CacheBudget(streaming.decode_batch)
        self._runner = ModelRunner(model, codec.eos_id)

    @torch.inference_mode()
    def rollout(
        self, requests: Sequence[Request], sampling: Sampling, progress: Progress | None = None
    ) -> list[Rollout]:
        """One rollout a request, in the same order."""
        started = time.monotonic()
        states = [self._state(request) for request in requests]
        waiting = deque(states)
        with evaluating(self._model):
            while waiting:
                running: list[SequenceState] = []
                try:
                    self._run(waiting, running, sampling, progress or (lambda _: None))
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    self._budget.halve(len(running), error)
                    waiting.extendleft(reversed(running))
                    for state in running:
                        state.rewind()
        self._budget.seconds += time.monotonic() - started
        self._budget.tokens += sum(
            state.sampled_tokens - len(state.request.written) for state in states
        )
        return [state.rollout() for state in states]

    @torch.inference_mode()
    def start_sequence(
        self, request: Request, turns: Sequence[Turn]
    ) -> tuple[SequenceState, SlotCache]:
        """A sequence of a stream that is still arriving, and its cache; its first turns are read at once."""
        state = self._state(request, turns)
        cache = self._cache(1)
        with evaluating(self._model):
            while state.fed_tokens < state.prefix_length:
                inputs = state.take(min(LIVE_BLOCK, state.prefix_length - state.fed_tokens))
                self._runner.forward([(0, inputs)], [], cache)
        return state, cache

    @torch.inference_mode()
    def advance(self, state: SequenceState, cache: SlotCache, sampling: Sampling) -> None:
        """Read and write in one live sequence until it waits for more of its stream, or is done."""
        cache.truncate(0, state.fed_tokens)
        with evaluating(self._model):
            while not (state.waiting or state.done):
                self._step([(0, state)], cache, sampling, LIVE_BLOCK)

    def pooled(self, max_streams: int, max_cache_gib: float | None = None) -> SequencePool:
        """A pool of live sequences; ``max_cache_gib`` bounds all of their keys and values together.

        Raises:
            UserError: The bound is too small for so many.
        """
        max_tokens = None
        if max_cache_gib is not None:
            size = bytes_per_token(self._model)
            max_tokens = tokens_of_a_stream(max_cache_gib, max_streams, size)
        self._model.eval()
        return SequencePool(
            self._runner,
            self._state,
            self._cache,
            max_streams=max_streams,
            max_tokens=max_tokens,
            read_block=self._streaming.read_block,
        )

    def _run(
        self,
        waiting: deque[SequenceState],
        running: list[SequenceState],
        sampling: Sampling,
        progress: Progress,
    ) -> None:
        """Finish all waiting sequences; ``running`` lists those that have a slot, for the caller if memory runs out."""
        budget, bound = self._budget, self._streaming.max_cache_gib
        fitting = budget.batch_size(waiting, bytes_per_token(self._model), bound)
        slots: list[SequenceState | None] = [None] * min(len(waiting), fitting)
        cache = self._cache(len(slots))
        while waiting or running:
            entered: dict[int, SequenceState] = {}
            for slot, occupant in enumerate(slots):
                if occupant is None and waiting:
                    slots[slot] = entered[slot] = waiting.popleft()
            running += entered.values()
            self._runner.prefill_shared(entered, cache)
            taken = [slot for slot, state in enumerate(slots) if state]
            if 4 * len(taken) <= 3 * len(slots):  # else the last sequences pay for empty slots
                cache.keep(taken)
                slots = [slots[slot] for slot in taken]
            occupied = [(slot, state) for slot, state in enumerate(slots) if state]
            self._step(occupied, cache, sampling, self._streaming.read_block)
            budget.peak_bytes = max(budget.peak_bytes, cache.nbytes)
            for slot, state in occupied:
                if state.done:
                    slots[slot] = None
                    running.remove(state)
                    progress(1)

    def _step(
        self,
        running: Sequence[tuple[int, SequenceState]],
        cache: SlotCache,
        sampling: Sampling,
        read_block: int,
    ) -> None:
        """Feed every sequence, and sample a token for those that want one."""
        ready, logits_nV = self._runner.step(running, cache, read_block)
        if ready:
            accept_sampled(ready, logits_nV, sampling)

    def _state(self, request: Request, turns: Sequence[Turn] | None = None) -> SequenceState:
        parts = (self._layout, self._codec, self._streaming, longest_sequence(self._config))
        return SequenceState(request, *parts, turns)

    def _cache(self, slots: int) -> SlotCache:
        return SlotCache(self._config.num_hidden_layers, slots, self._model.device)


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode for now, without dropout."""
    if not model.training:  # live use comes here for every chunk
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


def check_attention(model: PreTrainedModel) -> None:
    """Refuse attention that would read the bool mask in another way, or through a window of its own (UserError)."""
    check_implementation(attention_implementation(model))
    if not has_full_attention(model):
        raise UserError(
            f"model: {model.config.get_text_config().model_type} has layers without full attention (sliding window or "
            f"recurrent), which streaming rollouts do not serve; use a model with full attention."
        )


def for_training(
    trainer: Any, codec: Codec, layout: Layout, streaming: StreamingConfig, budget: CacheBudget
) -> Generate:
    """Rollouts with the trainer's own model, for ``engine: hf``."""
    why = "the default; each rollout is repeatable from its seed"
    if streaming.layout == "parallel":
        why = "the parallel layout has an attention of its own"
    logger.info("rollouts: transformers (engine: hf): %s", why)

    def generate(requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
        with unwrapped(trainer) as model:
            return HFEngine(model, codec, layout, streaming, budget).rollout(requests, sampling)

    return generate


def unwrapped(trainer: Any) -> AbstractContextManager[Any]:
    """The trainer's model of the moment, whole on every process; all of them must enter."""
    from trl.models import unwrap_model_for_generation

    context: AbstractContextManager[Any] = unwrap_model_for_generation(
        trainer.model_wrapped,
        trainer.accelerator,
        gather_deepspeed3_params=trainer.args.ds3_gather_for_generation,
        gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
    )
    return context
