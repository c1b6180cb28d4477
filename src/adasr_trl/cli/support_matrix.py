"""Combinations of command, weights, sharding, layout and engine that work, are refused, or are untested.

    >>> decide(Combination("hrpo", Weights.QLORA, Sharding.ZERO3, "interleaved", "hf")).status
    <Status.REFUSED: 'refused'>

"Works" is held by a test: ``tests/cli/test_support_matrix.py`` trains every such combination of the transformers engine on
CPU processes; vLLM's are those of docs/VLLM.md. Limits of a single setting are checked where the setting is read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from adasr_trl.artifacts.names import ADAPTER_CONFIG
from adasr_trl.artifacts.saved_config import load_origin
from adasr_trl.config.loading import LoadedConfig
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.engines.registry import DEFAULT_ENGINE, ENGINES, EngineInfo
from adasr_trl.training.distributed import asks_for_fsdp

logger = logging.getLogger(__name__)


class Weights(Enum):
    """Trained weights and those below them."""

    FULL = "all weights"
    LORA = "LoRA"
    QLORA = "QLoRA (4 bits)"
    BARE = "4 bits, no adapter"


class Sharding(Enum):
    """Parts spread over the processes; PLAIN is one process, or several with a whole copy each."""

    PLAIN = "plain"
    ZERO2 = "ZeRO-2"
    ZERO2_OFFLOAD = "ZeRO-2, offload"
    ZERO3 = "ZeRO-3"
    ZERO3_OFFLOAD = "ZeRO-3, offload"
    FSDP = "FSDP"


class Status(Enum):
    """Knowledge of a combination."""

    WORKS = "works"
    REFUSED = "refused"
    UNTESTED = "untested"


@dataclass(frozen=True)
class Combination:
    """Parts of a run; ``command`` is sft, grpo, hrpo or eval."""

    command: str
    weights: Weights
    sharding: Sharding
    layout: str
    engine: str = DEFAULT_ENGINE

    @property
    def engine_info(self) -> EngineInfo:
        """The engine's abilities; a name outside the list is refused where TRL's arguments are parsed."""
        return ENGINES.get(self.engine, ENGINES[DEFAULT_ENGINE])


@dataclass(frozen=True)
class Verdict:
    """Status, setting to blame, and reason with a remedy."""

    status: Status
    key: str = ""
    reason: str = ""


_NO_ADAPTER = (
    "model.quantization",
    "weights of 4 bits cannot be trained themselves; add a lora section, or remove quantization.",
)
_ZERO3_4BIT = (
    "deepspeed",
    "ZeRO-3 saves no memory with weights of 4 bits: every process loads the whole model first, since transformers leaves "
    "quantised weights out of zero.Init. Training it on GPUs has failed for others (transformers issue 26412, PEFT issue "
    "1418). Use ZeRO-2, or LoRA on whole weights.",
)
_FSDP_4BIT = (
    "model.quantization",
    "FSDP spreads weights of one type only, and bitsandbytes keeps 4-bit ones as bytes among others; use ZeRO-2, or LoRA on "
    "whole weights.",
)
_EVAL_SHARDED = ("", "evaluation and live use run in one process; start them without a launcher.")
_FSDP_ROLLOUTS = (
    "engine",
    "an FSDP forward gathers weights over all processes, and each process has another number of rollout forwards: they "
    "would wait for each other forever. Use engine: vllm, or DeepSpeed, which gathers once for all rollouts.",
)
_FSDP_SFT = (
    "FSDP was not run on GPUs. accelerate leaves it out on CPU processes (refused here); with two of them taken for GPUs, "
    "training ends at the plain run's weights and resumes to the same (tests/training/test_fsdp.py)."
)
_FSDP_RL = "FSDP needs GPUs, and none was at hand."


def decide(combination: Combination) -> Verdict:
    """The verdict on a combination."""
    for applies, (key, reason) in _refusals(combination):
        if applies:
            return Verdict(Status.REFUSED, key, reason)
    if combination.sharding is Sharding.FSDP:
        return Verdict(
            Status.UNTESTED, "fsdp", _FSDP_SFT if combination.command == "sft" else _FSDP_RL
        )
    plain = combination.sharding is Sharding.PLAIN and combination.weights is not Weights.QLORA
    if combination.engine_info.untested and not plain:
        return Verdict(Status.UNTESTED, "engine", combination.engine_info.untested)
    return Verdict(Status.WORKS)


def _refusals(c: Combination) -> Iterator[tuple[bool, tuple[str, str]]]:
    trains, four = c.command != "eval", c.weights in (Weights.QLORA, Weights.BARE)
    rolls_out = c.command in ("grpo", "hrpo")
    fsdp = c.sharding is Sharding.FSDP
    yield not trains and c.sharding is not Sharding.PLAIN, _EVAL_SHARDED
    yield trains and c.weights is Weights.BARE, _NO_ADAPTER
    yield c.layout not in c.engine_info.layouts, ("engine", c.engine_info.other_layouts)
    yield four and c.sharding in (Sharding.ZERO3, Sharding.ZERO3_OFFLOAD), _ZERO3_4BIT
    yield four and fsdp, _FSDP_4BIT
    yield fsdp and rolls_out and c.engine_info.uses_trainer_model, _FSDP_ROLLOUTS


def check(loaded: LoadedConfig, command: str) -> None:
    """Warn of an untested combination.

    Raises:
        ConfigError: The combination cannot work; the message names file and line.
    """
    combination = combination_of(loaded, command)
    verdict = decide(combination)
    if verdict.status is Status.REFUSED:
        raise loaded.error(verdict.key, verdict.reason)
    gathers = loaded.flat.get("ds3_gather_for_generation", True)
    if not gathers and combination.engine_info.uses_trainer_model and command in ("grpo", "hrpo"):
        raise loaded.error(
            "ds3_gather_for_generation",
            "got false, but each process writes another number of tokens and must have all weights while it does; remove "
            "it, or use engine: vllm.",
        )
    streaming = loaded.sections.get("streaming")
    if streaming and streaming.markers.add_tokens and combination.engine_info.needs_vllm:
        raise loaded.error(
            "streaming.markers.add_tokens",
            "got true, but vLLM loads the base model, without the added rows; use engine: hf, or markers that need none.",
        )
    if verdict.status is Status.UNTESTED:
        parts = (command, combination.weights.value, combination.sharding.value, combination.layout)
        logger.warning(
            "untested: %s, engine %s; %s", ", ".join(parts), combination.engine, verdict.reason
        )


def combination_of(loaded: LoadedConfig, command: str) -> Combination:
    """Combination of a configuration and the environment of an accelerate launcher."""
    streaming: StreamingConfig | None = loaded.sections.get("streaming")  # evaluation has none
    return Combination(
        command=command,
        weights=_weights(loaded.section("model"), loaded.sections.get("lora") is not None),
        sharding=_sharding(loaded.flat, os.environ),
        layout=streaming.layout if streaming else "interleaved",
        engine=str(loaded.flat.get("engine", DEFAULT_ENGINE)),
    )


def _weights(model: ModelConfig, has_section: bool) -> Weights:
    folder = Path(model.path or "")
    adapter = has_section or (folder / ADAPTER_CONFIG).is_file()
    origin = load_origin(folder) if model.quantization is None else None
    if (origin or model).is_quantized:
        return Weights.QLORA if adapter else Weights.BARE
    return Weights.LORA if adapter else Weights.FULL


def _sharding(flat: Mapping[str, object], environment: Mapping[str, str]) -> Sharding:
    if asks_for_fsdp(flat, environment):
        return Sharding.FSDP
    config = flat.get("deepspeed")
    zero = config.get("zero_optimization", {}) if isinstance(config, dict) else {}
    stage = zero.get("stage", 0) if isinstance(zero, dict) else 0
    if environment.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        given = environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
        if not given.isdecimal():
            raise UserError(f"ACCELERATE_DEEPSPEED_ZERO_STAGE: got {given!r}; expected 0 to 3.")
        stage = int(given)
    offload = isinstance(zero, dict) and {"offload_optimizer", "offload_param"} & set(zero)
    if stage == 3:
        return Sharding.ZERO3_OFFLOAD if offload else Sharding.ZERO3
    if config or stage:
        return Sharding.ZERO2_OFFLOAD if offload else Sharding.ZERO2
    return Sharding.PLAIN
