"""Keeps some rollouts of the training to be looked at: those of the first step, and of every ``sample_steps``-th one.

>>> trainer.add_callback(KeepSamples(trainer, StepLines(run / SAMPLES_FILE)))
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from adasr_trl.artifacts.samples import to_sample
from adasr_trl.artifacts.step_log import StepLines
from adasr_trl.hrpo.group_filter import Draw

if TYPE_CHECKING:
    from adasr_trl.hrpo.trainer import HRPOTrainer


class KeepSamples(TrainerCallback):
    """Appends samples of what is trained on; a resumed run first drops what it is about to repeat."""

    def __init__(self, trainer: HRPOTrainer, lines: StepLines) -> None:
        """Take the rollouts of ``trainer`` and append to ``lines``."""
        self._trainer, self._lines = trainer, lines
        self._kept: Draw | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Keep only the samples of steps that the resumed run will not repeat."""
        del args, control
        if state.is_world_process_zero:
            self._lines.rewind(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Append the samples of this step, where it is one to sample."""
        del control
        step, draw = state.global_step, self._trainer.draw
        due = args.sample_steps and (step == 1 or step % args.sample_steps == 0)
        if not state.is_world_process_zero or not due or draw is self._kept:
            return
        self._kept = draw  # a generation batch may last several steps
        rewards = self._trainer.rewards
        names = [f"{reward.scope.value} {reward.name}" for reward in rewards]
        for place in spread(args.sample_rollouts, len(draw.rows)):
            graded = draw.rows[place].graded
            values = draw.scores.rewards_BR[place].tolist()  # the main process' rows come first
            scored = {
                name: None if math.isnan(value) else round(value, 6)
                for name, value in zip(names, values, strict=True)
            }
            self._lines.append(step, to_sample(graded.rollout, graded.episode, scored))


def spread(count: int, rows: int) -> list[int]:
    """``count`` places far apart among ``rows``, so that they are of different questions where there are several.

    >>> spread(2, 16)
    [0, 8]
    """
    return sorted({place * rows // count for place in range(count)})
