"""Rewards as Python writes them: names, functions, dictionaries, ``RewardConfig``; each becomes one of the latter.

    >>> [(config.name, config.scope, config.weight) for config, _ in as_configs("format")]
    [('format', 'streaming', 0.25), ('format', 'deep', 0.25)]
    >>> as_configs({"name": brevity, "scope": "deep", "weight": 0.5})[0][0].name
    'brevity'

A form without a scope: ``accuracy`` and functions are global, any other built-in reward takes each local scope that it
can have (our choice).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from adasr_trl.config.sections import RewardConfig
from adasr_trl.config.values import convert, entry_of
from adasr_trl.rewards.base import Reward, Rule, Scope

Formula = Callable[..., Any]
RewardForm = Reward | RewardConfig | Mapping[str, Any] | str | Formula
_FORMAT_WEIGHT = 0.25  # below 1/2, or format would outweigh a right answer
_EXPECTED = "expected a function, the name of a reward, a dictionary or a RewardConfig"


def as_configs(
    form: RewardConfig | Mapping[str, Any] | str | Formula, built_in: Mapping[str, type[Rule]]
) -> list[tuple[RewardConfig, Formula | None]]:
    """The configurations that a form stands for, each with its function where the form holds one.

    Args:
        form: The reward.
        built_in: The rewards that have a name.

    Raises:
        ValueError: No form of a reward, or a dictionary with an unfit key or value.
    """
    if isinstance(form, RewardConfig):
        return [(form, None)]
    given: dict[str, Any] = dict(form) if isinstance(form, Mapping) else {"name": form}
    named = given.get("name")
    formula = None if isinstance(named, str) else _formula(named)
    if formula is not None:
        given["name"] = name_of(formula)
    name = str(given["name"])
    if formula is None and name == "format":
        given.setdefault("weight", _FORMAT_WEIGHT)
    scopes = [given.pop("scope")] if "scope" in given else _scopes(name, formula, built_in)
    return [(_config({**given, "scope": scope}), formula) for scope in scopes]


def name_of(formula: Formula) -> str:
    """A function's name in logs; ``lambda`` for one without."""
    inner = vars(formula).get("func", formula) if hasattr(formula, "__dict__") else formula
    return str(getattr(inner, "__name__", type(formula).__name__)).strip("<>")  # partials have none


def _formula(named: Any) -> Formula:
    if hasattr(named, "state_dict"):  # a torch module, which can be called, too
        raise ValueError(
            f"got a {type(named).__name__}, which would judge decoded text; call it in a function of yours."
        )
    if not callable(named):
        raise ValueError(f"got {named!r}; {_EXPECTED}.")
    return cast(Formula, named)


def _scopes(name: str, formula: Formula | None, built_in: Mapping[str, type[Rule]]) -> list[str]:
    if formula is not None or name == "accuracy" or name not in built_in:
        return [Scope.GLOBAL.value]
    return [s.value for s in (Scope.STREAMING, Scope.DEEP) if s in built_in[name].SCOPES]


def _config(given: dict[str, Any]) -> RewardConfig:
    return cast(RewardConfig, convert(entry_of(given, "reward_funcs"), RewardConfig, "reward"))
