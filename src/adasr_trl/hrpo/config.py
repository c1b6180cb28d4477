"""HRPO's training arguments: TRL's GRPOConfig and the hierarchy's fields.

    >>> HRPOConfig(output_dir="runs/hrpo", num_generations=8, granularity="sentence", local_weight=0.5)

Normalisation is TRL's own ``scale_rewards`` (group, none, batch) and ``multi_objective_aggregation``; asymmetric
clipping is ``epsilon_high``, the KL term ``beta``. What SFT, RL, evaluation and live use share (layout, markers, caps,
clock) is ``config.StreamingConfig``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from trl import GRPOConfig

from adasr_trl.core.protocol import TAUGHT_MODES, Mode
from adasr_trl.engines.registry import DEFAULT_ENGINE, ENGINES
from adasr_trl.hrpo.advantages import Granularity, Mixing, Normalisation, Settings, local_weight_at
from adasr_trl.rewards import Reward, Scope
from adasr_trl.training.health import refuse_publishing

_CHOICES = {
    "advantages": ("hierarchical", "flat"),
    "granularity": tuple(each.value for each in Granularity),
    "mixing": tuple(each.value for each in Mixing),
    "local_weight_schedule": ("linear", "cosine"),
    "mode": tuple(each.value for each in TAUGHT_MODES),
    "engine": tuple(ENGINES),
}


@dataclass
class HRPOConfig(GRPOConfig):
    """GRPOConfig with the hierarchy's settings; see ``advantages.Settings`` for their meaning."""

    advantages: str = field(
        default="hierarchical",
        metadata={"help": "hierarchical (HRPO) or flat (TRL's GRPO on the sum of all rewards)."},
    )
    granularity: str = field(
        default="stage",
        metadata={"help": "Which tokens share a local term: stage, sentence or boundary."},
    )
    mixing: str = field(
        default="convex",
        metadata={
            "help": "convex: lambda * local + (1 - lambda) * global; additive: global + lambda * local."
        },
    )
    local_weight: float = field(
        default=0.5, metadata={"help": "lambda: share of the local terms; 0 leaves them out."}
    )
    local_weight_end: float | None = field(
        default=None,
        metadata={"help": "lambda that the training moves to; None keeps local_weight."},
    )
    local_weight_schedule: str = field(
        default="linear",
        metadata={"help": "How lambda goes to local_weight_end: linear or cosine."},
    )
    local_min_std: float = field(
        default=0.0, metadata={"help": "Smallest standard deviation of a local term; 0 is off."}
    )
    mode: str = field(
        default="streaming",
        metadata={
            "help": "streaming, or read_then_think: the baseline that thinks after the input."
        },
    )
    engine: str = field(
        default=DEFAULT_ENGINE,
        metadata={"help": "What rolls out: hf (transformers), or vllm (interleaved layout only)."},
    )
    sample_steps: int = field(
        default=10,
        metadata={
            "help": "Keep sample rollouts of the first and every so many steps in samples.jsonl; 0 keeps none."
        },
    )
    sample_rollouts: int = field(default=2, metadata={"help": "How many rollouts to keep then."})

    def __post_init__(self) -> None:
        """Refuse combinations that would train something else than they say."""
        if self.num_generations is not None and self.num_generations < 2:
            raise ValueError(
                f"num_generations: got {self.num_generations}; an advantage is relative to its group: use 2 or more."
            )
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: got {getattr(self, name)!r}; expected {' or '.join(known)}."
                )
        needs_vllm = ENGINES[self.engine].needs_vllm
        if self.use_vllm and not needs_vllm:  # type: ignore[has-type]  # TRL is untyped
            raise ValueError(
                f"use_vllm: got true, but engine is {self.engine}; set engine: vllm instead."
            )
        self.use_vllm = needs_vllm
        super().__post_init__()
        refuse_publishing(self)
        self._refuse_weights()
        if self.mode == Mode.READ_THEN_THINK.value and self.granularity == "sentence":
            raise ValueError(
                "granularity: got sentence, but mode read_then_think writes no thought after a chunk; use stage."
            )
        if needs_vllm and self.vllm_mode == "colocate" and self.vllm_tensor_parallel_size > 1:
            raise ValueError(
                f"vllm_tensor_parallel_size: got {self.vllm_tensor_parallel_size}; rollouts of one process are its own "
                f"in colocate mode: use 1, or vllm_mode: server."
            )
        for name, least in (("sample_steps", 0), ("sample_rollouts", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: got {getattr(self, name)}; expected {least} or more.")
        self._refuse_split_generation_batches()
        self._refuse_what_rollouts_do_not_obey()

    @property
    def is_flat(self) -> bool:
        """Whether the advantages are TRL's own."""
        return self.advantages == "flat"

    def settings(self, group_size: int, progress: float) -> Settings:
        """The advantages' settings when a share ``progress`` of the training is over; flat ones know no local terms."""
        if self.is_flat:
            return Settings(group_size, 0.0, normalisation=self._normalisation)
        return Settings(
            group_size=group_size,
            local_weight=local_weight_at(
                progress, self.local_weight, self.local_weight_end, self.local_weight_schedule
            ),
            mixing=Mixing(self.mixing),
            granularity=Granularity(self.granularity),
            normalisation=self._normalisation,
            local_min_std=self.local_min_std,
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
        used = [reward for reward in rewards if reward.weight > 0]
        scopes = {reward.scope for reward in used}
        for reward in used:
            needs_thoughts = reward.scope is Scope.STREAMING or reward.rule.NEEDS_THOUGHTS
            if self.mode == Mode.READ_THEN_THINK.value and needs_thoughts:
                raise ValueError(
                    f"rewards: {reward.name} of scope {reward.scope.value} needs thoughts, but mode read_then_think "
                    f"writes none; remove it."
                )
            apart = self._normalisation is Normalisation.NORMALIZE_THEN_SUM
            if apart and (reward.rule.margin or 0.0) < 0.0:
                raise ValueError(
                    f"rewards: normalize_then_sum scales {reward.name} apart from accuracy, so that a right answer may "
                    f"score below a wrong one; remove it, or set multi_objective_aggregation: sum_then_normalize."
                )
        if not self.is_flat and self.granularity == "sentence" and Scope.STREAMING not in scopes:
            raise ValueError(
                "granularity: got sentence, but no reward has scope streaming; give one that scope, or use stage."
            )
        most = max(self.local_weight, self.local_weight_end or 0.0)
        if not self.is_flat and most > 0 and scopes == {Scope.GLOBAL}:
            raise ValueError(
                f"local_weight: got {most:g}, but no reward has scope streaming or deep; give one a local scope, or "
                f"set local_weight: 0."
            )
        if not self.is_flat and most == 0 and Scope.GLOBAL not in scopes:
            raise ValueError(
                "local_weight: got 0, but no reward has scope global, so that every advantage would be 0; give one "
                "scope global, or set local_weight above 0."
            )

    @property
    def _normalisation(self) -> Normalisation:
        if self.multi_objective_aggregation == "sum_then_normalize":
            return Normalisation(self.scale_rewards)
        return Normalisation(self.multi_objective_aggregation)

    def _refuse_weights(self) -> None:
        upper = 1.0 if self.mixing == "convex" else math.inf
        for name in ("local_weight", "local_weight_end"):
            weight = getattr(self, name)
            if weight is not None and not (0.0 <= weight <= upper and math.isfinite(weight)):
                raise ValueError(
                    f"{name}: got {weight}; {self.mixing} mixing expects 0 to {upper:g}."
                )
        if not (self.local_min_std >= 0.0 and math.isfinite(self.local_min_std)):
            raise ValueError(f"local_min_std: got {self.local_min_std}; expected 0 or more.")
        unfit = (Normalisation.NONE, Normalisation.NORMALIZE_THEN_SUM)
        if self.local_min_std > 0.0 and self._normalisation in unfit:
            raise ValueError(
                f"local_min_std: got {self.local_min_std}, but the normalisation {self._normalisation.value} divides no "
                f"local term by its own standard deviation; remove one of them."
            )

    def _refuse_split_generation_batches(self) -> None:
        """A checkpoint inside a generation batch could not be resumed: its rollouts are not saved."""
        micro_steps = self.steps_per_generation * self.num_iterations
        if self.save_strategy == "no" or self.gradient_accumulation_steps % micro_steps == 0:
            return
        every = self.save_steps * self.gradient_accumulation_steps
        if self.save_strategy != "steps" or self.save_steps < 1 or every % micro_steps != 0:
            steps = micro_steps / math.gcd(micro_steps, self.gradient_accumulation_steps)
            raise ValueError(
                f"save_steps: got {self.save_steps:g} (save_strategy {self.save_strategy!s}); a generation batch "
                f"may last several steps, and a checkpoint inside one could not be resumed: use save_strategy "
                f"steps and a multiple of {steps:g}."
            )

    def _refuse_what_rollouts_do_not_obey(self) -> None:
        """Options of TRL's own generation, which streaming rollouts replace."""
        if self.log_completions:
            raise ValueError(
                "log_completions: got true; TRL's table runs what was read and what was thought together, and prints it as "
                "it is; use sample_steps, and watch with adasr show RUN --samples."
            )
        unused = {
            "repetition_penalty": 1.0,
            "use_transformers_continuous_batching": False,
            "vllm_structured_outputs_regex": None,
            "generation_kwargs": None,
            "chat_template_kwargs": None,
            "reward_weights": None,
        }
        for name, default in unused.items():
            if getattr(self, name) not in (default, {}):
                raise ValueError(
                    f"{name}: got {getattr(self, name)!r}; streaming rollouts do not use it (rewards have "
                    f"their own weights): remove it."
                )
