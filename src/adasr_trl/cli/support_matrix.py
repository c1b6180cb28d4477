"""Which combinations of command, weights, sharding, layout and engine work, are refused, or are untested.

    >>> decide(Combination("hrpo", Weights.QLORA, Sharding.ZERO3, "interleaved", "hf")).status
    <Status.REFUSED: 'refused'>

"Works" is what a test runs: ``tests/cli/test_support_matrix.py`` trains every such combination of the transformers engine, on CPU
processes; vLLM's are those that docs/VLLM.md reports. Commands ask here before anything is loaded. What a single setting
forbids (a clip, a number of generations) is checked where that setting is read.
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
from adasr_trl.config.values import ConfigError
from adasr_trl.engines.registry import DEFAULT_ENGINE, ENGINES, EngineInfo

logger = logging.getLogger(__name__)


class Weights(Enum):
    """What is trained, and on what."""

    FULL = "all weights"
    LORA = "LoRA"
    QLORA = "QLoRA (4 bits)"
    BARE = "4 bits, no adapter"


class Sharding(Enum):
    """What is spread over the processes; PLAIN is one process, or several with all of it each."""

    PLAIN = "plain"
    ZERO2 = "ZeRO-2"
    ZERO2_OFFLOAD = "ZeRO-2, offload"
    ZERO3 = "ZeRO-3"
    ZERO3_OFFLOAD = "ZeRO-3, offload"
    FSDP = "FSDP"


class Status(Enum):
    """What is known of a combination."""

    WORKS = "works"
    REFUSED = "refused"
    UNTESTED = "untested"


@dataclass(frozen=True)
class Combination:
    """What a run is made of: ``command`` is sft, grpo, hrpo or eval."""

    command: str
    weights: Weights
    sharding: Sharding
    layout: str
    engine: str = DEFAULT_ENGINE

    @property
    def info(self) -> EngineInfo:
        """The engine's abilities; a name outside the list is refused where TRL's arguments are parsed."""
        return ENGINES.get(self.engine, ENGINES[DEFAULT_ENGINE])


@dataclass(frozen=True)
class Verdict:
    """The status, the setting to blame, and why with what to do instead."""

    status: Status
    key: str = ""
    reason: str = ""


_NO_ADAPTER = (
    "model.quantization",
    "weights of 4 bits cannot be trained themselves; add a lora section, or remove quantization.",
)
_ZERO3_4BIT = (
    "deepspeed",
    "with weights of 4 bits ZeRO-3 saves no memory where it counts: every process loads the whole model before it can be "
    "spread (transformers leaves quantised weights out of zero.Init), and training it on GPUs has failed for others "
    "(transformers issue 26412, PEFT issue 1418); use ZeRO-2, or LoRA on whole weights.",
)
_FSDP_4BIT = (
    "model.quantization",
    "FSDP spreads weights of one type only, and bitsandbytes keeps 4-bit ones as bytes among others; use ZeRO-2, or LoRA on "
    "whole weights.",
)
_EVAL_SHARDED = (
    "",
    "evaluation and live use run in one process; start them without a launcher.",
)
_FSDP_ROLLOUTS = (
    "engine",
    "with FSDP each forward gathers weights over all processes, and rollouts need another number of forwards in each, so "
    "they would wait for each other forever; use engine: vllm, or DeepSpeed, which gathers once for all rollouts.",
)


def decide(combination: Combination) -> Verdict:
    """The verdict; the only place that knows."""
    for applies, (key, reason) in _refusals(combination):
        if applies:
            return Verdict(Status.REFUSED, key, reason)
    if combination.sharding is Sharding.FSDP:
        return Verdict(Status.UNTESTED, "fsdp", _fsdp_so_far(combination))
    plain = combination.sharding is Sharding.PLAIN and combination.weights is not Weights.QLORA
    if combination.info.untested and not plain:
        return Verdict(Status.UNTESTED, "engine", combination.info.untested)
    return Verdict(Status.WORKS)


def _fsdp_so_far(c: Combination) -> str:
    if c.command == "sft":
        return (
            "not run on GPUs. accelerate leaves FSDP out on CPU processes (refused here); with accelerate made to take two of "
            "them for GPUs, training ends at the plain run's weights and resumes to the same (tests/training/test_fsdp.py)."
        )
    return "FSDP needs GPUs, and none was at hand."


def _refusals(c: Combination) -> Iterator[tuple[bool, tuple[str, str]]]:
    trains, four = c.command != "eval", c.weights in (Weights.QLORA, Weights.BARE)
    rolls_out = c.command in ("grpo", "hrpo")
    fsdp = c.sharding is Sharding.FSDP
    yield not trains and c.sharding is not Sharding.PLAIN, _EVAL_SHARDED
    yield trains and c.weights is Weights.BARE, _NO_ADAPTER
    yield c.layout not in c.info.layouts, ("engine", c.info.other_layouts)
    yield four and c.sharding in (Sharding.ZERO3, Sharding.ZERO3_OFFLOAD), _ZERO3_4BIT
    yield four and fsdp, _FSDP_4BIT
    yield fsdp and rolls_out and c.info.uses_trainer_model, _FSDP_ROLLOUTS


def check(loaded: LoadedConfig, command: str) -> None:
    """Refuse a configuration whose combination cannot work, with file and line; warn of an untested one."""
    combination = combination_of(loaded, command)
    verdict = decide(combination)
    if verdict.status is Status.REFUSED:
        named = f"{verdict.key}: " if verdict.key else ""
        raise ConfigError(f"{loaded.line_of(verdict.key)}: {named}{verdict.reason}")
    gathers = loaded.flat.get("ds3_gather_for_generation", True)
    if not gathers and combination.info.uses_trainer_model and command in ("grpo", "hrpo"):
        key = "ds3_gather_for_generation"
        raise ConfigError(
            f"{loaded.line_of(key)}: {key}: got false, but each process writes another number of tokens and must have all "
            f"weights while it does; remove it, or use engine: vllm."
        )
    streaming = loaded.sections.get("streaming")
    if streaming and streaming.markers.add_tokens and combination.info.needs_vllm:
        key = "streaming.markers.add_tokens"
        raise ConfigError(
            f"{loaded.line_of(key)}: {key}: got true, but vLLM loads the base model, without the added rows; use engine: hf, "
            f"or markers that need none."
        )
    if verdict.status is Status.UNTESTED:
        logger.warning("untested: %s; %s", _spell(combination), verdict.reason)


def combination_of(loaded: LoadedConfig, command: str) -> Combination:
    """What a configuration asks for; an accelerate launcher says the rest in the environment."""
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
    if flat.get("fsdp") or environment.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        return Sharding.FSDP
    config = flat.get("deepspeed")
    zero = config.get("zero_optimization", {}) if isinstance(config, dict) else {}
    stage = zero.get("stage", 0) if isinstance(zero, dict) else 0
    if environment.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        stage = int(environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2"))
    offload = isinstance(zero, dict) and {"offload_optimizer", "offload_param"} & set(zero)
    if stage == 3:
        return Sharding.ZERO3_OFFLOAD if offload else Sharding.ZERO3
    if config or stage:
        return Sharding.ZERO2_OFFLOAD if offload else Sharding.ZERO2
    return Sharding.PLAIN


def _spell(c: Combination) -> str:
    return f"{c.command}, {c.weights.value}, {c.sharding.value}, {c.layout}, engine {c.engine}"
