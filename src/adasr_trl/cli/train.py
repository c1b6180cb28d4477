"""``adasr sft``, ``adasr grpo`` and ``adasr hrpo``: one training run.

Configuration, data and run directory are checked before any model is loaded; a complete run is not repeated.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adasr_trl.artifacts.directory import Existing
from adasr_trl.cli.arguments import add_config, add_existing
from adasr_trl.core.errors import UserError

if TYPE_CHECKING:
    from adasr_trl.cli.prepare import Prepared
    from adasr_trl.hrpo import CollapseAlarms

logger = logging.getLogger(__name__)


def add_training(parser: argparse.ArgumentParser) -> None:
    """Arguments of the three commands."""
    add_config(parser)
    add_existing(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    print(train(options.command, options.config, options.overrides, options.existing))
    return 0


def train(command: str, config: str, overrides: Sequence[str], existing: Existing) -> Path:
    """Train a model by ``command``; returns the run directory."""
    from adasr_trl.cli.prepare import prepare
    from adasr_trl.cli.run_plan import plan_run

    prepared = prepare(config, overrides, command)
    plan = plan_run(prepared, existing)
    if plan.complete:
        return plan.run
    from adasr_trl.training import loop
    from adasr_trl.training.preflight import one_line

    with one_line(f"{prepared.loaded.line_of('model.path')}: model.path"):
        data = prepared.texts.data
    plan.take((command, "--config", config, *overrides), data.train, data.held_out)
    if command == "sft":
        with one_line(config, loaded=prepared.loaded):
            trainer = _sft_trainer(prepared)
        _warn_if_slow(trainer.model)
        with one_line(config, trainer, prepared.loaded):
            loop.train(trainer, plan.run, prepared.streaming, prepared.model_config)
        return plan.run
    with one_line(config, loaded=prepared.loaded):
        trainer, alarms = _rl_trainer(prepared)
    _warn_if_slow(trainer.model)
    parts = (plan.run, prepared.streaming, prepared.model_config)
    with one_line(config, trainer, prepared.loaded):
        loop.train(trainer, *parts, stopped=alarms.verdict)
    return plan.run


def _warn_if_slow(model: Any) -> None:
    from adasr_trl.models.precision import slow_bfloat16

    if warning := slow_bfloat16(model):
        logger.warning("%s", warning)


def _sft_trainer(prepared: Prepared) -> Any:
    from adasr_trl.training.loop import lora_config
    from adasr_trl.training.sft import StreamingSFTTrainer

    texts = prepared.texts
    lora = lora_config(prepared.loaded.section("lora"), texts.codec)
    return StreamingSFTTrainer(_model(prepared), prepared.args, texts, peft_config=lora)


def _rl_trainer(prepared: Prepared) -> tuple[Any, CollapseAlarms]:
    from adasr_trl.hrpo import CollapseAlarms, HRPOTrainer
    from adasr_trl.training.loop import lora_config

    loaded, texts = prepared.loaded, prepared.texts
    alarms = CollapseAlarms(loaded.section("alarms"))
    trainer = HRPOTrainer(
        _model(prepared),
        prepared.rewards,
        prepared.args,
        texts,
        group_filter=loaded.section("group_filter"),
        peft_config=lora_config(loaded.section("lora"), texts.codec),
        callbacks=[alarms],
    )
    return trainer, alarms


def _model(prepared: Prepared) -> Any:
    """The model at the start, with the layers that an adapter is asked for."""
    from adasr_trl.cli.prepare import located
    from adasr_trl.training.preflight import check_targets

    model, lora = prepared.load_model(), prepared.loaded.section("lora")
    if lora is not None:
        with located(prepared.loaded, UserError):
            check_targets(model, lora.target_modules)
    return model
