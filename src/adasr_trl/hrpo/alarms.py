"""Alarms for collapsing policies: each is one condition on the logged metrics, and names the setting to change.

    >>> raised(state.log_history, AlarmConfig(patience=10))
    [Alarm(name='skips everything', message='over 10 steps up to step 40: skip rate 1.00: ...')]

Read from transformers' log history, so a resumed run remembers how it began. The first ``patience`` steps stand for
the SFT model. The metrics are those of ``metrics``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from transformers import TrainerCallback

from adasr_trl.config.sections import AlarmConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alarm:
    """A condition that holds."""

    name: str
    message: str


@dataclass(frozen=True)
class _Window:
    """The logs of the first ``patience`` steps and of the last ones."""

    first: Sequence[Mapping[str, float]]
    last: Sequence[Mapping[str, float]]
    rule: AlarmConfig

    def before(self, key: str) -> list[float]:
        return [log[key] for log in self.first if key in log]

    def now(self, key: str) -> list[float]:
        return [log[key] for log in self.last if key in log]

    def fall(self, key: str) -> str | None:
        """The means before and now as text, if the metric fell by more than ``drop``."""
        before, now = self.before(key), self.now(key)
        if not before or not now or fmean(before) - fmean(now) <= self.rule.drop:
            return None
        return f"from {fmean(before):.2f} to {fmean(now):.2f}"


def _skips_everything(window: _Window) -> str | None:
    rates = window.now("streaming/skip_rate")
    if min(rates, default=0.0) < 1.0 - window.rule.skip_edge:
        return None
    return (
        f"skip rate {fmean(rates):.2f}: the model has stopped thinking while reading. Lower strength or weight of "
        f"adaptive_thinking (scope streaming) or the bonus of skip_bonus, or add diversity."
    )


def _never_skips(window: _Window) -> str | None:
    rates = window.now("streaming/skip_rate")
    if max(rates, default=1.0) > window.rule.skip_edge:
        return None
    return (
        f"skip rate {fmean(rates):.2f}: the model never skips. Raise the strength of adaptive_thinking (scope "
        f"streaming), add skip_bonus or diversity, or teach skips in the SFT traces."
    )


def _thoughts_at_cap(window: _Window) -> str | None:
    shares = window.now("streaming/capped")
    if min(shares, default=0.0) < window.rule.capped:
        return None
    return (
        f"{fmean(shares):.0%} of the thoughts are cut off at streaming.max_thought_tokens. Raise it or the weight of "
        f"format or adaptive_thinking (scope streaming), or add soft_overlong."
    )


def _deep_emptied(window: _Window) -> str | None:
    fall = window.fall("accuracy/needs_deep")
    before, now = window.before("deep/tokens_needs_deep"), window.now("deep/tokens_needs_deep")
    if not fall or fmean(now) > 0.5 * fmean(before):
        return None
    return (
        f"on episodes that need deep work the deep part went from {fmean(before):.1f} to {fmean(now):.1f} tokens, "
        f"accuracy {fall}. Lower the strength of deep adaptive_thinking, or set cost: tokens there."
    )


def _format_fell(window: _Window) -> str | None:
    fall = window.fall("ending/answered")
    return fall and (
        f"the share of rollouts that end with an answer went {fall}. Raise the weight of format (scope deep), raise "
        f"streaming.max_deep_tokens if tokens run out, or lower learning_rate."
    )


def _accuracy_fell(window: _Window) -> str | None:
    fall = window.fall("accuracy")
    return fall and (
        f"accuracy went {fall}; it began as the SFT model's. Lower learning_rate, max_grad_norm or local_weight, or set "
        f"beta above 0."
    )


def _no_signal(window: _Window) -> str | None:
    if min(window.now("groups/no_signal"), default=0.0) < 1.0:
        return None
    if fmean(window.now("groups/all_wrong")) > 0.5:
        return (
            "no group had a right answer beside a wrong one. Train SFT for longer, take easier episodes, or raise "
            "num_generations."
        )
    return "every group was all right, with nothing left to vary: take harder ones."


CHECKS: Mapping[str, Callable[[_Window], str | None]] = {
    "skips everything": _skips_everything,
    "never skips": _never_skips,
    "thoughts at the cap": _thoughts_at_cap,
    "deep part empties": _deep_emptied,
    "format falls": _format_fell,
    "accuracy falls": _accuracy_fell,
    "no signal": _no_signal,
}


def raised(history: Sequence[Mapping[str, Any]], rule: AlarmConfig) -> list[Alarm]:
    """The alarms whose condition held during the last ``patience`` steps; only training logs count."""
    logs = [log for log in history if "groups/no_signal" in log]
    if not logs or logs[-1]["step"] < rule.patience:
        return []
    now = logs[-1]["step"]
    first = [log for log in logs if log["step"] <= rule.patience] or logs[:1]
    last = [log for log in logs if log["step"] > now - rule.patience]
    window = _Window(first, last, rule)
    return [
        Alarm(name, f"over {rule.patience} steps up to step {now}: {message}")
        for name, check in CHECKS.items()
        if (message := check(window))
    ]


class CollapseAlarms(TrainerCallback):
    """Warns once of each condition while it lasts, and ends the training where that was asked for."""

    def __init__(self, rule: AlarmConfig | None = None) -> None:
        """Watch with these thresholds."""
        self._rule = rule or AlarmConfig()
        self._ringing: set[str] = set()

    def on_log(self, _args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Look at the history; every process sees the same and decides the same."""
        alarms = raised(state.log_history, self._rule)
        for alarm in alarms:
            if state.is_world_process_zero and alarm.name not in self._ringing:
                logger.warning("alarm: %s: %s", alarm.name, alarm.message)
        self._ringing = {alarm.name for alarm in alarms}
        if self.verdict(state.log_history):
            control.should_training_stop = True

    def verdict(self, history: Sequence[Mapping[str, Any]]) -> str | None:
        """The reason to leave the run unfinished: the first alarm at the history's end, if alarms end the training."""
        alarms = raised(history, self._rule) if self._rule.stop else []
        if not alarms:
            return None
        return (
            f"alarm: {alarms[0].name}: {alarms[0].message} Then start anew with --overwrite; alarms.stop: false only "
            f"warns."
        )
