"""Checks of an optimizer, its schedule and an adapter before any weight is moved or any rollout made.

TRL, PEFT and transformers raise their errors in their own words, some of them only at the first step. ``one_line`` gives
such an error as a line that names the setting.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from adasr_trl.core.errors import UserError

_FOREIGN = (ValueError, TypeError, KeyError, ImportError, RuntimeError)
_LONGEST = 300  # characters of another library's message


def check_loading(args: Any) -> None:
    """Refuse settings of kernels and data loaders that fail at the first step (UserError)."""
    if args.use_liger_kernel and find_spec("liger_kernel") is None:
        raise UserError(
            "use_liger_kernel: the package liger-kernel is not installed; pip install liger-kernel, or remove it."
        )
    if args.dataloader_persistent_workers and not args.dataloader_num_workers:
        raise UserError("dataloader_persistent_workers: needs dataloader_num_workers of 1 or more.")


def check_optimizer(args: Any) -> None:
    """Build the optimizer and schedule of some training arguments on one weight.

    Raises:
        UserError: The package of the optimizer is missing, or an argument of either is wrong.
    """
    from transformers import Trainer, get_scheduler

    with one_line(f"optim: {getattr(args.optim, 'value', args.optim)}"):
        kind, kwargs = Trainer.get_optimizer_cls_and_kwargs(args)
        optimizer = kind(
            [torch.nn.Parameter(torch.zeros(1))], **{"lr": args.learning_rate, **kwargs}
        )
        _refuse_idle_arguments(args, kwargs)
        name = str(getattr(args.optim, "value", args.optim))
        if args.optim_target_modules and not name.startswith(("galore", "apollo", "lomo")):
            raise UserError(
                f"optim_target_modules: has no effect on {name}; remove it, or set optim: galore_adamw."
            )
    with one_line(
        f"lr_scheduler_type: {getattr(args.lr_scheduler_type, 'value', args.lr_scheduler_type)}"
    ):
        get_scheduler(
            args.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=1,
            num_training_steps=10,
            scheduler_specific_kwargs=args.lr_scheduler_kwargs or {},
        )


def _refuse_idle_arguments(args: Any, kwargs: Any) -> None:
    """Refuse parts of ``optim_args`` that change nothing: transformers drops the ones that an optimizer does not read."""
    from transformers import Trainer

    given = [part for part in (args.optim_args or "").replace(" ", "").split(",") if part]
    for part in given:
        others = ",".join(other for other in given if other != part)
        _, without = Trainer.get_optimizer_cls_and_kwargs(_changed(args, others))
        if without == kwargs:
            raise UserError(
                f"optim_args: {part!r} has no effect on {getattr(args.optim, 'value', args.optim)}; remove it, or set "
                f"adam_beta1, adam_beta2, adam_epsilon or weight_decay."
            )


def _changed(args: Any, optim_args: str) -> Any:
    changed = copy.copy(args)
    changed.optim_args = optim_args or None
    return changed


def check_targets(model: Any, targets: str | Sequence[str]) -> None:
    """Refuse layers of an adapter that the model does not have; PEFT leaves them out if another one is found.

    Raises:
        UserError: A name without a layer, with the names that there are.
    """
    if targets == "all-linear":
        return
    names = [name for name, module in model.named_modules() if not list(module.children())]
    if isinstance(targets, str):
        try:
            pattern = re.compile(targets)
        except re.error as error:
            raise UserError(
                f"lora.target_modules: got {targets!r}, which is no pattern ({error}); expected all-linear, a pattern of "
                f"whole names, or a list such as [q_proj, v_proj]."
            ) from None
        missing = [] if any(map(pattern.fullmatch, names)) else [targets]
    else:
        ends = [f".{name}" for name in names]
        missing = [t for t in targets if not any(end.endswith(f".{t}") for end in ends)]
    if missing:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
        raise UserError(
            f"lora.target_modules: the model has no layer {missing[0]!r}; it has {known}."
        )


@contextmanager
def one_line(setting: str, trainer: Any = None) -> Iterator[None]:
    """Turn another library's error into one line (UserError); errors of our own pass.

    Args:
        setting: Name of what was set, or of its file.
        trainer: A trainer that runs inside. Its errors pass once a step is done, since no setting is to blame any more.
    """
    try:
        yield
    except UserError:
        raise
    except _FOREIGN as error:
        is_late = trainer is not None and trainer.state.global_step > 0
        if is_late and "metric_for_best_model" not in str(error):
            raise
        logging.getLogger(__name__).debug("%s", setting, exc_info=True)
        words = " ".join(str(error).split())[:_LONGEST]
        raise UserError(f"{setting}: {type(error).__name__}: {words}") from error
