"""HRPO's training arguments: TRL's GRPOConfig and four fields.

    >>> HRPOConfig(output_dir="runs/hrpo", num_generations=8, local_weight=0.5)

What SFT, RL, evaluation and live use share (layout, markers, caps, clock) is ``config.StreamingConfig``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trl import GRPOConfig


@dataclass
class HRPOConfig(GRPOConfig):
    """GRPOConfig with the hierarchy's settings; see ``advantages.Settings`` for their meaning."""

    advantages: str = field(
        default="hierarchical",
        metadata={"help": "hierarchical (HRPO) or flat (TRL's GRPO on the sum of all rewards)."},
    )
    local_weight: float = field(
        default=0.5, metadata={"help": "lambda: share of the local terms; 0 leaves them out."}
    )
    mixing: str = field(
        default="convex",
        metadata={
            "help": "convex: lambda * local + (1 - lambda) * global; additive: global + lambda * local."
        },
    )
    local_min_std: float = field(
        default=0.0, metadata={"help": "Smallest standard deviation of a local term; 0 is off."}
    )

    def __post_init__(self) -> None:
        """Refuse combinations that would train something else than they say."""
        super().__post_init__()
        for name, known in (
            ("advantages", ("hierarchical", "flat")),
            ("mixing", ("convex", "additive")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: got {getattr(self, name)!r}; expected {' or '.join(known)}."
                )
        upper = 1.0 if self.mixing == "convex" else float("inf")
        if not 0.0 <= self.local_weight <= upper:
            raise ValueError(
                f"local_weight: got {self.local_weight}; {self.mixing} mixing expects 0 to {upper:g}."
            )
        if self.local_min_std < 0.0:
            raise ValueError(f"local_min_std: got {self.local_min_std}; expected 0 or more.")
        if self.advantages == "hierarchical":
            self._refuse_other_normalisation()
        self._refuse_split_generation_batches()
        self._refuse_what_rollouts_do_not_obey()

    def _refuse_other_normalisation(self) -> None:
        if self.scale_rewards not in (True, "group"):
            raise ValueError(
                f"scale_rewards: got {self.scale_rewards!r}; hierarchical advantages are normalised per group."
            )
        if self.multi_objective_aggregation != "sum_then_normalize":
            raise ValueError(
                f"multi_objective_aggregation: got {self.multi_objective_aggregation!r}; hierarchical "
                f"advantages expect sum_then_normalize."
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
        unused = {
            "repetition_penalty": 1.0,
            "use_vllm": False,
            "use_transformers_continuous_batching": False,
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
