"""HRPO's training arguments: TRL's GRPOConfig and the hierarchy's fields.

    >>> HRPOConfig(output_dir="runs/hrpo", num_generations=8, granularity="sentence", local_weight=0.5)

Normalisation is TRL's own ``scale_rewards`` (group, none, batch) and ``multi_objective_aggregation``; asymmetric
clipping is ``epsilon_high``, the KL term ``beta``. What SFT, RL, evaluation and live use share (layout, markers, caps,
clock) is ``config.StreamingConfig``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from adasr_trl.config.keys import HIERARCHY, refusal
from adasr_trl.core.protocol import RL_MODES, Mode
from adasr_trl.engines.registry import DEFAULT_ENGINE, ENGINES
from adasr_trl.engines.request import Sampling
from adasr_trl.hrpo.advantages import (
    AdvantageSettings,
    Granularity,
    Mixing,
    Normalisation,
    local_weight_at,
)
from adasr_trl.rewards import Reward, Scope
from adasr_trl.rewards.base import HEAVIEST
from adasr_trl.training.health import refuse_publishing
from adasr_trl.training.python_options import check_options

_CHOICES = {
    "advantages": ("hierarchical", "flat"),
    "granularity": tuple(choice.value for choice in Granularity),
    "mixing": tuple(choice.value for choice in Mixing),
    "local_weight_schedule": ("linear", "cosine"),
    "mode": tuple(mode.value for mode in RL_MODES),
    "engine": tuple(ENGINES),
}


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class HRPOConfig(GRPOConfig):
    """GRPOConfig with the hierarchy's settings; see ``advantages.AdvantageSettings`` for their meaning."""

    advantages: str = _option(
        "hierarchical", "hierarchical (HRPO), or flat (TRL's GRPO on the sum of all rewards)."
    )
    granularity: str = _option(
        "stage", "Tokens that share a local term: stage, sentence, boundary."
    )
    mixing: str = _option(
        "convex",
        "convex: lambda * local + (1 - lambda) * global; additive: global + lambda * local; "
        "zone_sum: rewards summed like that before they are normalised.",
    )
    local_weight: float = _option(0.5, "lambda: share of the local terms; 0 leaves them out.")
    local_weight_end: float | None = _option(None, "lambda at the end; None keeps local_weight.")
    local_weight_schedule: str = _option("linear", "Way to local_weight_end: linear or cosine.")
    difficulty_weight: float = _option(
        0.0, "With zone_sum: thoughts' positive advantages times 1 + this * share of wrong answers."
    )
    local_min_std: float = _option(0.0, "Least standard deviation of a local term; 0 is off.")
    mode: str = _option(
        "streaming", "streaming, or read_then_think: the baseline that thinks after the input."
    )
    engine: str = _option(
        DEFAULT_ENGINE, "Engine: hf (transformers), or vllm (interleaved layout only)."
    )
    sample_steps: int = _option(
        10, "Keep sample rollouts of the first and every n-th step in samples.jsonl; 0 keeps none."
    )
    sample_rollouts: int = _option(2, "Number of rollouts to keep then.")
    shared_prefix: bool = _option(
        True,
        "Compute tokens that a group's rollouts share once, without padding; false turns it off.",
    )

    def __post_init__(self) -> None:
        """Refuse combinations that would not train as they say."""
        refuse_publishing(self)
        _raise_first(self._choice_faults())
        check_options(self, "hrpo")  # flat ones have a check of their own
        self.use_vllm = ENGINES[self.engine].needs_vllm
        super().__post_init__()
        _raise_first((*self._flat_faults(), *self._weight_faults()))
        _raise_first((*self._rollout_faults(), *self._checkpoint_faults()))

    @property
    def is_flat(self) -> bool:
        """Whether the advantages are TRL's own."""
        return self.advantages == "flat"

    @property
    def sampling(self) -> Sampling:
        """Sampling of rollouts; TRL's ``top_k`` of -1 and ``min_p`` of None are off."""
        return Sampling(self.temperature, self.top_p, max(self.top_k, 0), self.min_p or 0.0)

    def settings(self, group_size: int, progress: float) -> AdvantageSettings:
        """The advantages' settings after a share ``progress`` of the training; flat ones have no local terms."""
        if self.is_flat:
            return AdvantageSettings(group_size, 0.0, normalisation=self._normalisation)
        return AdvantageSettings(
            group_size=group_size,
            local_weight=local_weight_at(
                progress, self.local_weight, self.local_weight_end, self.local_weight_schedule
            ),
            mixing=Mixing(self.mixing),
            granularity=Granularity(self.granularity),
            normalisation=self._normalisation,
            local_min_std=self.local_min_std,
            difficulty_weight=self.difficulty_weight,
        )

    def check_layout(self, layout: str) -> None:
        """Refuse a layout that the engine cannot serve (ValueError)."""
        reason = ENGINES[self.engine].refusal(layout)
        if reason:
            raise ValueError(f"engine: got {self.engine}, but {reason}")

    def check_episodes(self, count: int) -> None:
        """Refuse fewer training episodes than one generation batch takes (ValueError)."""
        needed = self.generation_batch_size // self.num_generations
        if count < needed:
            raise ValueError(
                f"generation_batch_size: {self.generation_batch_size} rollouts in groups of {self.num_generations} take {needed} "
                f"episodes a step, but there are {count} episodes; add episodes, or lower generation_batch_size."
            )

    def check_rewards(self, rewards: Sequence[Reward]) -> None:
        """Refuse rewards that these settings could not use (ValueError)."""
        _raise_first(self._reward_faults([reward for reward in rewards if reward.weight > 0]))

    @property
    def _normalisation(self) -> Normalisation:
        if self.multi_objective_aggregation == "sum_then_normalize":
            return Normalisation(self.scale_rewards)
        return Normalisation(self.multi_objective_aggregation)

    def _choice_faults(self) -> Iterator[str]:
        if self.num_generations is not None and self.num_generations < 2:
            yield f"num_generations: got {self.num_generations}; an advantage is relative to its group: use 2 or more."
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                yield f"{name}: got {getattr(self, name)!r}; expected {' or '.join(known)}."
        if self.use_vllm and not ENGINES[self.engine].needs_vllm:
            yield f"use_vllm: got true, but engine is {self.engine}; set engine: vllm instead."

    def _flat_faults(self) -> Iterator[str]:
        """Settings of local terms, which flat advantages lack."""
        fields = type(self).__dataclass_fields__
        for name in sorted(HIERARCHY) if self.is_flat else ():
            if (value := getattr(self, name)) != fields[name].default:
                yield f"{name}: got {value!r}, but advantages is flat, which has no local terms; remove it."

    def _weight_faults(self) -> Iterator[str]:
        upper = 1.0 if self.mixing == "convex" else HEAVIEST
        for name in ("local_weight", "local_weight_end"):
            weight = getattr(self, name)
            if weight is not None and not 0.0 <= weight <= upper:
                yield f"{name}: got {weight}; {self.mixing} mixing expects 0 to {upper:g}."
        if not (self.local_min_std >= 0.0 and math.isfinite(self.local_min_std)):
            yield f"local_min_std: got {self.local_min_std}; expected 0 or more."
        if not 0.0 <= self.difficulty_weight <= HEAVIEST:
            yield f"difficulty_weight: got {self.difficulty_weight}; expected 0 to {HEAVIEST:g}."
        yield from self._zone_faults()
        unfit = (Normalisation.NONE, Normalisation.NORMALIZE_THEN_SUM)
        if self.local_min_std > 0.0 and self._normalisation in unfit:
            yield f"local_min_std: got {self.local_min_std}, but {self._normalisation.value} has no local divisor; use 0."

    def _zone_faults(self) -> Iterator[str]:
        """Settings of ``mixing: zone_sum`` without effect."""
        if self.mixing != Mixing.ZONE_SUM.value:
            if self.difficulty_weight > 0.0:
                yield f"difficulty_weight: got {self.difficulty_weight:g}, but mixing is {self.mixing}; use zone_sum, or 0."
            return
        if self.local_weight == 0.0 and not self.local_weight_end:
            yield "mixing: got zone_sum, but local_weight is 0, so no local reward is added; raise it, or use convex."
        if self._normalisation is Normalisation.NONE:
            yield "mixing: got zone_sum, which equals additive with scale_rewards none; use additive, or another scale."

    def _rollout_faults(self) -> Iterator[str]:
        """Settings that streaming rollouts contradict, or do not use."""
        if self.mode == Mode.READ_THEN_THINK.value and self.granularity == "sentence":
            yield "granularity: got sentence, but mode read_then_think writes no thought after a chunk; use stage."
        split = self.vllm_mode == "colocate" and self.vllm_tensor_parallel_size > 1
        if self.use_vllm and split:
            yield "vllm_tensor_parallel_size: in vllm_mode colocate each process samples its own rows; use 1, or server."
        for name, least in (("sample_steps", 0), ("sample_rollouts", 1)):
            if getattr(self, name) < least:
                yield f"{name}: got {getattr(self, name)}; expected {least} or more."
        length = type(self).__dataclass_fields__["max_completion_length"].default
        if self.max_completion_length != length and self.loss_type != "dr_grpo":  # its divisor
            yield f"max_completion_length: {refusal('max_completion_length', 'hrpo')}"

    def _checkpoint_faults(self) -> Iterator[str]:
        """A checkpoint inside a generation batch could not be resumed: its rollouts are not saved."""
        micro_steps = self.steps_per_generation * self.num_iterations
        if self.save_strategy == "no" or self.gradient_accumulation_steps % micro_steps == 0:
            return
        every = self.save_steps * self.gradient_accumulation_steps
        if self.save_strategy != "steps" or self.save_steps < 1 or every % micro_steps != 0:
            steps = micro_steps / math.gcd(micro_steps, self.gradient_accumulation_steps)
            yield (
                f"save_steps: got {self.save_steps:g} (save_strategy {self.save_strategy!s}); a checkpoint inside a "
                f"generation batch could not be resumed: use save_strategy steps and a multiple of {steps:g}."
            )

    def _reward_faults(self, rewards: Sequence[Reward]) -> Iterator[str]:
        for reward in rewards:
            needs_thoughts = reward.scope is Scope.STREAMING or reward.rule.NEEDS_THOUGHTS
            if self.mode == Mode.READ_THEN_THINK.value and needs_thoughts:
                yield f"rewards: {reward.name} needs thoughts, but mode read_then_think writes none; remove it."
            apart = self._normalisation is Normalisation.NORMALIZE_THEN_SUM
            if apart and (reward.rule.margin or 0.0) < 0.0:
                yield (
                    f"rewards: normalize_then_sum scales {reward.name} apart from accuracy, so a right answer may score "
                    f"below a wrong one; remove it, or set multi_objective_aggregation: sum_then_normalize."
                )
        if self.is_flat:
            return
        scopes = {reward.scope for reward in rewards}
        if self.granularity == "sentence" and Scope.STREAMING not in scopes:
            yield "granularity: got sentence, but no reward has scope streaming; give one that scope, or use stage."
        most = max(self.local_weight, self.local_weight_end or 0.0)
        if most > 0 and scopes == {Scope.GLOBAL}:
            yield f"local_weight: got {most:g}, but no reward has a local scope; give one scope deep, or use 0."
        if most == 0 and Scope.GLOBAL not in scopes:
            yield "local_weight: got 0, but no reward has scope global, so every advantage is 0; give one that scope."


def _raise_first(faults: Iterable[str]) -> None:
    for fault in faults:
        raise ValueError(fault)
