"""HRPOTrainer: TRL's GRPOTrainer with streaming rollouts and one advantage for each phase.

    >>> trainer = HRPOTrainer(model, args=HRPOConfig("runs/hrpo"), episodes=train, processing_class=tokenizer,
    ...                       streaming=StreamingConfig(), rewards=build_rewards(...)).train()

The delta to GRPOTrainer, all of it:
- ``_get_train_sampler``: TRL's order, repeatable from any epoch on;
- ``_generate_and_score_completions``: rollouts are drawn and scored before TRL's own pass (``drawing``), TRL's
  ``rollout_func`` and reward functions hand them over, and ``advantages`` of the returned dictionary become (B, T);
- log-probabilities under the layout's attention (``viewed``).
Loss, clipping, logging, checkpoints and resuming stay TRL's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from adasr_trl.config.sections import GroupFilter, StreamingConfig
from adasr_trl.core.episode import Episode, from_json
from adasr_trl.core.protocol import Mode
from adasr_trl.engines import CacheBudget, Sampling
from adasr_trl.engines.registry import ENGINES
from adasr_trl.hrpo import advantages, trl_batch
from adasr_trl.hrpo.config import HRPOConfig
from adasr_trl.hrpo.credit import disagreement
from adasr_trl.hrpo.drawing import Drawer, Occasion
from adasr_trl.hrpo.group_filter import Draw, warn_of_criterion
from adasr_trl.hrpo.logs import log_draw, replace_flat
from adasr_trl.hrpo.scoring import scopes_of
from adasr_trl.hrpo.streaming_attention import StreamingAttentionTrainer
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import Reward
from adasr_trl.training.data_order import EpochSeeded


class HRPOTrainer(StreamingAttentionTrainer):
    """See the module; arguments not named here are GRPOTrainer's."""

    draw: Draw  # of the generation batch at hand
    rewards: tuple[Reward, ...]

    def __init__(
        self,
        model: Any,
        *,
        args: HRPOConfig,
        episodes: Sequence[Episode],
        eval_episodes: Sequence[Episode] | None = None,
        streaming: StreamingConfig,
        rewards: Sequence[Reward],
        group_filter: GroupFilter | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepare TRL's trainer; a ValueError names rewards, or a layout, that ``args`` cannot use.

        Args:
            model: A causal LM, or a PEFT model whose adapter is trained on.
            args: Training arguments. ``reward_weights`` is set from ``rewards``.
            episodes: What to train on.
            eval_episodes: Held-out episodes for evaluation while training.
            streaming: Layout, markers, caps and clock.
            rewards: What is rewarded, with scopes and weights.
            group_filter: Which groups to draw again, or None for none.
            **kwargs: Passed on, such as ``processing_class``, ``callbacks``, ``peft_config``.
        """
        args.check_rewards(rewards)
        args.check_layout(streaming.layout)
        args.reward_weights = [reward.weight for reward in rewards]
        self._filter, self.rewards = group_filter, tuple(rewards)
        super().__init__(
            model,
            reward_funcs=[
                trl_batch.trl_reward(reward, place) for place, reward in enumerate(rewards)
            ],
            args=args,
            train_dataset=trl_batch.trl_dataset(episodes),
            eval_dataset=None if eval_episodes is None else trl_batch.trl_dataset(eval_episodes),
            rollout_func=self._hand_over,
            **kwargs,
        )
        warn_of_criterion(group_filter)
        self._streaming, self._cache_budget = streaming, CacheBudget(streaming.decode_batch)
        self._codec = Codec(self.processing_class, streaming.markers, streaming.thinking)
        self._layout = build_layout(streaming, self._codec)
        parts = (self._codec, self._layout, streaming, self._cache_budget)
        roll = ENGINES[args.engine].for_training(self, *parts)
        self._drawer = Drawer(episodes, self.rewards, roll, Mode(args.mode), args.is_flat)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return EpochSeeded(super()._get_train_sampler(dataset), self.args.seed)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        draw = self.draw = self._drawn([from_json(row["episode"]) for row in inputs])
        rollouts = [row.graded.rollout for row in draw.rows]
        settings = self._settings()
        visibility_BT = trl_batch.padded_visibility(rollouts, self._layout, self.accelerator.device)
        rolled = [trl_batch.trl_row(row.graded.episode) for row in draw.rows]
        with self._with_visibility(visibility_BT):
            output: dict[str, Any] = super()._generate_and_score_completions(rolled)
        output |= {} if visibility_BT is None else {"visibility": visibility_BT}
        if not self.args.is_flat:
            ids, rows = output["completion_ids"], self._local_rows(len(rollouts))
            tokens = trl_batch.padded_tokens(rollouts, ids, self._codec, settings.granularity)
            scopes = scopes_of(draw.scores, self.rewards, settings)
            output["advantages"] = advantages.hierarchical(scopes, tokens, settings, rows)
            replace_flat(self._metrics[self._mode], scopes, settings)
        credit = disagreement(draw, self.rewards, settings, self._local_rows(len(rollouts)))
        more = credit | {name: (value, 1) for name, value in self._cache_budget.report().items()}
        log_draw(self._metrics[self._mode], draw, self._streaming.clock, more, self.accelerator)
        return output

    def _drawn(self, episodes: Sequence[Episode]) -> Draw:
        train = self._mode == "train"
        key = f"{self.args.seed}/{self._mode}/{self.state.global_step if train else 0}"
        part = self._step % self.args.gradient_accumulation_steps  # of an optimizer step
        occasion = Occasion(
            key=f"{key}.{part}" if train and part else key,  # evaluations draw the same every time
            first_row=self._local_rows(len(episodes)).start,
            settings=self._settings(),
            progress=self._progress,
            sampling=Sampling(self.temperature, self.top_p, max(self.top_k, 0), self.min_p or 0.0),
            group_filter=self._filter if train else None,
        )
        return self._drawer.draw(episodes, occasion, self.accelerator)

    def _hand_over(self, _prompts: list[str], _trainer: Any) -> dict[str, Any]:
        """TRL's ``rollout_func``: the rollouts drawn before, with their scores for the reward functions."""
        rows, scores = self.draw.rows, self.draw.scores.rewards_BR
        ids = trl_batch.trl_rollouts([row.graded.rollout for row in rows])
        return {**ids, "scores": scores[self._local_rows(len(rows))].tolist()}

    def _settings(self) -> advantages.Settings:
        size = self.num_generations if self._mode == "train" else self.num_generations_eval
        return cast(advantages.Settings, self.args.settings(size, self._progress))

    @property
    def _progress(self) -> float:
        return float(self.state.global_step / max(self.state.max_steps, 1))

    @property
    def _mode(self) -> str:
        return "train" if self.model.training else "eval"

    def _local_rows(self, count: int) -> slice:
        start = self.accelerator.process_index * count
        return slice(start, start + count)
