"""Alarms for policies that collapse: each is one condition on the logged metrics, and says which setting to change.

    >>> raised(state.log_history, AlarmConfig(patience=10))
    [Alarm(name='skips everything', message='the skip rate has been 1.00 for 10 steps ...')]

Read from transformers' log history, so a resumed run remembers how it began. The first ``patience`` steps stand for
the SFT model: its own rollouts and those right behind it. What a metric means is said in ``logs``.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback

from adasr_trl.config.sections import AlarmConfig

logger = logging.getLogger(__name__)

Log = Mapping[str, float]


@dataclass(frozen=True)
class Alarm:
    """A condition that holds."""

    name: str
    message: str


@dataclass(frozen=True)
class _Window:
    """The logs of the first ``patience`` steps and of the last ones."""

    first: Sequence[Log]
    last: Sequence[Log]
    rule: AlarmConfig

    def now(self, key: str) -> list[float]:
        return [log[key] for log in self.last if key in log]

    def before(self, key: str) -> list[float]:
        return [log[key] for log in self.first if key in log]

    def fall(self, key: str) -> tuple[float, float] | None:
        """Mean at first and now, if it fell by more than ``drop``."""
        before, now = self.before(key), self.now(key)
        if not before or not now:
            return None
        means = statistics.fmean(before), statistics.fmean(now)
        return means if means[0] - means[1] > self.rule.drop else None


def _skips_everything(window: _Window) -> str | None:
    rates = window.now("streaming/skip_rate")
    if not rates or min(rates) < 1.0 - window.rule.skip_edge:
        return None
    return (
        f"the skip rate has been {statistics.fmean(rates):.2f}: the stream is no longer thought about; lower the "
        f"strength or weight of the streaming adaptive_thinking (or the bonus of skip_bonus), or add the reward "
        f"diversity."
    )


def _never_skips(window: _Window) -> str | None:
    rates = window.now("streaming/skip_rate")
    if not rates or max(rates) > window.rule.skip_edge:
        return None
    return (
        f"the skip rate has been {statistics.fmean(rates):.2f}: nothing is skipped; raise the strength of the "
        f"streaming adaptive_thinking, add skip_bonus or diversity, or teach skips in the SFT traces."
    )


def _thoughts_at_cap(window: _Window) -> str | None:
    shares = window.now("streaming/capped")
    if not shares or min(shares) < window.rule.capped:
        return None
    return (
        f"{statistics.fmean(shares):.0%} of the thoughts are cut off at streaming.max_thought_tokens; raise it, or the "
        f"weight of the streaming format or adaptive_thinking, or add soft_overlong."
    )


def _deep_emptied(window: _Window) -> str | None:
    fell = window.fall("accuracy/needs_deep")
    before, now = window.before("deep/tokens_needs_deep"), window.now("deep/tokens_needs_deep")
    if not fell or statistics.fmean(now) > 0.5 * statistics.fmean(before):
        return None
    return (
        f"on episodes that need deep work the deep part went from {statistics.fmean(before):.1f} to "
        f"{statistics.fmean(now):.1f} tokens and accuracy from {fell[0]:.2f} to {fell[1]:.2f}; lower the strength of the "
        f"deep adaptive_thinking, or set cost: tokens there."
    )


def _format_fell(window: _Window) -> str | None:
    fell = window.fall("ending/answered")
    if not fell:
        return None
    return (
        f"rollouts that end with an answer went from {fell[0]:.2f} to {fell[1]:.2f}; raise the weight of format in scope "
        f"deep, streaming.max_deep_tokens if they run out of tokens, or lower learning_rate."
    )


def _accuracy_fell(window: _Window) -> str | None:
    fell = window.fall("accuracy")
    if not fell:
        return None
    return (
        f"accuracy went from {fell[0]:.2f}, the SFT model's, to {fell[1]:.2f}; lower learning_rate or max_grad_norm, set "
        f"beta above 0, or lower local_weight."
    )


def _no_signal(window: _Window) -> str | None:
    shares = window.now("groups/no_signal")
    if not shares or min(shares) < 1.0:
        return None
    wrong = statistics.fmean(window.now("groups/all_wrong"))
    if wrong > 0.5:
        return (
            "no group had a right answer beside a wrong one; train SFT for longer, take easier episodes, or raise "
            "num_generations."
        )
    return "every group was all right with nothing left to vary; the episodes are learnt: take harder ones."


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
    """The alarms whose condition held during the last ``patience`` steps.

    Args:
        history: transformers' log history; only training logs count.
        rule: Thresholds.
    """
    logs = [log for log in history if "groups/no_signal" in log]
    if not logs or logs[-1]["step"] < rule.patience:
        return []
    now = logs[-1]["step"]
    first = [log for log in logs if log["step"] <= rule.patience] or logs[:1]
    last = [log for log in logs if log["step"] > now - rule.patience]
    window = _Window(first, last, rule)
    found = ((name, check(window)) for name, check in CHECKS.items())
    return [
        Alarm(name, f"over {rule.patience} steps up to step {now}: {message}")
        for name, message in found
        if message
    ]


class CollapseAlarms(TrainerCallback):
    """Warns once of each condition while it lasts, and ends the training where that was asked for."""

    def __init__(self, rule: AlarmConfig | None = None) -> None:
        """Watch with these thresholds."""
        self._rule = rule or AlarmConfig()
        self._ringing: set[str] = set()

    def on_log(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Look at the history; every process sees the same and decides the same."""
        del args
        found = raised(state.log_history, self._rule)
        new = [alarm for alarm in found if alarm.name not in self._ringing]
        self._ringing = {alarm.name for alarm in found}
        for alarm in new:
            if state.is_world_process_zero:
                logger.warning("alarm: %s: %s", alarm.name, alarm.message)
        if self.verdict(state.log_history):
            control.should_training_stop = True

    def verdict(self, history: Sequence[Mapping[str, Any]]) -> str | None:
        """Why the run must not be finished: the first alarm at the history's end, where alarms end the training."""
        found = raised(history, self._rule) if self._rule.stop else []
        if not found:
            return None
        return f"alarm: {found[0].name}: {found[0].message} Then start anew with --overwrite; alarms.stop: false only warns."
