"""Sample rollouts of a training run: of the first step, and of every ``sample_steps``-th one.

>>> trainer.add_callback(KeepSamples(trainer, run / SAMPLES_FILE))
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adasr_trl.artifacts.samples import to_sample
from adasr_trl.hrpo.group_filter import GenerationBatch
from adasr_trl.training.callbacks import StepFile

if TYPE_CHECKING:
    from adasr_trl.hrpo.trainer import HRPOTrainer


class KeepSamples(StepFile):
    """Appends samples of the rollouts that are trained on."""

    def __init__(self, trainer: HRPOTrainer, path: Path) -> None:
        """Take the rollouts of ``trainer`` and append to the file."""
        super().__init__(path)
        self._trainer = trainer
        self._last: GenerationBatch | None = None

    def on_step_end(self, args: Any, state: Any, *_: Any, **_kwargs: Any) -> None:
        """Append the samples of this step, if it is one to sample."""
        step, batch = state.global_step, self._trainer.generation_batch
        due = args.sample_steps and (step == 1 or step % args.sample_steps == 0)
        if not state.is_world_process_zero or not due or batch is self._last:
            return
        self._last = batch  # a generation batch may last several steps
        names = [f"{reward.scope.value} {reward.name}" for reward in self._trainer.rewards]
        for row in spread(args.sample_rollouts, len(batch.rollouts)):
            sampled = batch.rollouts[row]
            values = batch.scores.rewards_BR[row].tolist()  # the main process' rows come first
            scores = {
                name: None if math.isnan(value) else round(value, 6)
                for name, value in zip(names, values, strict=True)
            }
            self.lines.append(step, to_sample(sampled.rollout, sampled.episode, scores))


def spread(count: int, rows: int) -> list[int]:
    """``count`` rows far apart, so that they are of different questions where there are several.

    >>> spread(2, 16)
    [0, 8]
    """
    return sorted({index * rows // count for index in range(count)})
