"""SFT, RL and the read-then-think baseline from one configuration, over seeds, and the table that compares them.

    adasr compare --config configs/tiny/compare.yaml --variants hrpo,grpo --seeds 3

A seed's stages are commands of their own (``adasr sft``, ``hrpo``, ``eval`` ...) with run directories of their own
under ``output_dir/seed-N``; a stage that is complete does nothing, so an interrupted comparison goes on where it
stopped. All variants of a seed start from the same SFT model.
"""

from __future__ import annotations

import argparse
import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.config import ConfigError, load_config, split_overrides
from adasr_trl.files import UserError
from adasr_trl.table import write_tables

logger = logging.getLogger(__name__)

READ_THEN_THINK, SFT = "read-then-think", "sft"
COMMANDS = ("sft", "hrpo", "grpo", "eval")
Extra = Mapping[str, Mapping[str, object]]
PROGRESS = re.compile(r"^step \d+/|questions, |is complete$|^resuming")  # lines worth showing


@dataclass(frozen=True)
class CompareSection:
    """What a comparison runs.

    Attributes:
        output_dir: Where the seeds' runs go.
        sft: Configuration of SFT, also of the baseline's.
        hrpo: Configuration of HRPO.
        grpo: Configuration of the flat baseline.
        eval: Configuration of the evaluations.
        quick: Settings that ``--quick`` lays over each command, by command.
    """

    output_dir: str
    sft: str
    hrpo: str
    grpo: str
    eval: str
    quick: dict[str, dict[str, float | int | str | bool]]


@dataclass(frozen=True)
class Stage:
    """One command, and the stages that must be complete before it."""

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()


def compare(options: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Run every stage that is not complete, then print the table."""
    variants = _variants(options.variants)
    loaded = load_config(options.config, (), {"compare": CompareSection})
    loaded.refuse_unknown(())
    section: CompareSection = loaded.section("compare")
    parallel = options.layout == "parallel"
    suffix = ("-parallel" if parallel else "") + ("-quick" if options.quick else "")
    root = Path(section.output_dir + suffix)
    extra = _by_command(section.quick if options.quick else {}, overrides)
    for command in ("sft", "hrpo", "grpo") if options.layout else ():
        extra.setdefault(command, {}).setdefault("streaming.layout", options.layout)
    seeds = range(options.seed, options.seed + options.seeds)
    if not seeds:
        raise ConfigError(f"command line --seeds: got {options.seeds}; expected 1 or more.")
    stages = [
        stage
        for seed in seeds
        for stage in _stages(section, root / f"seed-{seed}", seed, variants, extra)
    ]
    started = time.monotonic()
    _run_all(stages, root, max(1, options.jobs))
    logger.info("all stages complete after %.1f minutes", (time.monotonic() - started) / 60)
    runs = {
        method: [root / f"seed-{seed}" / method for seed in seeds]
        for method in (READ_THEN_THINK, SFT, *reversed(variants))
    }
    sys.stdout.write(write_tables(runs, root))
    sys.stdout.write(f"\nRuns: {root}\nTable: {root / 'table.md'}\n")
    return 0


def _variants(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= {"hrpo", "grpo"} or len(set(names)) < len(names):
        raise ConfigError(
            f"command line --variants: got {text!r}; expected hrpo, grpo or hrpo,grpo."
        )
    return names


def _stages(
    section: CompareSection, folder: Path, seed: int, variants: Sequence[str], extra: Extra
) -> list[Stage]:
    """The stages of one seed; the two SFT runs come first, so that two cores have work throughout."""

    def train(
        name: str, command: str, config: str, *more: str, needs: tuple[str, ...] = ()
    ) -> Stage:
        flags = (
            "--output_dir",
            str(folder / name),
            "--seed",
            str(seed),
            *more,
            *_flags(extra.get(command, {})),
        )
        arguments = (command, "--config", config, "--refresh", *flags)
        return Stage(f"{folder.name}/{name}", arguments, needs)

    def evaluate(name: str, mode: str) -> Stage:
        flags = ("--model.path", str(folder / name), "--eval.modes", f"[{mode}]")
        arguments = (
            "eval",
            "--config",
            section.eval,
            "--refresh",
            *flags,
            *_flags(extra.get("eval", {})),
        )
        return Stage(f"{folder.name}/{name}/eval", arguments, (f"{folder.name}/{name}",))

    sft = f"{folder.name}/{SFT}"
    stages = [
        train(SFT, "sft", section.sft),
        train(READ_THEN_THINK, "sft", section.sft, "--mode", "read_then_think"),
    ]
    for variant in variants:
        config = section.hrpo if variant == "hrpo" else section.grpo
        stages.append(
            train(variant, variant, config, "--model.path", str(folder / SFT), needs=(sft,))
        )
    stages += [evaluate(variant, "streaming") for variant in variants]
    return [*stages, evaluate(SFT, "streaming"), evaluate(READ_THEN_THINK, "read_then_think")]


def _by_command(quick: Extra, overrides: Sequence[str]) -> dict[str, dict[str, object]]:
    """Settings for each stage's command: ``--quick``'s, and over them ``--hrpo.learning_rate 1e-5`` and the like."""
    extra = {command: dict(settings) for command, settings in quick.items()}
    for flag, text in split_overrides(overrides):
        command, _, key = flag.partition(".")
        if command not in COMMANDS or not key:
            raise ConfigError(
                f"command line --{flag}: compare has no such setting; name the stage first, such as "
                f"--hrpo.{flag} (stages: {', '.join(COMMANDS)})."
            )
        extra.setdefault(command, {})[key] = text
    return extra


def _flags(settings: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(part for key, value in settings.items() for part in (f"--{key}", str(value)))


def _run_all(stages: Sequence[Stage], root: Path, jobs: int) -> None:
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
    """Copy a stage's output to its log, and its progress to ours; return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as out:
        for line in process.stdout or ():
            out.write(line)
            out.flush()
            if PROGRESS.search(line):
                logger.info("%s: %s", stage.name, line.rstrip())
    return process.wait()


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
