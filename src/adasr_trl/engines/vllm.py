"""Rollouts with vLLM, through the client that TRL's trainers have: in this process (colocate) or on a server.

    >>> engine = VLLMEngine(trainer.vllm_generation, codec, layout, streaming)
    >>> rollouts = engine.rollout(requests, Sampling(temperature=1.0))

Each turn of a rollout is one request whose prompt is all tokens so far, stopped at a marker; vLLM's prefix cache keeps it
from being read again. All rollouts are in flight at once, none waits for another one's turn. What a turn means is
decided by ``row``, as in every engine: tokens behind the end of a segment are dropped, and a segment that vLLM ended too
early goes on. The interleaved layout only. Weights are TRL's matter (``sync_weights``). Log-probabilities are vLLM's, of
what it sampled from, so TRL's importance-sampling correction applies.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.base import Generate, Request, Sampling
from adasr_trl.engines.memory import Room
from adasr_trl.engines.rollout_state import Row
from adasr_trl.engines.sampling import uniform
from adasr_trl.layouts.base import Layout
from adasr_trl.layouts.codec import Codec

logger = logging.getLogger(__name__)

CONNECTIONS = 64  # to a server at once, as many as TRL's client opens


@dataclass(frozen=True)
class Written:
    """What vLLM wrote for one request; a log-probability it could not give is NaN."""

    token_ids: Sequence[int]
    logprobs: Sequence[float]


class VLLMEngine:
    """Streaming generation by TRL's ``VLLMGeneration``."""

    def __init__(
        self, generation: Any, codec: Codec, layout: Layout, streaming: StreamingConfig
    ) -> None:
        """Keep the parts; ``generation`` holds the connection, or the model."""
        self._generation = generation
        self._codec = codec
        self._layout = layout
        self._streaming = streaming

    def rollout(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        progress: Callable[[int], None] | None = None,
    ) -> list[Rollout]:
        """One rollout a request, in the same order; with a server, every process must call it."""
        progress = progress or (lambda _: None)
        if self._generation.mode == "server":
            return self._on_server(requests, sampling, progress)
        with awake(self._generation):
            rows = self._rows(requests, max_model_length(self._generation))
            self._colocated(rows, sampling, progress)
        return [row.rollout() for row in rows]

    def _rows(self, requests: Sequence[Request], positions: int | None) -> list[Row]:
        parts = (self._layout, self._codec, self._streaming, positions)
        return [Row(request, *parts) for request in requests]

    def _colocated(
        self, rows: Sequence[Row], sampling: Sampling, progress: Callable[[int], None]
    ) -> None:
        """Every turn goes into vLLM's own queue as soon as the one before it is over."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self._generation.llm.llm_engine
        open_turns: dict[str, Row] = {}

        def submit(row: Row, name: str) -> None:
            settings = self._settings(row, sampling)
            params = SamplingParams(**settings, output_kind=RequestOutputKind.FINAL_ONLY)
            open_turns[name] = row
            engine.add_request(name, {"prompt_token_ids": list(row.read())}, params)

        try:
            for n, row in enumerate(rows):
                submit(row, f"{n}:0")
            while open_turns:
                for output in engine.step():
                    row = open_turns.pop(output.request_id)
                    take(row, _from_output(output.outputs[0]))
                    if row.done:
                        progress(1)
                    else:
                        submit(row, f"{output.request_id.partition(':')[0]}:{row.sampled}")
        finally:
            if open_turns:  # interrupted
                engine.abort_request(list(open_turns))

    def _on_server(
        self, requests: Sequence[Request], sampling: Sampling, progress: Callable[[int], None]
    ) -> list[Rollout]:
        """The main process has the connection: it rolls out for all."""
        accelerator = self._generation.accelerator
        counts: list[int] = gather_object([len(requests)])
        everyone: list[Request] = gather_object(list(requests))
        found: list[Any] = [None]
        if accelerator.is_main_process:
            rows = self._rows(everyone, max_model_length(self._generation))
            self._serve(rows, sampling, progress)
            found = [[row.rollout() for row in rows]]
        broadcast_object_list(found, from_process=0)
        start = sum(counts[: accelerator.process_index])
        rollouts: list[Rollout] = found[0][start : start + len(requests)]
        return rollouts

    def _serve(
        self, rows: Sequence[Row], sampling: Sampling, progress: Callable[[int], None]
    ) -> None:
        """A thread a row, each at its own turn."""
        stopped = Event()

        def finish(row: Row) -> None:
            while not (row.done or stopped.is_set()):
                take(row, self._ask(row, sampling))

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            ends = [threads.submit(finish, row) for row in rows]
            try:
                for end in as_completed(ends):
                    end.result()
                    progress(1)
            finally:
                stopped.set()  # interrupted, or one failed: the turns that are open are the last ones

    def _ask(self, row: Row, sampling: Sampling) -> Written:
        """One request over HTTP."""
        settings = self._settings(row, sampling)
        prompt = list(row.read())
        answer = self._generation.vllm_client.generate(prompts=[prompt], generation_kwargs=settings)
        logprobs = [math.nan if lp[0] is None else lp[0] for lp in answer["logprobs"][0]]
        return Written(answer["completion_ids"][0], logprobs)

    def _settings(self, row: Row, sampling: Sampling) -> dict[str, Any]:
        """VLLM's sampling parameters for the row's next turn."""
        markers, deep = self._codec.markers, row.turn.writes is Phase.DEEP
        # A server takes four at most; what is written behind the fifth is dropped like any overshoot.
        fourth = markers.stream_end if deep else markers.reasoning_end
        number = uniform(row.request.seed, row.sampled)  # so that no two turns share their dice
        return {
            "n": 1,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "max_tokens": row.room,
            "seed": int(number * 2**31),
            "logprobs": 0,
            "stop": [markers.thought_end, markers.skip, markers.chunk_end, fourth],
            "stop_token_ids": [self._codec.eos_id],
            "include_stop_str_in_output": True,
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
        }


def take(row: Row, written: Written) -> None:
    """Hand a row what was written for it, up to the end of its segment."""
    if not written.token_ids:  # asking again would never end
        raise RuntimeError(
            f"vLLM wrote no token for episode {row.request.episode.id!r}; see its log."
        )
    turn = row.turn
    for token_id, logprob in zip(written.token_ids, written.logprobs, strict=True):
        row.accept(token_id, logprob)
        if row.done or row.turn is not turn:
            return


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
    """Positions that vLLM serves, or None if it does not say."""
    if generation.mode == "server":
        found = (
            generation.vllm_client.get_server_info().get("model_config", {}).get("max_model_len")
        )
        return int(found) if found else None
    return int(generation.llm.llm_engine.model_config.max_model_len)


def _from_output(output: Any) -> Written:
    ids = list(output.token_ids)
    found = [entry[token_id].logprob for token_id, entry in zip(ids, output.logprobs, strict=True)]
    return Written(ids, [math.nan if lp is None else lp for lp in found])


def for_training(
    trainer: Any, codec: Codec, layout: Layout, streaming: StreamingConfig, room: Room
) -> Generate:
    """Rollouts by TRL's vLLM client, which gets the trainer's weights once a step, for ``engine: vllm``."""
    del room  # vLLM has a cache of its own
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
