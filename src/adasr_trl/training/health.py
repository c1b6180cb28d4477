"""The health of a training run: a loss, gradient or weight that is not finite stops it at once.

    UserError: step 5: the loss is not finite. The last good weights are in runs/sft/checkpoint-4; ...

transformers goes on with such a loss and logs the mean of the others, so that a run ends "complete" with weights that
are no numbers. Here nothing is saved over the last good checkpoint, and the run stays unfinished.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from adasr_trl.artifacts import checkpoints
from adasr_trl.artifacts.saved_config import save_origin, save_streaming
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.models.precision import all_finite
from adasr_trl.training.callbacks import NO_SIGNAL, callbacks
from adasr_trl.training.data import Data
from adasr_trl.training.given_models import check_adapters, check_trained, named_origin
from adasr_trl.training.python_options import check_trainer
from adasr_trl.training.resuming import whole_checkpoint
from adasr_trl.training.saving import save_logits, save_record

PUSH = "a trainer publishes nothing itself; finish the run, then adasr push RUN --repo OWNER/NAME, which leaves secrets and pickles out."

OTHER_ROWS = "Give held-out rows to the trainer as eval_dataset, or ask a saved model with adasr_trl.evaluate(run, rows)."


def trained_weights(model: Any) -> list[Tensor]:
    """The floating-point weights of a model that are trained and lie in this process."""
    return [
        weight
        for weight in model.parameters()
        if weight.requires_grad and weight.is_floating_point() and weight.numel()
    ]


class FiniteSteps(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Stops a run at the first gradient or weight that is not finite."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check the gradients of a step; DeepSpeed keeps its own, and its weights are checked."""
        del control
        gradients = [w.grad for w in trained_weights(kwargs["model"]) if w.grad is not None]
        if not all_finite(gradients):
            raise diverged("a gradient", args, state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check the weights before a checkpoint is made of them."""
        del control
        if not all_finite(trained_weights(kwargs["model"])):
            raise diverged("a weight", args, state.global_step)


class HealthyTrainer:
    """A part of trainers: a loss that is not finite stops the run, whatever is saved can be loaded, and nothing is published.

    Attributes:
        method: Its command: sft, grpo or hrpo.
        protocol: Layout, markers, caps and clock that are saved with the model.
        origin: Source of the pretrained weights; by default the model's own name.
        data: Its episodes, of which sources and licences are recorded.
        sections: Further sections of its configuration, such as ``rewards``.
        command_run: A directory whose record a command keeps; any other one gets its own.
    """

    method: str

    args: Any
    state: Any
    accelerator: Any
    model: Any
    add_callback: Any
    protocol: Any = None  # a StreamingConfig
    origin: ModelConfig | None = None
    data = Data((), ())
    sections: Mapping[str, Any] = MappingProxyType({})
    command_run: Path | None = None
    _metrics: Any  # TRL's, of train and eval
    _prefix = "eval"  # of the metrics of an evaluation

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Build TRL's trainer; weights of 16 bits without an exponent to spare are refused."""
        refuse_untrained_rows(self.protocol, kwargs.get("peft_config"))
        check_adapters(args[0], kwargs.get("peft_config"))
        check_trainer(args[0], kwargs)
        super().__init__(*args, **kwargs)
        refuse_row_adapters(self.model)
        check_trained(self.model)
        _prepare_head(self.model)
        if any(weight.dtype is torch.float16 for weight in trained_weights(self.model)):
            raise UserError(
                "model.dtype: got float16, whose range training overflows; use float32, or bfloat16 where it is fast."
            )
        if self.accelerator.mixed_precision == "fp16":  # a launcher's
            raise UserError(
                "ACCELERATE_MIXED_PRECISION: got fp16, whose range training overflows; launch with --mixed_precision no or "
                "bf16."
            )
        for callback in (FiniteSteps(), *callbacks(Path(self.args.output_dir))):
            self.add_callback(callback)

    def train(
        self, resume_from_checkpoint: str | Path | bool | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """TRL's training; it resumes from a whole checkpoint alone, and evaluates no second start."""
        checkpoint = whole_checkpoint(resume_from_checkpoint, Path(self.args.output_dir))
        asked = self.args.eval_on_start
        self.args.eval_on_start = asked and checkpoint is None
        try:
            return super().train(checkpoint, *args, **kwargs)  # type: ignore[misc]  # transformers' Trainer
        finally:
            self.args.eval_on_start = asked

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's step; every process stops where one of them has no loss."""
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]  # transformers' Trainer
        is_bad = (~torch.isfinite(loss)).float()
        if self.accelerator.num_processes > 1:
            is_bad = self.accelerator.reduce(is_bad, reduction="sum")
        if is_bad.item() > 0:
            raise diverged("the loss", self.args, self.state.global_step + 1)
        return loss

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model, its tokenizer and its protocol; every process must call it.

        A checkpoint (``_internal_call``) loads like a finished run. Any other directory is one: for evaluation, report,
        verification and publishing.
        """
        super().save_model(output_dir, _internal_call)  # type: ignore[misc]  # transformers' Trainer
        if self.protocol is None:
            return
        folder = Path(output_dir or self.args.output_dir)
        if self.args.should_save:
            self.origin = self.origin or named_origin(self.model)
            save_streaming(folder, self.protocol)
            if self.origin is not None:
                save_origin(folder, self.origin)
        if _internal_call:
            return
        save_logits(self, folder)
        if self.accelerator.is_main_process and folder != self.command_run:
            save_record(self, folder)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> Any:
        """TRL's evaluation on the held-out rows; others were not made episodes, and are a UserError."""
        if eval_dataset is not None:
            raise UserError(f"evaluate: got rows. {OTHER_ROWS}")
        self._prefix = metric_key_prefix
        try:
            return super().evaluate(None, ignore_keys, metric_key_prefix)  # type: ignore[misc]  # transformers' Trainer
        finally:
            self._prefix = "eval"

    def log(self, logs: dict[str, float | None], *args: Any, **kwargs: Any) -> None:
        """TRL's, which calls the metrics of every evaluation eval; here they have its prefix."""
        if self._prefix != "eval":
            for name, values in self._metrics["eval"].items():
                known = [value for value in values if not math.isnan(value)]
                logs[f"{self._prefix}_{name}"] = fmean(known) if known else None
            self._metrics["eval"].clear()
        super().log(logs, *args, **kwargs)  # type: ignore[misc]  # transformers' Trainer

    def predict(self, *_args: Any, **_kwargs: Any) -> None:
        """Refused: answers need a stream, not one forward."""
        raise UserError(f"predict: is none of this trainer's. {OTHER_ROWS}")

    def push_to_hub(self, *_args: Any, **_kwargs: Any) -> None:
        """Refused: TRL's way uploads a pickle of all arguments, tokens included."""
        raise UserError(f"push_to_hub: {PUSH}")

    def create_model_card(self, *_args: Any, **_kwargs: Any) -> None:
        """No card of TRL's, which calls a new or local base [None]; ``adasr push`` writes one from the records."""


def refuse_untrained_rows(streaming: StreamingConfig | None, adapter: Any) -> None:
    """Refuse an adapter that would leave the rows of added markers as they were drawn (UserError)."""
    adds = streaming is not None and streaming.markers.add_tokens and adapter is not None
    if adds and not getattr(adapter, "trainable_token_indices", None):  # of some kinds only
        raise UserError(
            "peft_config: got no trainable_token_indices with streaming.markers.add_tokens, so the markers' new rows would "
            "stay random; name their ids there, or use adasr sft, whose section lora does."
        )


# PEFT's adapters, beside prompt learning, that need the other tokens of a row, or the name of its task.
_ROW_ADAPTERS = ("ADAPTION_PROMPT", "POLY", "SHADOW", "XLORA")


def refuse_row_adapters(model: Any) -> None:
    """Refuse adapters that do not act on each token alone (UserError): rollouts and forwards pack tokens of many rows."""
    for config in getattr(model, "peft_config", {}).values():  # of a PeftModel
        kind = str(config.peft_type.value)
        if getattr(config, "alora_invocation_tokens", None):
            kind = "alora_invocation_tokens"
        elif not config.is_prompt_learning and kind not in _ROW_ADAPTERS:
            continue
        raise UserError(
            f"peft_config: got {kind}; rollouts need an adapter that acts on each token alone, such as LoRA."
        )


def _prepare_head(model: Any) -> None:
    """Let TRL's fused head work where rows of the embedding are trained with an adapter.

    It asks the head for a bias, which PEFT 0.21 does not pass on from a wrapped, tied head. An untied head, whose new
    rows PEFT would not train, is a UserError.
    """
    from peft.utils.other import TrainableTokensWrapper

    if not any(isinstance(module, TrainableTokensWrapper) for module in model.modules()):
        return
    head = model.get_output_embeddings()
    if not isinstance(head, TrainableTokensWrapper):
        raise UserError(
            "streaming.markers.add_tokens: this model's head is not tied to its embedding, so an adapter would not train "
            "its new rows; use markers that need no tokens, or train all weights (lora: null)."
        )
    head.bias = None


def refuse_publishing(args: Any) -> None:
    """Refuse training arguments that would publish, or write a secret into files (ValueError)."""
    for name in ("push_to_hub", "hub_token", "hub_model_id"):
        if getattr(args, name):
            raise ValueError(f"{name}: {PUSH}")


def diverged(what: str, args: Any, step: int) -> UserError:
    """The error of a run that has diverged at a step."""
    checkpoint = checkpoints.latest_checkpoint(Path(args.output_dir))
    kept = f"The last good weights are in {checkpoint}" if checkpoint else "No checkpoint was made"
    return UserError(
        f"step {step}: {what} is not finite. {kept}; lower learning_rate ({args.learning_rate:g}), set max_grad_norm "
        f"({args.max_grad_norm:g}), or train in float32 or bfloat16."
    )


def refuse_unhealthy(trainer: Any, run: Path) -> None:
    """Refuse to finish a run that did not train: too few steps, or weights that are not finite (UserError)."""
    state = trainer.state
    if state.global_step < state.max_steps or state.max_steps < 1:
        raise UserError(
            f"{run}: trained {state.global_step} of {state.max_steps} steps, so it is not complete; check the number of "
            f"episodes against the batch, and resume with --resume."
        )
    if not all_finite(trained_weights(trainer.model)):
        raise diverged("a weight", trainer.args, state.global_step)


def refuse_unscored(trainer: Any, run: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to finish RL in which no reward with a weight scored any rollout, so that nothing was learnt (UserError)."""
    logs = [log for log in history if NO_SIGNAL in log]
    if not logs:
        return
    columns = zip(trainer.rewards, trainer.reward_func_names, strict=True)
    used = {f"rewards/{name}/mean": reward for reward, name in columns if reward.weight > 0}
    scopes = {reward.scope.value for reward in used.values()}
    keys = {*used, *({"reward/streaming"} & {f"reward/{scope}" for scope in scopes})}  # of thoughts
    if any(log.get(key) is not None for log in logs for key in keys):
        return
    names = ", ".join(f"{reward.name} ({reward.scope.value})" for reward in used.values())
    raise UserError(
        f"{run}: no reward scored a rollout in {logs[-1]['step']} steps, so nothing was learnt "
        f"and it is not complete: {names} gave None each time. Return numbers, and start anew with --overwrite."
    )
