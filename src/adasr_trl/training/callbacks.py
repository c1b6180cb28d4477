"""Callbacks of every run: checkpoints are marked as whole, numbers go to a file and to the terminal.

>>> for callback in callbacks(Path("runs/mine")): trainer.add_callback(callback)
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from adasr_trl.artifacts import checkpoints
from adasr_trl.artifacts.names import METRICS_FILE
from adasr_trl.artifacts.step_log import StepLines

logger = logging.getLogger(__name__)

NO_SIGNAL = "groups/no_signal"
FIRST_STEPS = 5  # steps after which a missing signal is said
TOO_FEW = 0.9  # share of groups without signal from which on it is said
_REWARD = re.compile(r"rewards/(.+)/mean").fullmatch  # TRL's key of one reward
# Label, number format, and the name of each key. RL shows no loss: advantages are centred.
_Metrics = tuple[tuple[str, str, dict[str, str]], ...]
_REWARDS = {
    "reward": "",
    "reward/global": "global ",
    "reward/streaming": "streaming ",
    "reward/deep": "deep ",
}
_LOSSES: _Metrics = (("loss ", ".3g", {"loss": ""}),)
_ROLLOUTS: _Metrics = (
    ("reward ", ".2f", _REWARDS),
    ("accuracy ", ".2f", {"accuracy": ""}),
    ("skips ", ".2f", {"streaming/skip_rate": ""}),
    ("tokens ", ".1f", {"streaming/tokens": "streaming ", "deep/tokens": "deep "}),
    ("no signal ", ".2f", {NO_SIGNAL: ""}),
)


def callbacks(run: Path) -> list[TrainerCallback]:
    """The callbacks of every run."""
    return [CheckpointMark(), MetricsFile(run / METRICS_FILE), ProgressLine(), SignalCheck()]


class CheckpointMark(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Marks a checkpoint as whole once everything in it was written, and keeps older ones from outliving it."""

    def on_step_end(self, args: Any, state: Any, *_: Any, **_kwargs: Any) -> None:
        """Called by transformers before it saves a checkpoint and deletes the oldest one."""
        if state.is_world_process_zero:
            checkpoints.keep_in_order(Path(args.output_dir), state.global_step)

    def on_save(self, args: Any, state: Any, *_: Any, **_kwargs: Any) -> None:
        """Called by transformers after the last file of a checkpoint."""
        PartialState().wait_for_everyone()  # every process has written its part
        if state.is_world_process_zero:
            checkpoints.mark_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class StepFile(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Writes lines of steps to a file; a resumed run first drops the lines of steps that it will repeat."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``."""
        self.lines = StepLines(path)

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **_kwargs: Any) -> None:
        """Drop the lines of steps that will be repeated."""
        if state.is_world_process_zero:
            self.lines.rewind(state.global_step)


class MetricsFile(StepFile):
    """Appends every log to a JSON Lines file."""

    def on_log(self, _args: Any, state: Any, *_: Any, logs: dict[str, Any], **_kwargs: Any) -> None:
        """Append one line."""
        if state.is_world_process_zero and logs:
            # transformers' mean loss at the end is wrong in a resumed run: earlier steps count as 0.
            kept = {name: value for name, value in logs.items() if name != "train_loss"}
            self.lines.append(state.global_step, kept)


class ProgressLine(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """One line a log: step, time left, and the few most telling numbers."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **_kwargs: Any) -> None:
        """Remember where this process began."""
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(self, _args: Any, state: Any, *_: Any, logs: dict[str, Any], **_kwargs: Any) -> None:
        """Log one line."""
        shown = spell(logs)
        if not state.is_world_process_zero or not shown:
            return
        done = state.global_step - self._first_step
        seconds = (time.monotonic() - self._started) / max(done, 1)
        left = timedelta(seconds=int(seconds * (state.max_steps - state.global_step)))
        rate = f", {seconds:.2f} s a step, {left} left" if done else ""
        logger.info("step %d/%d%s: %s", state.global_step, state.max_steps, rate, shown)


class SignalCheck(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Says once, after the first steps of RL, which rewards scored nothing, and that (nearly) no group had a signal."""

    def __init__(self) -> None:
        """Count from the first step on."""
        self._shares: list[float] = []  # of groups without signal, one a log
        self._unscored: set[str] = set()  # rewards without a number in any log so far
        self._is_open = True

    def on_log(self, args: Any, state: Any, *_: Any, logs: dict[str, Any], **_kwargs: Any) -> None:
        """Look at the first logs of training."""
        if NO_SIGNAL not in logs or not self._is_open:
            return
        unscored = {found[1] for key in logs if logs[key] is None and (found := _REWARD(key))}
        self._unscored = self._unscored & unscored if self._shares else unscored
        self._shares.append(logs[NO_SIGNAL])
        if state.global_step < min(FIRST_STEPS, state.max_steps):
            return
        self._is_open = False
        if not state.is_world_process_zero:
            return
        if self._unscored:
            logger.warning(
                "rewards that scored no rollout up to step %d: %s; each gave None, or no number, for all of them",
                *(state.global_step, ", ".join(sorted(self._unscored))),
            )
        if logs.get("reward", 0.0) is None and self._unscored:
            return  # that is the reason, not what groups are like
        share = fmean(self._shares)
        groups = args.generation_batch_size // args.num_generations * state.global_step
        if share >= TOO_FEW:
            logger.warning(
                "no reward signal: %d of %d groups had no right answer, or equal rewards, so they teach no answers. See "
                "adasr doctor --config FILE, and docs/OWN_DATA.md on teaching the format first",
                *(round(share * groups), groups),
            )


def spell(logs: Mapping[str, Any]) -> str:
    """The most telling numbers of a log on one line; empty if it holds none of them.

    >>> spell({"reward/global": 0.5, "reward/deep": 0.25, "accuracy": 0.5, "streaming/tokens": 12.0})
    'reward global 0.50 deep 0.25, accuracy 0.50, tokens streaming 12.0'
    """
    held_out = any(key.startswith("eval_") for key in logs)
    known = {key.removeprefix("eval_"): value for key, value in logs.items() if value is not None}
    if held_out:
        known.pop(NO_SIGNAL, None)  # nothing is trained on them
    metrics = _ROLLOUTS if "accuracy" in known else _LOSSES
    shown = [
        label + " ".join(f"{names[key]}{known[key]:{form}}" for key in names if key in known)
        for label, form, names in metrics
        if any(key in known for key in names)
    ]
    return ("held out: " if held_out and shown else "") + ", ".join(shown)
