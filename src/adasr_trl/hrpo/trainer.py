"""HRPOTrainer: TRL's GRPOTrainer with streaming rollouts and one advantage for each phase.

    >>> rows = [{"question": "How many hens?", "text": "Tom has 5 hens. He buys 3.", "answer": 8}]
    >>> HRPOTrainer("runs/sft", ["accuracy", "format"], HRPOConfig("runs/hrpo"), rows).train()

The delta to GRPOTrainer (loss, clipping, logging, checkpoints and resuming stay TRL's):
- ``_get_train_sampler``: TRL's order, repeatable from any epoch on;
- ``_generate_and_score_completions``: rollouts are sampled and scored before TRL's own pass (``rollouts``). TRL's
  ``rollout_func`` and reward functions hand them over; ``advantages`` of the returned dictionary become (B, T);
- log-probabilities under the layout's attention (``streaming_attention``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from adasr_trl.artifacts.names import SAMPLES_FILE
from adasr_trl.config.sections import GroupFilter, StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.engines import CacheBudget
from adasr_trl.hrpo import advantages, trl_batch
from adasr_trl.hrpo.config import HRPOConfig
from adasr_trl.hrpo.group_filter import GenerationBatch, warn_of_criterion
from adasr_trl.hrpo.metrics import credit_metrics, log_batch, log_scopes
from adasr_trl.hrpo.rollouts import SamplingContext, rollout_sampler
from adasr_trl.hrpo.sample_callback import KeepSamples
from adasr_trl.hrpo.scoring import scopes_of
from adasr_trl.hrpo.streaming_attention import StreamingAttentionTrainer
from adasr_trl.hrpo.trainer_arguments import hrpo_arguments, reward_section
from adasr_trl.rewards import RewardForm
from adasr_trl.rewards.user import takes_log_extra, with_hooks
from adasr_trl.training.data_order import EpochSeeded
from adasr_trl.training.python_options import obeyed_arguments

_ROLLOUTS = "the rollouts are the streaming protocol's, which the fields of args and streaming set."
# Arguments of TRL's and transformers' trainers, and what to do in their place.
_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("rollout_func", "tools", "environment_factory"), _ROLLOUTS),
    "reward_processing_classes": "call a model that judges in a reward function.",
    "quantization_config": "give a ModelConfig with quantization as the model.",
    "optimizer_cls_and_kwargs": "give optimizers=(optimizer, scheduler), or set optim.",
    "compute_loss_func": "set loss_type.",
    **dict.fromkeys(
        ("compute_metrics", "preprocess_logits_for_metrics"),
        "held-out rollouts have metrics; add some with log_metric in a reward function.",
    ),
    **dict.fromkeys(
        ("data_collator", "formatting_func"), "give rows with question, text and answer."
    ),
}


class HRPOTrainer(StreamingAttentionTrainer):
    """See the module; arguments not named here are GRPOTrainer's."""

    def __init__(  # noqa: PLR0913 - TRL's, and two
        self,
        model: Any,
        reward_funcs: RewardForm | Sequence[RewardForm] | None = None,
        args: HRPOConfig | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        *,
        streaming: StreamingConfig | None = None,
        group_filter: GroupFilter | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepare TRL's trainer; a ValueError names rewards, or a layout, that ``args`` cannot use.

        Args:
            model: A Hub id, a directory such as a run's, a ``ModelConfig``, or a model.
            reward_funcs: Names, functions or dictionaries (``rewards.forms``), one or several.
            args: Training arguments.
            train_dataset: Rows with question, text and answer (``training.episode_rows``).
            eval_dataset: Held-out rows, or None.
            processing_class: The tokenizer; by default the model's own.
            streaming: Layout, markers, caps and clock; by default those of a run, else ``StreamingConfig()``.
            group_filter: The groups to sample again, or None for none.
            **kwargs: GRPOTrainer's, such as ``callbacks`` and ``peft_config``.
        """
        kwargs = obeyed_arguments(kwargs, _REFUSED)
        datasets = (train_dataset, eval_dataset)
        given = hrpo_arguments(model, reward_funcs, args, datasets, processing_class, streaming)
        texts, self._filter = given.inputs.texts, group_filter
        self.rewards = with_hooks(given.rewards, self._reward_hooks)
        if group_filter and any(map(takes_log_extra, self.rewards)):
            raise ValueError(
                "group_filter: groups that are sampled again have no row in the table of completions; leave it "
                "out, or take log_extra from the reward functions."
            )
        self.protocol, self.origin, self.data = texts.streaming, given.inputs.origin, texts.data
        self.method, self.sections = given.method, {"rewards": reward_section(self.rewards)}
        super().__init__(
            given.inputs.model,
            reward_funcs=trl_batch.trl_rewards(self.rewards),
            args=given.args,
            processing_class=texts.tokenizer,
            rollout_func=self._hand_over,
            **trl_batch.trl_datasets(texts.data),
            **kwargs,
        )
        warn_of_criterion(group_filter)
        self._codec, self.mask_truncated_completions = texts.codec, False  # trl_batch masks them
        self._layout, self._cache_budget = texts.layout, CacheBudget(self.protocol.decode_batch)
        self._rollout_sampler = rollout_sampler(self, given.args, texts, self._cache_budget)
        self.add_callback(KeepSamples(self, Path(given.args.output_dir) / SAMPLES_FILE))

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return EpochSeeded(super()._get_train_sampler(dataset), self.args.seed)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        pool = self.data.train if self._mode == "train" else self.data.held_out
        batch = self._generate_batch([pool[row["episode"]] for row in inputs])
        self.generation_batch = batch  # for the reward functions, and for callbacks
        rollouts = [scored.rollout for scored in batch.rollouts]
        settings, rows = self._settings(), self._local_rows(len(rollouts))
        visibility_BT = trl_batch.padded_visibility(rollouts, self._layout, self.accelerator.device)
        prompts = [{"prompt": scored.episode.question} for scored in batch.rollouts]
        with self._with_rows(visibility_BT, trl_batch.padded_written(rollouts)):
            output: dict[str, Any] = super()._generate_and_score_completions(prompts)
        output |= {} if visibility_BT is None else {"visibility": visibility_BT}
        if not self.args.is_flat:
            ids_BT = output["completion_ids"]
            tokens = trl_batch.padded_tokens(rollouts, ids_BT, self._codec, settings.granularity)
            scopes = scopes_of(batch.scores, self.rewards, settings)
            output["advantages"] = advantages.hierarchical(scopes, tokens, settings, rows)  # (B, T)
            log_scopes(self._metrics[self._mode], scopes, settings)
        more = credit_metrics(batch, self.rewards, settings, rows)
        more |= {name: (value, 1) for name, value in self._cache_budget.report().items()}
        log_batch(self._metrics[self._mode], batch, self.protocol.clock, more, self.accelerator)
        return output

    def _generate_batch(self, episodes: Sequence[Episode]) -> GenerationBatch:
        train = self._mode == "train"
        key = f"{self.args.seed}/{self._mode}/{self.state.global_step if train else 0}"
        part = self._step % self.args.gradient_accumulation_steps  # of an optimizer step
        context = SamplingContext(
            key=f"{key}.{part}" if train and part else key,  # every evaluation samples the same
            first_row=self._local_rows(len(episodes)).start,
            settings=self._settings(),
            progress=self._progress,
            sampling=self.args.sampling,
            group_filter=self._filter if train else None,
        )
        return self._rollout_sampler.generate_batch(episodes, context, self.accelerator)

    def _hand_over(self, _prompts: list[str], _trainer: Any) -> dict[str, Any]:
        """TRL's ``rollout_func``: the rollouts sampled before, with their scores for the reward functions."""
        rollouts = [scored.rollout for scored in self.generation_batch.rollouts]
        rewards_BR = self.generation_batch.scores.rewards_BR[self._local_rows(len(rollouts))]
        columns = trl_batch.trl_rollouts(rollouts, self.args.mask_truncated_completions)
        return {**columns, "scores": rewards_BR.tolist()}

    def _reward_hooks(self) -> dict[str, Any]:
        """TRL's arguments for reward functions beside the columns."""
        hooks = {"trainer_state": self.state, "log_metric": self._log_metric}
        # Groups that are sampled again have other rows than the table of completions.
        return hooks if self._filter else {**hooks, "log_extra": self._log_completion_extra}

    def _settings(self) -> advantages.AdvantageSettings:
        size = self.num_generations if self._mode == "train" else self.num_generations_eval
        return cast(advantages.AdvantageSettings, self.args.settings(size, self._progress))

    @property
    def _progress(self) -> float:
        return float(self.state.global_step / max(self.state.max_steps, 1))

    @property
    def _mode(self) -> str:
        return "train" if self.model.training else "eval"

    def _local_rows(self, count: int) -> slice:
        start = self.accelerator.process_index * count
        return slice(start, start + count)
