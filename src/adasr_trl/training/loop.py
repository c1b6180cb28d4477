"""Shared by SFT and RL runs: the adapter, training from the newest checkpoint on, and saving all that reloading needs.

>>> trainer = StreamingSFTTrainer(model, args, texts)
>>> train(trainer, run, streaming, model_config)
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerState

from adasr_trl.artifacts import checkpoints, directory
from adasr_trl.artifacts.names import CHECKPOINT_MARK
from adasr_trl.artifacts.saved_config import save_origin, save_streaming
from adasr_trl.config.sections import LoraSection, ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.layouts.codec import Codec
from adasr_trl.training.health import refuse_unhealthy, refuse_unscored

logger = logging.getLogger(__name__)

TRAINER_STATE = "trainer_state.json"  # transformers' name


def lora_config(section: LoraSection | None, codec: Codec) -> Any:
    """PEFT's configuration of the ``lora`` section, or None; rows of added markers are trained with the adapter."""
    if section is None:
        return None
    from peft import LoraConfig

    targets = section.target_modules
    rows = codec.added_marker_ids() if codec.markers.add_tokens else []
    if rows:
        logger.warning(
            "markers.add_tokens: the adapter carries %d rows of the embedding; vLLM and llama.cpp do not load such an "
            "adapter (merge it first), PEFT does with the tokenizer of the run",
            len(rows),
        )
    return LoraConfig(
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        trainable_token_indices=rows or None,
    )


def train(
    trainer: Any,
    run: Path,
    streaming: StreamingConfig,
    model: ModelConfig,
    stopped: Callable[[Sequence[Any]], str | None] = lambda _: None,
) -> None:
    """Train from the newest whole checkpoint, save all that reloading needs, and note that the run is complete.

    Raises:
        UserError: ``stopped``, given the log history, has a reason not to finish, or the run did not train; it stays
            unfinished.
    """
    trainer.protocol, trainer.origin, trainer.command_run = streaming, model, run
    trainer.remove_callback(PrinterCallback)  # ProgressLine says it in fewer words
    checkpoint = checkpoints.latest_checkpoint(run)
    state: Any = checkpoint and TrainerState.load_from_json(str(checkpoint / TRAINER_STATE))
    # From the last checkpoint transformers would train one step more.
    has_ended = bool(state and state.global_step >= _asked_steps(trainer.args, state))
    if has_ended:
        _load_final(trainer, checkpoint, state)
    else:
        if checkpoint:
            logger.info("resuming from %s", checkpoint)
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        state = trainer.state
    reason = stopped(state.log_history)
    if reason:
        raise UserError(f"{run}: stopped: {reason}")
    refuse_unscored(trainer, run, state.log_history)
    if not has_ended:
        refuse_unhealthy(trainer, run)
    if not (has_ended and trainer.is_deepspeed_enabled):  # else its files were copied
        trainer.save_model(str(run))
    if trainer.accelerator.is_main_process:
        save_streaming(run, streaming)
        save_origin(run, model)
        directory.finish(run)


def _asked_steps(args: Any, state: Any) -> float:
    """Steps that some arguments ask for, given the state of a checkpoint that may have been made for fewer."""
    if args.max_steps > 0:
        return int(args.max_steps)
    return float(state.max_steps * args.num_train_epochs / max(state.num_train_epochs, 1e-9))


def _load_final(trainer: Any, checkpoint: Any, state: Any) -> None:
    """Load the final weights: the best checkpoint's, where that was asked for."""
    best = state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
    logger.info("training had ended; loading %s", best or checkpoint)
    if not trainer.is_deepspeed_enabled:
        trainer._load_from_checkpoint(best or str(checkpoint))
    elif trainer.accelerator.is_main_process:
        # No process has all of its weights: take the files that save_model wrote into the checkpoint.
        for file in Path(best or checkpoint).iterdir():
            is_model = file.suffix in (".safetensors", ".json", ".jinja", ".txt")
            if is_model and file.name not in (TRAINER_STATE, CHECKPOINT_MARK):
                shutil.copy2(file, Path(trainer.args.output_dir) / file.name)


class KeepsAdapterPrecision:
    """Trainer mixin: an adapter that is loaded from a checkpoint keeps its precision.

    TRL trains a 16-bit adapter on 4-bit weights, and PEFT 0.21 loads it as float32. The optimizer's state would follow,
    and the resumed run would train in another precision.
    """

    model: Any

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        before = {name: p.dtype for name, p in self.model.named_parameters() if p.requires_grad}
        super()._load_from_checkpoint(*args, **kwargs)  # type: ignore[misc]  # transformers' Trainer
        for name, parameter in self.model.named_parameters():  # they may be other objects now
            if name in before:
                parameter.data = parameter.data.to(before[name])
