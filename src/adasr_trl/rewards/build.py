"""From a configuration's rewards to rules, every one checked before a model is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from adasr_trl.config.sections import RewardConfig, StreamingConfig
from adasr_trl.config.values import convert, entry_of
from adasr_trl.rewards import (
    accuracy_format,
    follows_trace,
    length,
    repetition,
    skipping,
    stream_gain,
)
from adasr_trl.rewards.base import HEAVIEST, Reward, Rule, Scope
from adasr_trl.rewards.forms import Formula, RewardForm, as_configs
from adasr_trl.rewards.user import Columns, TRLFunction, UserFunction, is_trl_function, load

BUILT_IN: Mapping[str, type[Rule]] = {
    "accuracy": accuracy_format.Accuracy,
    "format": accuracy_format.Format,
    "adaptive_thinking": length.AdaptiveThinking,
    "kimi_length": length.KimiLength,
    "l1_exact": length.L1Exact,
    "l1_max": length.L1Max,
    "soft_overlong": length.SoftOverlong,
    "cosine": length.Cosine,
    "skip_bonus": skipping.SkipBonus,
    "diversity": skipping.Diversity,
    "repetition": repetition.Repetition,
    "trace_values": follows_trace.TraceValues,
    "follows_stream": follows_trace.FollowsStream,
    "gold_gain": stream_gain.GoldGain,
    "branch_value": stream_gain.BranchValue,
}


class RewardError(ValueError):
    """A reward that cannot be used; ``position`` is its index in the list, or None if the whole list is meant."""

    def __init__(self, message: str, position: int | None = None) -> None:
        """Keep the position beside the message."""
        super().__init__(f"rewards: {message}")
        self.position = position


def build_rewards(
    forms: Sequence[RewardForm],
    streaming: StreamingConfig,
    *,
    flat: bool = False,
    columns: Columns | None = None,
    weights: Sequence[float] | None = None,
) -> tuple[Reward, ...]:
    """The rewards of a run, checked.

    Args:
        forms: The section ``rewards``, or names, functions and dictionaries (``forms``).
        streaming: Caps and clock.
        flat: Whether all of them are one sum (the GRPO baseline) rather than one a scope.
        columns: Columns of the episodes' rows, by id, for functions of TRL's form.
        weights: One a form, in place of the forms' own.

    Raises:
        RewardError: An unknown name, a scope that does not fit, an unknown or bad setting, no weight above 0, or a
            sum in which a right answer may score below a wrong one.
    """
    if weights is not None and len(weights) != len(forms):
        raise RewardError(f"got {len(weights)} reward_weights for {len(forms)} reward_funcs.")
    rewards: list[Reward] = []
    for position, form in enumerate(forms):
        try:
            built = _built(form, streaming, columns or {})
        except ValueError as error:
            raise RewardError(str(error), position) from None
        if weights is not None:
            built = [replace(reward, weight=weights[position]) for reward in built]
        for reward in built:
            if not abs(reward.weight) <= HEAVIEST:
                raise RewardError(
                    f"{reward.name} has weight {reward.weight:g}; expected at most {HEAVIEST:g}.",
                    position,
                )
            if (reward.name, reward.scope) in [(known.name, known.scope) for known in rewards]:
                raise RewardError(
                    f"{reward.name} of scope {reward.scope.value} is listed twice; add the weights, or give a "
                    f"function another name.",
                    position,
                )
            rewards.append(reward)
    if not any(reward.weight != 0 for reward in rewards):
        raise RewardError("every weight is 0 (or there is no reward); give one a weight.")
    sums = {None: rewards} if flat else {s: [r for r in rewards if r.scope is s] for s in Scope}
    for scope, members in sums.items():
        _check_margin(members, scope)
    return tuple(rewards)


def _built(form: RewardForm, streaming: StreamingConfig, columns: Columns) -> list[Reward]:
    if isinstance(form, Reward):
        return [form]
    return [_build(*made, streaming, columns) for made in as_configs(form, BUILT_IN)]


def _build(
    config: RewardConfig, formula: Formula | None, streaming: StreamingConfig, columns: Columns
) -> Reward:
    for key, value in config.settings.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(
                f"{config.name}: settings.{key}: got {value}; expected a finite number."
            )
    rule, scope = _rule(config, formula or _named(config.name), columns), Scope(config.scope)
    if scope not in rule.SCOPES:
        fitting = " or ".join(sorted(fit.value for fit in rule.SCOPES))
        raise ValueError(f"{config.name} has scope {fitting}, not {scope.value}.")
    if not 0 <= config.weight <= HEAVIEST:
        raise ValueError(f"{config.name} has weight {config.weight:g}; expected 0 to {HEAVIEST:g}.")
    try:
        rule.check(scope, streaming)
    except ValueError as error:
        raise ValueError(f"{config.name}: settings.{error}") from None
    return Reward(config.name, scope, config.weight, rule, streaming)


def _named(name: str) -> Formula:
    """The rule, or the user's function, of this name."""
    if ":" in name:
        return load(name)
    if name not in BUILT_IN:
        known = ", ".join(BUILT_IN)
        raise ValueError(f"unknown reward {name!r}; known are {known}, and module:function.")
    return BUILT_IN[name]


def _rule(config: RewardConfig, formula: Formula, columns: Columns) -> Rule:
    if isinstance(formula, type) and issubclass(formula, Rule):
        return cast(Rule, convert(entry_of(config.settings, config.name), formula, "settings"))
    if is_trl_function(formula):
        return TRLFunction(config.name, formula, config.settings, columns)
    return UserFunction(config.name, formula, config.settings)


def _check_margin(rewards: Sequence[Reward], scope: Scope | None) -> None:
    """Refuse a sum in which a right answer may score below a wrong one of the same format; unknown margins are 0."""
    margins = [(reward, reward.weight * (reward.rule.margin or 0.0)) for reward in rewards]
    total = sum(margin for _, margin in margins)
    if total >= -1e-6:
        return
    worst = min(margins, key=lambda pair: pair[1])[0]
    total_of = "their sum" if scope is None else f"scope {scope.value}"
    where = worst.scope.value
    held = sum(r.weight for r in rewards if r.name == "accuracy" and r.scope.value == where)
    raise RewardError(
        f"in {total_of} a right answer may score {-total:g} below a wrong one, for all of {worst.name}; give accuracy of "
        f"scope {where} a weight of {math.ceil(1000 * (held - total)) / 1000:g} or more, or {worst.name} a smaller one."
    )
