"""Training arguments and trainers' arguments from Python, held to what the commands hold theirs to.

    >>> StreamingSFTConfig("runs/sft", packing=True)
    ValueError: packing: has no effect here; shared_prefix packs a batch without padding.

An option with its default is not looked at, whatever a command says of its key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any, get_args, get_type_hints

from adasr_trl.config.key_checks import check_keys
from adasr_trl.config.loading import ARE_CHECKED, LoadedConfig
from adasr_trl.config.values import ConfigError, entry_of
from adasr_trl.core.errors import UserError
from adasr_trl.training.preflight import check_loading, check_optimizer, check_targets

# Options with an effect, or a check of their own, in Python alone.
_OWN = frozenset(
    (
        *("advantages", "use_vllm", "reward_weights", "model_init_kwargs", "local_rank"),
        *("metric_for_best_model", "greater_is_better"),  # functions of a user log metrics, too
    )
)
# What a configuration puts there itself, which dataclasses.replace gives back.
_OURS: Mapping[str, object] = {"dataset_kwargs": {"skip_prepare_dataset": True}}
_NOTHING: tuple[object, ...] = (None, {}, [], ())


def check_options(args: Any, command: str) -> None:
    """Refuse options that the command refuses; call it before TRL's ``__post_init__``, which sets some (ValueError)."""
    if ARE_CHECKED.get():  # by a command, which knows a flag from a line of the file
        return
    _check_numbers(args)
    place = type(args).__name__
    try:
        check_keys(LoadedConfig(place, entry_of(_given(args), place), {}), command)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix(f"{place}: ")) from None


def _check_numbers(args: Any) -> None:
    """Refuse a text or None in place of a number, as YAML reads 1e-5; it would end the first step, or change it."""
    hints = get_type_hints(type(args))
    for option in dataclasses.fields(args):
        kinds = set(get_args(hints[option.name]) or (hints[option.name],))
        value = getattr(args, option.name)
        if not kinds & {int, float} or kinds & {str, bool} or value is option.default:
            continue
        if isinstance(value, str) or (value is None and type(None) not in kinds):
            raise ValueError(
                f"{option.name}: got {value!r}; expected a number, such as {option.default!r}."
            )


def _given(args: Any) -> dict[str, object]:
    """The options that differ from their defaults, in the words of a file."""
    given = {}
    for option in dataclasses.fields(args):
        value = getattr(args, option.name)
        made = option.default_factory
        default = option.default if made is dataclasses.MISSING else made()
        if value in (default, _OURS.get(option.name)) or value in _NOTHING:
            continue
        given[option.name] = value.value if isinstance(value, Enum) else value
    if given.get("loss_type") == "dr_grpo":
        given.setdefault("max_completion_length", args.max_completion_length)
    else:
        given.pop("max_completion_length", None)  # HRPOConfig names the lengths to set
    if "eval_strategy" not in given:
        given.pop("num_generations_eval", None)  # evaluate() reads it
    if not isinstance(given.get("debug"), str):
        given.pop("debug", None)  # transformers has parsed it
    return {name: value for name, value in given.items() if name not in _OWN}


def obeyed_arguments(given: Mapping[str, Any], reasons: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of TRL's trainer without those that have no effect; with a value, one is refused by its reason (UserError)."""
    for name, reason in reasons.items():
        if given.get(name) is not None:
            raise UserError(f"{name}: has no effect here; {reason}")
    return {name: value for name, value in given.items() if name not in reasons}


def check_trainer(model: Any, given: Mapping[str, Any]) -> None:
    """Check what a command checks before it makes a trainer: loading, optimizer, layers of the adapter (UserError)."""
    if (args := given.get("args")) is not None:
        check_loading(args)
        if (given.get("optimizers") or (None,))[0] is None:
            check_optimizer(args)
    targets = getattr(given.get("peft_config"), "target_modules", None)  # of some kinds only
    if targets is None:
        return
    try:
        check_targets(model, targets if isinstance(targets, str) else sorted(targets))
    except UserError as error:
        words = str(error).replace("lora.target_modules", "peft_config.target_modules", 1)
        raise UserError(words) from None
