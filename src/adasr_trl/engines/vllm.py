"""Rollouts with vLLM, through the client that TRL's trainers have: in this process (colocate) or on a server.

    >>> engine = VLLMEngine(trainer.vllm_generation, codec, layout, streaming)
    >>> rollouts = engine.rollout(requests, Sampling(temperature=1.0))

Each segment is one request whose prompt is all tokens so far, stopped at a marker; vLLM's prefix cache keeps it from
being read again. All rollouts are in flight at once, and none waits for another one. ``rollout_state`` has the rules, as
in every engine: tokens behind the end of a segment are dropped, and a segment that vLLM ended too early goes on. The
interleaved layout only. Log-probabilities are of the distribution that vLLM sampled from, so TRL's importance-sampling
correction applies.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from threading import Event
from typing import Any

import torch
from accelerate.utils import broadcast_object_list, gather_object

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.base import Generate, Progress
from adasr_trl.engines.memory import CacheBudget
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import server_settings
from adasr_trl.layouts.base import Layout
from adasr_trl.layouts.codec import Codec

logger = logging.getLogger(__name__)

CONNECTIONS = 64  # to a server at once, as many as TRL's client opens


class VLLMEngine:
    """Streaming generation by TRL's ``VLLMGeneration``."""

    def __init__(
        self, generation: Any, codec: Codec, layout: Layout, streaming: StreamingConfig
    ) -> None:
        self._generation = generation  # holds the connection, or the model
        self._codec = codec
        self._layout = layout
        self._streaming = streaming

    def rollout(
        self, requests: Sequence[Request], sampling: Sampling, progress: Progress | None = None
    ) -> list[Rollout]:
        """One rollout a request, in the same order; with a server, every process must call it."""
        progress = progress or (lambda _: None)
        if self._generation.mode == "server":
            return self._on_server(requests, sampling, progress)
        with awake(self._generation):
            states = self._states(requests)
            self._colocated(states, sampling, progress)
        return [state.rollout() for state in states]

    def _states(self, requests: Sequence[Request]) -> list[SequenceState]:
        positions = max_model_length(self._generation)
        parts = (self._layout, self._codec, self._streaming, positions)
        return [SequenceState(request, *parts) for request in requests]

    def _colocated(
        self, states: Sequence[SequenceState], sampling: Sampling, progress: Progress
    ) -> None:
        """Put every segment into vLLM's own queue as soon as the one before it is over."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self._generation.llm.llm_engine
        in_flight: dict[str, SequenceState] = {}
        names = map(str, itertools.count())

        def submit(state: SequenceState) -> None:
            settings = self._settings(state, sampling)
            params = SamplingParams(**settings, output_kind=RequestOutputKind.FINAL_ONLY)
            name = next(names)
            in_flight[name] = state
            engine.add_request(name, {"prompt_token_ids": list(state.take_all())}, params)

        try:
            for state in states:
                submit(state)
            while in_flight:
                for output in engine.step():
                    state = in_flight.pop(output.request_id)
                    completion = output.outputs[0]
                    ids = list(completion.token_ids)
                    entries = zip(ids, completion.logprobs, strict=True)
                    logprobs = [entry[token_id].logprob for token_id, entry in entries]
                    state.accept_segment(ids, logprobs)
                    if state.done:
                        progress(1)
                    else:
                        submit(state)
        finally:
            if in_flight:  # interrupted
                engine.abort_request(list(in_flight))

    def _on_server(
        self, requests: Sequence[Request], sampling: Sampling, progress: Progress
    ) -> list[Rollout]:
        """Roll out for all processes in the main one, which has the connection."""
        accelerator = self._generation.accelerator
        counts: list[int] = gather_object([len(requests)])
        everyone: list[Request] = gather_object(list(requests))
        shared: list[Any] = [None]
        if accelerator.is_main_process:
            states = self._states(everyone)
            self._serve(states, sampling, progress)
            shared = [[state.rollout() for state in states]]
        broadcast_object_list(shared, from_process=0)
        start = sum(counts[: accelerator.process_index])
        return list(shared[0][start : start + len(requests)])

    def _serve(
        self, states: Sequence[SequenceState], sampling: Sampling, progress: Progress
    ) -> None:
        """Finish every sequence, each in a thread of its own."""
        stopped = Event()

        def finish(state: SequenceState) -> None:
            while not (state.done or stopped.is_set()):
                settings = self._settings(state, sampling)
                answer = self._generation.vllm_client.generate(
                    prompts=[list(state.take_all())], generation_kwargs=settings
                )
                logprobs = [logprob[0] for logprob in answer["logprobs"][0]]
                state.accept_segment(answer["completion_ids"][0], logprobs)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            futures = [threads.submit(finish, state) for state in states]
            try:
                for future in as_completed(futures):
                    future.result()
                    progress(1)
            finally:
                stopped.set()  # interrupted, or one failed: no thread sends another request

    def _settings(self, state: SequenceState, sampling: Sampling) -> dict[str, Any]:
        """VLLM's sampling parameters for the next segment."""
        markers, deep = self._codec.markers, state.turn.writes is Phase.DEEP
        # A server takes four stop strings at most. Text behind a fifth marker is dropped as any overshoot is.
        fourth = markers.stream_end if deep else markers.reasoning_end
        return {
            **server_settings(state, sampling),
            "n": 1,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "logprobs": 0,
            "stop": [markers.thought_end, markers.skip, markers.chunk_end, fourth],
            "stop_token_ids": [self._codec.eos_id],
            "include_stop_str_in_output": True,
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
        }


@contextmanager
def awake(generation: Any) -> Iterator[None]:
    """TRL's sleep mode: vLLM has its weights and its cache only while it writes."""
    if not generation.enable_sleep_mode:
        yield
        return
    if generation._llm_weights_sleeping:
        generation.sync_weights()
    generation.llm.wake_up(tags=["kv_cache"])
    try:
        yield
    finally:
        generation.llm.sleep(level=2)
        generation._llm_weights_sleeping = True


def max_model_length(generation: Any) -> int | None:
    """Positions that vLLM serves; None if it does not report them."""
    if generation.mode == "server":
        info = generation.vllm_client.get_server_info()
        length = info.get("model_config", {}).get("max_model_len")
        return int(length) if length else None
    return int(generation.llm.llm_engine.model_config.max_model_len)


def for_training(
    trainer: Any, codec: Codec, layout: Layout, streaming: StreamingConfig, budget: CacheBudget
) -> Generate:
    """Rollouts by TRL's vLLM client, which gets the trainer's weights once a step, for ``engine: vllm``.

    Raises:
        UserError: This vLLM can take no new weights.
    """
    del budget  # vLLM has a cache of its own
    if trainer.args.vllm_mode == "colocate":
        _refuse_packed_weights()
    logger.info(
        "rollouts: vLLM, %s (engine: vllm); TRL's importance-sampling correction is %s",
        trainer.args.vllm_mode,
        "on" if trainer.args.vllm_importance_sampling_correction else "off",
    )
    engine = VLLMEngine(trainer.vllm_generation, codec, layout, streaming)

    def generate(requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
        if trainer.state.global_step != trainer._last_loaded_step:
            trainer.vllm_generation.sync_weights()
            trainer._last_loaded_step = trainer.state.global_step
        return engine.rollout(requests, sampling)

    return generate


def _refuse_packed_weights() -> None:
    """The CPU build of vLLM packs weights when it loads them, and fails in the first transfer of new ones."""
    layers = sys.modules.get("vllm.model_executor.layers.utils")
    if layers is None or torch.accelerator.is_available():
        return
    pack = vars(layers).get("dispatch_cpu_unquantized_gemm")
    if pack is not None and pack.__module__ == layers.__name__:  # a plain product may stand there
        raise UserError(
            "engine: got vllm on a CPU; vLLM's CPU build takes no new weights after loading, so it cannot follow the "
            "training. Use engine: hf, or a GPU."
        )
