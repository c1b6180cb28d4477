"""What happens at each step of a run: checkpoints are marked as whole, numbers go to a file and to the terminal.

>>> trainer = SFTTrainer(model, ..., callbacks=callbacks(run))
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import METRICS_FILE
from adasr_trl.artifacts.step_log import StepLines

logger = logging.getLogger(__name__)


# Label, form, and each key with its name. The loss of RL says nothing: advantages are centred.
_Group = tuple[str, str, tuple[tuple[str, str], ...]]
_LOSSES: tuple[_Group, ...] = (("loss ", ".3g", (("loss", ""),)),)
_ROLLOUTS: tuple[_Group, ...] = (
    (
        "reward ",
        ".2f",
        (
            ("reward", ""),
            ("reward/global", "global "),
            ("reward/streaming", "streaming "),
            ("reward/deep", "deep "),
        ),
    ),
    ("accuracy ", ".2f", (("accuracy", ""),)),
    ("skips ", ".2f", (("streaming/skip_rate", ""),)),
    ("tokens ", ".1f", (("streaming/tokens", "streaming "), ("deep/tokens", "deep "))),
    ("no signal ", ".2f", (("groups/no_signal", ""),)),
)


def callbacks(run: Path) -> list[TrainerCallback]:
    """The callbacks of every run."""
    return [CheckpointMark(), MetricsFile(run / METRICS_FILE), ProgressLine()]


class CheckpointMark(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Marks a checkpoint as whole once everything in it was written."""

    def on_save(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Called by transformers behind the last file of a checkpoint."""
        del control
        PartialState().wait_for_everyone()  # every process has written its part
        if state.is_world_process_zero:
            directory.mark_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Appends every log to a JSON Lines file; a resumed run first drops what it is about to repeat."""

    def __init__(self, path: Path) -> None:
        """Log to ``path``."""
        self._lines = StepLines(path)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Keep only the lines of steps that the resumed run will not repeat."""
        del args, control
        if state.is_world_process_zero:
            self._lines.rewind(state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_kw: Any
    ) -> None:
        """Append one line."""
        del args, control
        if state.is_world_process_zero and logs:
            self._lines.append(state.global_step, logs)


class ProgressLine(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """One line a log: step, time left, and the few numbers that say how it goes."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Remember where this process began."""
        del args, control
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_kw: Any
    ) -> None:
        """Log one line."""
        del args, control
        shown = spell(logs or {})
        if not state.is_world_process_zero or not shown:
            return
        done = state.global_step - self._first_step
        seconds = (time.monotonic() - self._started) / max(done, 1)
        left = timedelta(seconds=int(seconds * (state.max_steps - state.global_step)))
        rate = f", {seconds:.2f} s a step, {left} left" if done else ""
        logger.info("step %d/%d%s: %s", state.global_step, state.max_steps, rate, shown)


def spell(logs: Mapping[str, Any]) -> str:
    """The numbers of a log that say how the training goes, or nothing where it holds none of them.

    >>> spell({"reward/global": 0.5, "reward/deep": 0.25, "accuracy": 0.5, "streaming/tokens": 12.0})
    'reward global 0.50 deep 0.25, accuracy 0.50, tokens streaming 12.0'
    """
    held_out = any(key.startswith("eval_") for key in logs)
    known = {key.removeprefix("eval_"): value for key, value in logs.items() if value is not None}
    if held_out:
        known.pop("groups/no_signal", None)  # nothing is trained on them
    groups = _ROLLOUTS if "accuracy" in known else _LOSSES
    shown = [
        label + " ".join(f"{name}{known[key]:{form}}" for key, name in keys if key in known)
        for label, form, keys in groups
        if any(key in known for key, _ in keys)
    ]
    return ("held out: " if held_out and shown else "") + ", ".join(shown)
