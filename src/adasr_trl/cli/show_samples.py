"""Prints the rollouts that a training run kept, the newest last: ``adasr show RUN --samples``.

    ────────────────── step 40, gsm8k-17 ──────────────────
    global accuracy 1.00, streaming adaptive_thinking -0.12

It can be run while the training goes on. How a rollout looks is in ``show``.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.directory import identity_of
from adasr_trl.artifacts.samples import Sample, read_samples
from adasr_trl.cli.show import render
from adasr_trl.core.clock import Clock
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.outcome import outcome


def show_samples(run: Path, count: int, which: str) -> int:
    """Print the last ``count`` samples; return the exit status.

    Args:
        run: The run's directory.
        count: How many.
        which: ``all``, ``right`` or ``wrong``.
    """
    from rich.console import Console
    from rich.text import Text

    config: Any = identity_of(run)["config"]  # streaming.json is written when the run ends
    clock = Clock(**config["streaming"]["clock"])
    chosen = (
        sample
        for sample in read_samples(run)
        if which == "all"
        or (which == "right") == outcome(sample.rollout, sample.episode, clock).right
    )
    console = Console()
    for sample in deque(chosen, maxlen=count):
        console.rule(Text(visible(f"step {sample.step}, {sample.episode.id}")))
        console.print(Text(spell_rewards(sample)))
        console.print(render(sample.rollout, sample.episode, clock))
    return 0


def spell_rewards(sample: Sample) -> str:
    """What each reward gave."""
    return visible(
        ", ".join(
            f"{name} {'unscored' if value is None else f'{value:.2f}'}"
            for name, value in sample.rewards.items()
        )
    )
