"""Checks of an optimizer, its schedule and an adapter before any weight is moved or any rollout made.

TRL, PEFT and transformers raise their errors in their own words, some of them only at the first step. ``one_line`` gives
such an error as a line that names the setting.
"""

from __future__ import annotations

import copy
import errno
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from adasr_trl.artifacts.names import ADAPTER_CONFIG
from adasr_trl.config.loading import LoadedConfig
from adasr_trl.config.sections import LoraSection
from adasr_trl.core.errors import UserError

_FOREIGN = (
    *(ValueError, TypeError, LookupError, ImportError, RuntimeError),
    *(AttributeError, AssertionError, ArithmeticError),
)
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
# Of libraries that write weights: safetensors tells the system's words, torch.save only that its file is short.
_FULL_WORDS = (
    *("no space left", "file too large", "quota exceeded"),
    *("unexpected pos", "streamwriter failed writing"),
)
_LONGEST = 300  # characters of another library's message


def check_loading(args: Any) -> None:
    """Refuse settings of kernels, memory and data loaders that fail later on (UserError)."""
    if getattr(args, "activation_offloading", False) and (  # SFT's alone
        args.use_cpu or not torch.accelerator.is_available()
    ):
        raise UserError(
            "activation_offloading: got true, but training is on a CPU, which has no other memory; remove it."
        )
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
    """Refuse settings of an optimizer that change nothing: transformers drops the ones that it does not read."""
    for name in ("adam_beta1", "adam_beta2", "adam_epsilon"):
        default = type(args).__dataclass_fields__[name].default
        asks = getattr(args, name) != default
        if asks and _optimizer_kwargs(args, **{name: default}) == kwargs:
            raise UserError(
                f"{name}: got {getattr(args, name):g}, which has no effect on {getattr(args.optim, 'value', args.optim)}; "
                f"remove it, or set another optim."
            )
    given = [part for part in (args.optim_args or "").replace(" ", "").split(",") if part]
    for part in given:
        others = ",".join(other for other in given if other != part)
        if _optimizer_kwargs(args, optim_args=others or None) == kwargs:
            raise UserError(
                f"optim_args: {part!r} has no effect on {getattr(args.optim, 'value', args.optim)}; remove it, or set "
                f"adam_beta1, adam_beta2, adam_epsilon or weight_decay."
            )


def _optimizer_kwargs(args: Any, **changes: object) -> Any:
    from transformers import Trainer

    changed = copy.copy(args)
    vars(changed).update(changes)
    return Trainer.get_optimizer_cls_and_kwargs(changed)[1]


def check_head(args: Any, path: str | None, lora: LoraSection | None) -> None:
    """Refuse TRL's cast of the head beside an adapter, in which TRL does not find the embedding (UserError)."""
    is_adapter = path is not None and (Path(path) / ADAPTER_CONFIG).is_file()
    if args.cast_lm_head_to_fp32 and (is_adapter or lora is not None):
        raise UserError(
            "cast_lm_head_to_fp32: got true with an adapter, beside which TRL cannot cast the head; set model.dtype: "
            "float32, or remove it."
        )


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
def one_line(
    setting: str, trainer: Any = None, loaded: LoadedConfig | None = None
) -> Iterator[None]:
    """Turn another library's error into one line (UserError); errors of our own pass.

    Args:
        setting: Name of what was set, or of its file.
        trainer: A trainer that runs inside. Its errors pass once a step is done, since no setting is to blame any more;
            a full disk is told at any step.
        loaded: The configuration, for the line of a key that the error names.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if trainer is not None and _is_full(error):
            raise UserError(_full(trainer, error)) from error
        is_late = trainer is not None and trainer.state.global_step > 0
        if not isinstance(error, _FOREIGN) or (
            is_late and "metric_for_best_model" not in str(error)
        ):
            raise
        logging.getLogger(__name__).debug("%s", setting, exc_info=True)
        words = " ".join(str(error).split())[:_LONGEST]
        raise UserError(
            f"{_place(words, loaded) or setting}: {type(error).__name__}: {words}"
        ) from error


def _place(words: str, loaded: LoadedConfig | None) -> str | None:
    """The line of the first key in an error; keys of one word (mode, seed) may mean anything there."""
    for word in re.findall(r"[a-z]\w*_\w+", words) if loaded is not None else ():
        if loaded is not None and word in loaded.flat:
            return f"{loaded.line_of(word)}: {word}"
    return None


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, says that a file could not be written for want of room."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL or any(words in str(error).lower() for words in _FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _full(trainer: Any, error: Exception) -> str:
    words = " ".join(str(error).split())[:_LONGEST]
    return (
        f"{trainer.args.output_dir}: no room for what is written at step {trainer.state.global_step} "
        f"({type(error).__name__}: {words}). Whole checkpoints are kept: free some room, and go on with --resume."
    )
