"""SFT, RL and the read-then-think baseline from one configuration, over seeds, and the table that compares them.

    adasr compare --config configs/tiny/compare.yaml --variants hrpo,grpo --seeds 3

A seed's stages are commands of their own (``adasr sft``, ``hrpo``, ``eval`` ...) with run directories of their own
under ``output_dir/seed-N``; a stage that is complete does nothing, so an interrupted comparison goes on where it
stopped. All variants of a seed start from the same SFT model.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.config.loading import ConfigError, load_config, split_overrides
from adasr_trl.evaluation.tables import write_tables
from adasr_trl.experiments.stages import Stage, eval_stage, run_all, train_stage

logger = logging.getLogger(__name__)

READ_THEN_THINK, SFT = "read-then-think", "sft"
COMMANDS = ("sft", "hrpo", "grpo", "eval")
Extra = Mapping[str, Mapping[str, object]]


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
    run_all(stages, root, max(1, options.jobs))
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
    sft = {"seed": seed, **extra.get("sft", {})}
    thinker = {"seed": seed, "mode": "read_then_think", **extra.get("sft", {})}
    stages = [
        train_stage(folder, SFT, ("sft", section.sft), sft),
        train_stage(folder, READ_THEN_THINK, ("sft", section.sft), thinker),
    ]
    for variant in variants:
        config = section.hrpo if variant == "hrpo" else section.grpo
        settings = {"seed": seed, "model.path": folder / SFT, **extra.get(variant, {})}
        needs = (f"{folder.name}/{SFT}",)
        stages.append(train_stage(folder, variant, (variant, config), settings, needs))
    for name in (*variants, SFT, READ_THEN_THINK):
        mode = "read_then_think" if name == READ_THEN_THINK else "streaming"
        settings = {"eval.modes": f"[{mode}]", **extra.get("eval", {})}
        stages.append(eval_stage(folder, name, section.eval, settings))
    return stages


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
