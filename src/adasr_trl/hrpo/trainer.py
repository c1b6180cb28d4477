"""HRPOTrainer: TRL's GRPOTrainer with streaming rollouts and one advantage for each phase.

    >>> trainer = HRPOTrainer(model, args=HRPOConfig("runs/hrpo"), episodes=train, processing_class=tokenizer,
    ...                       streaming=StreamingConfig(), rewards=build_rewards(...)).train()

The delta to GRPOTrainer, all of it:
- ``_rollout`` (TRL's ``rollout_func``): rollouts come from our engine, with given tokens masked (``env_mask``);
- ``_get_train_sampler``: TRL's order, repeatable from any epoch on;
- ``_calculate_rewards``: what is relative to a group is shaped after TRL has gathered the measures;
- ``_generate_and_score_completions``: ``advantages`` of the returned dictionary become (B, T).
Loss, clipping, logging, checkpoints and resuming stay TRL's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation

from adasr_trl import advantages
from adasr_trl.codec import Codec
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.episode import Episode, from_json
from adasr_trl.hrpo.bridge import padded_phases, row_seed, trl_dataset, trl_reward, trl_rollouts
from adasr_trl.hrpo.config import HRPOConfig
from adasr_trl.hrpo.logs import phase_metrics, replace_flat_advantages, replace_flat_metrics
from adasr_trl.layouts import build_layout
from adasr_trl.rewards import Kind, Reward, answered_right
from adasr_trl.rollout import Rollout
from adasr_trl.samplers import EpochSeeded


class HRPOTrainer(GRPOTrainer):
    """See the module; arguments not named here are GRPOTrainer's."""

    def __init__(
        self,
        model: Any,
        *,
        args: HRPOConfig,
        episodes: Sequence[Episode],
        eval_episodes: Sequence[Episode] | None = None,
        streaming: StreamingConfig,
        rewards: Sequence[Reward],
        **kwargs: Any,
    ) -> None:
        """Prepare TRL's trainer.

        Args:
            model: A causal LM, or a PEFT model whose adapter is trained on.
            args: Training arguments. ``reward_weights`` is set from ``rewards``.
            episodes: What to train on.
            eval_episodes: Held-out episodes for evaluation while training.
            streaming: Layout, markers, caps and clock.
            rewards: What is rewarded, with scopes and weights.
            **kwargs: Passed on, such as ``processing_class``, ``callbacks``, ``peft_config``.
        """
        self._streaming = streaming
        self._rewards = tuple(rewards)
        self._episodes: list[Episode] = []
        self._rollouts: list[Rollout] = []
        self._rewards_BR = torch.empty(0)  # (rows of all processes, rewards)
        args.reward_weights = [reward.weight for reward in rewards]
        super().__init__(
            model,
            reward_funcs=[trl_reward(reward) for reward in rewards],
            args=args,
            train_dataset=trl_dataset(episodes),
            eval_dataset=None if eval_episodes is None else trl_dataset(eval_episodes),
            rollout_func=self._rollout,
            **kwargs,
        )
        self._codec = Codec(self.processing_class, streaming.markers)
        self._layout = build_layout(streaming, self._codec)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return EpochSeeded(super()._get_train_sampler(dataset), self.args.seed)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._episodes = [from_json(row["episode"]) for row in inputs]
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.args.advantages == "hierarchical":
            phase_BT = padded_phases(self._rollouts, output["completion_ids"])
            output["advantages"] = advantages.hierarchical(
                self._scopes(), phase_BT, self._settings(), self._local_rows()
            )
            replace_flat_metrics(self._metrics[self._mode], self._scopes(), self._settings())
            replace_flat_advantages(self._logs["advantages"], self._scopes(), self._settings())
        metrics = phase_metrics(self._rollouts, self._episodes, self._streaming.clock)
        values = torch.tensor([list(metrics.values())], device=self.accelerator.device)
        means = self.accelerator.gather(values).nanmean(dim=0)
        for name, mean in zip(metrics, means.tolist(), strict=True):
            self._metrics[self._mode][name].append(mean)
        return output

    def _rollout(self, _prompts: list[str], _trainer: GRPOTrainer) -> dict[str, Any]:
        sampling = Sampling(self.temperature, self.top_p, max(self.top_k, 0), self.min_p or 0.0)
        step = self.state.global_step if self._mode == "train" else 0  # evaluations draw the same
        key, first = f"{self.args.seed}/{self._mode}/{step}", self._local_rows().start
        requests = [Request(e, row_seed(key, first + i, e)) for i, e in enumerate(self._episodes)]
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gather_deepspeed3_params=self.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            engine = HFEngine(model, self._codec, self._layout, self._streaming)
            rollouts = self._rollouts = engine.rollout(requests, sampling)
        return trl_rollouts(rollouts)

    def _calculate_rewards(self, *args: Any) -> Tensor:
        rewards_BR: Tensor = super()._calculate_rewards(*args)
        pairs = zip(self._rollouts, self._episodes, strict=True)
        right = torch.tensor([answered_right(*pair) for pair in pairs], device=rewards_BR.device)
        right_B = self.accelerator.gather(right)
        for column, reward in enumerate(self._rewards):
            if reward.kind is Kind.ADAPTIVE:
                rewards_BR[:, column] = advantages.adaptive_thinking(
                    rewards_BR[:, column], right_B, self._settings().group_size, reward.strength
                )
        self._rewards_BR = rewards_BR
        return rewards_BR

    def _scopes(self) -> advantages.Scopes:
        return advantages.scoped(
            self._rewards_BR, self.reward_weights, [reward.scope.value for reward in self._rewards]
        )

    def _settings(self) -> advantages.Settings:
        train = self._mode == "train"
        return advantages.Settings(
            group_size=self.num_generations if train else self.num_generations_eval,
            local_weight=self.args.local_weight,
            mixing=self.args.mixing,
            local_min_std=self.args.local_min_std,
        )

    @property
    def _mode(self) -> str:
        return "train" if self.model.training else "eval"

    def _local_rows(self) -> slice:
        start = self.accelerator.process_index * len(self._episodes)
        return slice(start, start + len(self._episodes))
