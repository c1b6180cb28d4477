"""Steps an hour of an HRPO run, over distinct tokens and over padded rows: CPU time of its rollouts and of all else.

    python -m benchmarks.run_steps --config configs/smollm2-135m/hrpo.yaml --max_steps 3

The flags are those of ``adasr hrpo``. Both runs start from the same weights and seeds, so they train on the same rollouts.
Their results are thrown away.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

import torch

from adasr_trl.cli.main import main as adasr
from adasr_trl.hrpo import HRPOTrainer
from benchmarks import parts
from benchmarks.step import StepTimes

HEADER = (
    *("rows", "rollouts, s", "old log-probabilities, loss and update, s", "step, s"),
    *("steps an hour", "tokens"),
)


class Watch(StepTimes):
    """CPU seconds of each step, those of its rollouts and rewards, and its number of tokens."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        super().__init__()
        self.rollouts: list[float] = []
        self.tokens: list[int] = []

    def generate_batch(self, trainer: Any, episodes: Any) -> Any:
        """The trainer's generation batch, timed."""
        started = time.process_time()
        batch = _generate_batch(trainer, episodes)
        self.rollouts.append(time.process_time() - started)
        self.tokens.append(sum(len(scored.rollout.token_ids) for scored in batch.rollouts))
        return batch


_generate_batch, _init = HRPOTrainer._generate_batch, HRPOTrainer.__init__


def watched(flags: Sequence[str], shared: bool) -> Watch:
    """One run of the command."""
    watch = Watch()

    def init(trainer: Any, *args: Any, **options: Any) -> None:
        _init(trainer, *args, **options)
        trainer.add_callback(watch)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(HRPOTrainer, "__init__", init),
        mock.patch.object(
            HRPOTrainer, "_generate_batch", lambda *args: watch.generate_batch(*args)
        ),
    ):
        own = ["--output_dir", f"{folder}/run", "--shared_prefix", str(shared).lower()]
        own += ["--eval_strategy", "no", "--save_strategy", "no", "--num_generations_eval", "null"]
        own += ["--load_best_model_at_end", "false"]
        status = adasr(["hrpo", *flags, *own])
    if status:
        raise SystemExit(status)
    return watch


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    _, flags = parser.parse_known_args(arguments)
    torch.set_num_threads(1)
    lines = []
    for shared in (False, True):
        watch = watched(flags, shared)
        step, rollouts = statistics.median(watch.seconds), statistics.median(watch.rollouts)
        lines.append(
            [
                "distinct tokens" if shared else "padded",
                *(f"{seconds:.1f}" for seconds in (rollouts, step - rollouts, step)),
                *(f"{3600 / step:.0f}", sum(watch.tokens)),
            ]
        )
    print(parts.table(HEADER, lines))


if __name__ == "__main__":
    main()
