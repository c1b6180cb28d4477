"""Commands run as processes of their own, several at once, each after those that it needs.

    >>> run_all([Stage("sft", ("sft", "--config", "sft.yaml")), Stage("eval", (...), needs=("sft",))], Path("runs"), 2)

A stage that is complete does nothing (``--refresh``), so whatever was interrupted goes on where it stopped.
"""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.core.errors import UserError

logger = logging.getLogger(__name__)

PROGRESS = re.compile(r"^step \d+/|questions, |is complete$|^resuming")  # lines worth showing


@dataclass(frozen=True)
class Stage:
    """One command, and the stages that must be complete before it."""

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()


def flags(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Settings as they stand on a command line."""
    return tuple(part for key, value in settings.items() for part in (f"--{key}", str(value)))


def train_stage(
    folder: Path,
    name: str,
    command: tuple[str, str],
    settings: Mapping[str, object],
    needs: tuple[str, ...] = (),
) -> Stage:
    """A training run ``folder/name``, of a command and its configuration."""
    kind, config = command
    arguments = (kind, "--config", config, "--refresh", "--output_dir", str(folder / name))
    return Stage(f"{folder.name}/{name}", (*arguments, *flags(settings)), needs)


def eval_stage(folder: Path, name: str, config: str, settings: Mapping[str, object]) -> Stage:
    """The evaluation of ``folder/name``; one on other questions has its name in ``eval.name``."""
    other = f"-{settings['eval.name']}" if settings.get("eval.name") else ""
    arguments = ("eval", "--config", config, "--refresh", "--model.path", str(folder / name))
    run = f"{folder.name}/{name}"
    return Stage(f"{run}/eval{other}", (*arguments, *flags(settings)), (run,))


def run_all(stages: Sequence[Stage], root: Path, jobs: int) -> None:
    """Run the stages as processes, ``jobs`` at once, each after those it needs; each writes a log."""
    waiting, done = list(stages), set[str]()
    running: dict[Future[int], Stage] = {}
    processes: list[subprocess.Popen[str]] = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # no stage outlives us
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                ready = [stage for stage in waiting if done.issuperset(stage.needs)]
                for stage in ready[: jobs - len(running)]:
                    waiting.remove(stage)
                    processes.append(_start(stage))
                    log = _log_file(stage, root)
                    running[pool.submit(_follow, processes[-1], stage, log)] = stage
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    stage = running.pop(future)
                    _check(stage, future.result(), root)
                    done.add(stage.name)
        finally:
            signal.signal(signal.SIGTERM, before)
            for process in processes:
                if process.poll() is None:
                    process.terminate()


def _start(stage: Stage) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "adasr_trl", *stage.arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def _follow(process: subprocess.Popen[str], stage: Stage, log: Path) -> int:
    """Copy a stage's output to its log, and its progress to the log of this process; return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with process, log.open("a", encoding="utf-8") as out:
        for line in process.stdout or ():
            out.write(line)
            out.flush()
            if PROGRESS.search(line):
                logger.info("%s: %s", stage.name, line.rstrip())
    return process.returncode


def _check(stage: Stage, status: int, root: Path) -> None:
    if status == 0:
        return
    log = _log_file(stage, root)
    last = log.read_text(encoding="utf-8").splitlines()[-1:]
    raise UserError(
        f"{stage.name} failed with exit status {status}: {' '.join(last)}\n"
        f"its output is in {log}; run it alone with: adasr {' '.join(stage.arguments)}"
    )


def _log_file(stage: Stage, root: Path) -> Path:
    return root / "logs" / f"{stage.name.replace('/', '.')}.log"
