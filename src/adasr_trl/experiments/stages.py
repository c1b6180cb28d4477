"""Commands run as processes of their own, several at once, each after those that it needs.

    >>> run_all([Stage("sft", ("sft", "--config", "sft.yaml")), Stage("eval", (...), needs=("sft",))], Path("runs"), 2)

A stage that is complete does nothing (``--refresh``), so whatever was interrupted goes on where it stopped.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.artifacts.names import eval_folder
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import appender, make_folder
from adasr_trl.core.startup import PARENT

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "adasr_trl")
ENDS = (signal.SIGTERM, signal.SIGHUP)  # end the grid as an interrupt does
PROGRESS = re.compile(r"^step \d+/|questions, |is complete$|^resuming")  # lines worth showing
# The line that names a fault: ours, or the last one of a traceback.
FAULT = re.compile(r"(\[rank\d+\]: )?(error: |([a-z_]\w*\.)*[A-Z]\w*(Error|Exception|Interrupt)\b)")


@dataclass(frozen=True)
class Stage:
    """One command, and the stages that must be complete before it."""

    name: str
    arguments: tuple[str, ...]  # of ``adasr``: COMMAND --config FILE --refresh, then its settings
    needs: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """Its command, such as hrpo."""
        return self.arguments[0]

    @property
    def config(self) -> str:
        """Its configuration."""
        return self.arguments[2]

    @property
    def overrides(self) -> tuple[str, ...]:
        """Its settings over the configuration."""
        return self.arguments[4:]


@dataclass(frozen=True)
class Exit:
    """The end of a stage."""

    status: int  # exit status; a negative one is the signal that ended it
    fault: str  # the last line of its output that names an error, or empty


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
    arguments = _arguments(kind, config, {"output_dir": folder / name, **settings})
    return Stage(f"{folder.name}/{name}", arguments, needs)


def eval_stage(folder: Path, name: str, config: str, settings: Mapping[str, object]) -> Stage:
    """The evaluation of ``folder/name``; one on other questions has its name in ``eval.name``."""
    run = f"{folder.name}/{name}"
    arguments = _arguments("eval", config, {"model.path": folder / name, **settings})
    return Stage(f"{run}/{_eval_name(settings)}", arguments, (run,))


def pretrained_stage(
    name: str, config: str, settings: Mapping[str, object], needs: tuple[str, ...]
) -> Stage:
    """The evaluation of a pretrained model, which no training precedes; ``settings`` name model and folder."""
    return Stage(f"{name}/{_eval_name(settings)}", _arguments("eval", config, settings), needs)


def _arguments(command: str, config: str, settings: Mapping[str, object]) -> tuple[str, ...]:
    return (command, "--config", config, "--refresh", *flags(settings))


def _eval_name(settings: Mapping[str, object]) -> str:
    return eval_folder(str(settings.get("eval.name") or ""))


def run_all(stages: Sequence[Stage], root: Path, jobs: int) -> None:
    """Run the stages as processes, ``jobs`` at once, each after those it needs; each writes a log."""
    waiting, done = list(stages), set[str]()
    running: dict[Future[Exit], Stage] = {}
    processes: list[subprocess.Popen[str]] = []
    # No stage outlives us. A signal that is ignored (nohup's) stays so.
    caught = [end for end in ENDS if signal.getsignal(end) is not signal.SIG_IGN]
    before = {end: signal.signal(end, signal.default_int_handler) for end in caught}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                ready = [stage for stage in waiting if done.issuperset(stage.needs)]
                for stage in ready[: jobs - len(running)]:
                    waiting.remove(stage)
                    processes.append(_start(stage))
                    log = _log_file(stage, root)
                    logger.info("%s: started; its output is in %s", stage.name, log)
                    running[pool.submit(_follow, processes[-1], stage, log)] = stage
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    stage = running.pop(future)
                    _check(stage, future.result(), root)
                    done.add(stage.name)
        finally:
            for end, handler in before.items():
                signal.signal(end, handler)
            for process in processes:
                if process.poll() is None:
                    process.terminate()


def _start(stage: Stage) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *stage.arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",  # a library's bytes are no reason to lose hours
        env={**os.environ, PARENT: str(os.getpid()), "PYTHONIOENCODING": "utf-8"},
    )


def _follow(process: subprocess.Popen[str], stage: Stage, log: Path) -> Exit:
    """Copy a stage's output to its log, and its progress to the log of this process; return how it ended."""
    make_folder(log.parent)
    fault = ""
    with process, appender(log) as out:
        for line in process.stdout or ():
            out.write(line)
            out.flush()
            if PROGRESS.search(line):
                logger.info("%s: %s", stage.name, line.rstrip())
            if FAULT.match(line):
                fault = line.strip()
    return Exit(process.returncode, fault)


def _check(stage: Stage, end: Exit, root: Path) -> None:
    if end.status == 0:
        return
    if end.status < 0:
        how = f"was ended by {signal.Signals(-end.status).name}"
        how += " (if the system sent it: out of memory)" if -end.status == signal.SIGKILL else ""
    else:
        how = f"failed with exit status {end.status}"
    raise UserError(
        f"{stage.name} {how}{': ' if end.fault else ''}{end.fault.removeprefix('error: ')}\n"
        f"its output is in {_log_file(stage, root)}; run it alone with: adasr {shlex.join(stage.arguments)}"
    )


def _log_file(stage: Stage, root: Path) -> Path:
    return root / "logs" / f"{stage.name.replace('/', '.')}.log"
