"""What rolls out for a trainer: transformers with the trainer's own model, or TRL's vLLM client.

>>> roll = roller_of(trainer, codec, layout, streaming, Room(streaming.decode_batch))
>>> rollouts = roll(requests, Sampling(temperature=1.0))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from trl.models import unwrap_model_for_generation

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import HFEngine, Request, Room, Sampling, VLLMEngine
from adasr_trl.layouts import Layout
from adasr_trl.layouts.codec import Codec

logger = logging.getLogger(__name__)

Roller = Callable[[Sequence[Request], Sampling], list[Rollout]]


def roller_of(
    trainer: Any, codec: Codec, layout: Layout, streaming: StreamingConfig, room: Room
) -> Roller:
    """The engine that the trainer's arguments ask for, with the weights of the moment."""
    args = trainer.args
    if args.engine == "vllm":
        logger.info(
            "rollouts: vLLM, %s (engine: vllm); TRL's importance-sampling correction is %s",
            args.vllm_mode,
            "on" if args.vllm_importance_sampling_correction else "off",
        )
        engine = VLLMEngine(trainer.vllm_generation, codec, layout, streaming)

        def by_vllm(requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
            if trainer.state.global_step != trainer._last_loaded_step:
                trainer.vllm_generation.sync_weights()
                trainer._last_loaded_step = trainer.state.global_step
            return engine.rollout(requests, sampling)

        return by_vllm
    why = (
        "the parallel layout has an attention of its own"
        if streaming.layout == "parallel"
        else "the default; each rollout is repeatable from its seed"
    )
    logger.info("rollouts: transformers (engine: hf): %s", why)

    def by_transformers(requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
        unwrapped = unwrap_model_for_generation(
            trainer.model_wrapped,
            trainer.accelerator,
            gather_deepspeed3_params=args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=args.gradient_checkpointing_kwargs,
        )
        with unwrapped as model:
            return HFEngine(model, codec, layout, streaming, room).rollout(requests, sampling)

    return by_transformers
