"""An HRPO step outside sampling against TRL's GRPO step on the same tokens: CPU time and peak memory.

    python -m benchmarks.step          # about 4 minutes on one core

Both trainers are given the same recorded rollouts: 16 of 2 episodes, 8 chunks, thoughts of 12 tokens, a deep part of 64.
TRL gets them through its own ``rollout_func`` with one reward; HRPO has accuracy, format and adaptive thinking in three
scopes. What is timed is everything from the batch of episodes to the optimizer's step, but for the rollouts. Peak memory
is that of a process of its own, over the loaded model (Linux).
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
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from adasr_trl.config.sections import RewardConfig, StreamingConfig
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import HFEngine, Request, Sampling, hf
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.hrpo.trl_batch import trl_rollouts
from adasr_trl.layouts import build_layout
from adasr_trl.rewards import build_rewards
from benchmarks import parts
from benchmarks.rollout import Pen, PlannedEngine, Work, lengths_of

HIDDEN, LAYERS, ROWS, GROUP, STEPS = 256, 4, 16, 8, 5
FORMS = ("TRL", "stage", "sentence", "boundary")
REWARDS = (
    RewardConfig("accuracy", "global"),
    RewardConfig("format", "streaming", 0.25),
    RewardConfig("format", "deep", 0.25),
    RewardConfig("adaptive_thinking", "streaming"),
    RewardConfig("adaptive_thinking", "deep", 1.0, {"cost": "latency"}),
)


class StepTimes(TrainerCallback):
    """CPU seconds of each optimizer step."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.seconds: list[float] = []
        self._started = 0.0

    def on_step_begin(self, *_args: Any, **_kwargs: Any) -> None:
        """The batch of episodes is there."""
        self._started = time.process_time()

    def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
        """The weights have moved."""
        self.seconds.append(time.process_time() - self._started)


def work_of() -> Work:
    """The rollouts to be made."""
    model = parts.model_of(400, HIDDEN, LAYERS)
    return Work(model, 8, lengths_of(ROWS, 8, ragged=True), GROUP)


def rolled(work: Work) -> list[Rollout]:
    """Made once, for everyone."""
    streaming = work.streaming("interleaved")
    layout = build_layout(streaming, work.codec)
    engine: HFEngine = PlannedEngine(work.model, work.codec, layout, streaming)
    engine.lengths = work.lengths  # type: ignore[attr-defined]
    pen = Pen(work)
    found = engine.rollout(work.requests, Sampling(1.0))
    pen.lift()
    return found


def settings(folder: str, work: Work, **more: Any) -> dict[str, Any]:
    """What both trainers share."""
    return {
        "output_dir": folder,
        "num_generations": work.group,
        "per_device_train_batch_size": len(work.lengths),
        "max_steps": STEPS,
        **parts.TIMED,
        **more,
    }


def steps_of(form: str, work: Work, rollouts: Sequence[Rollout], folder: str) -> list[float]:
    """CPU seconds of the steps of one trainer, but for the first."""
    if form == "TRL":
        return trl_steps(work, rollouts, folder)
    return hrpo_steps(work, rollouts, folder, work.streaming("interleaved"), granularity=form)


def hrpo_steps(
    work: Work,
    rollouts: Sequence[Rollout],
    folder: str,
    streaming: StreamingConfig,
    **options: Any,
) -> list[float]:
    """CPU seconds of HRPO's steps on recorded rollouts, but for the first."""
    times = StepTimes()

    class Recorded:
        """Stands for the engine."""

        def rollout(self, _requests: Sequence[Request], _sampling: Sampling) -> list[Rollout]:
            return list(rollouts)

    episodes = list({r.episode.id: r.episode for r in work.requests}.values())
    with mock.patch.object(hf, "HFEngine", return_value=Recorded()):
        trainer = HRPOTrainer(
            work.model,
            args=HRPOConfig(**settings(folder, work, **options)),
            train_dataset=episodes,
            streaming=streaming,
            reward_funcs=build_rewards(REWARDS, streaming),
            processing_class=work.codec.tokenizer,
            callbacks=[times],
        )
        trainer.train()
    return times.seconds[1:]


def trl_steps(work: Work, rollouts: Sequence[Rollout], folder: str, **options: Any) -> list[float]:
    """CPU seconds of TRL's steps on recorded rollouts, but for the first."""
    times = StepTimes()
    rows = [{"prompt": request.episode.question} for request in work.requests[:: work.group]]
    trainer = GRPOTrainer(
        work.model,
        reward_funcs=[lambda completions, **_: [float(n % 3) for n in range(len(completions))]],
        args=GRPOConfig(**settings(folder, work, **options)),
        train_dataset=Dataset.from_list(rows),
        processing_class=work.codec.tokenizer,
        rollout_func=lambda _prompts, _trainer: trl_rollouts(rollouts),
        callbacks=[times],
    )
    trainer.train()
    return times.seconds[1:]


def memory(form: str) -> None:
    """Print the growth of this process' peak memory over two steps, in MiB."""
    work = work_of()
    rollouts = rolled(work)
    parts.restart_peak()
    before = parts.kibibytes("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        steps_of(form, work, rollouts, folder)
    print(f"peak {(parts.kibibytes('VmHWM') - before) / 1024:.0f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", metavar="FORM", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.memory:
        memory(options.memory)
        return
    work = work_of()
    rollouts = rolled(work)
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(parts.REPEATS):
        for form in FORMS:
            with tempfile.TemporaryDirectory() as folder:
                seconds[form].append(statistics.median(steps_of(form, work, rollouts, folder)))
    peaks = {form: parts.printed("benchmarks.step", ["--memory", form]) for form in FORMS}
    lines = [
        [
            "TRL's GRPO" if form == "TRL" else f"HRPO, {form}",
            f"{statistics.median(seconds[form]):.2f}",
            parts.ratio(seconds[form], seconds["TRL"]),
            peaks[form],
            f"{int(peaks[form]) / int(peaks['TRL']):.2f}",
        ]
        for form in FORMS
    ]
    header = ("step", "CPU s", "times TRL's", "peak memory, MiB", "times TRL's peak")
    print(parts.table(header, lines))


if __name__ == "__main__":
    main()
