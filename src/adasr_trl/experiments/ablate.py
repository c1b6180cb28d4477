"""A grid of RL variants over seeds, each from its seed's SFT model, and the tables that compare them.

    adasr ablate --config configs/tiny/ablate.yaml --seeds 3
    adasr ablate --config configs/tiny/ablate.yaml --tables-only --page docs/results/tiny.md

Runs are commands of their own, as in ``compare``, so an interrupted grid goes on where it stopped. Tables are made from
the records of the evaluations alone: ``--tables-only`` makes them again without a model.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adasr_trl.config.loading import ConfigError, load_config
from adasr_trl.evaluation.tables import BASELINE, REFERENCE
from adasr_trl.experiments.stages import Stage, eval_stage, run_all, train_stage
from adasr_trl.experiments.tables import Grid, Table, write_grid

logger = logging.getLogger(__name__)

Settings = dict[str, float | int | str | bool]


@dataclass(frozen=True)
class AblateSection:
    """What a grid runs and shows.

    Attributes:
        output_dir: Where the seeds' runs go.
        sft: Configuration of SFT, also of read-then-think's.
        hrpo: Configuration of the variants.
        grpo: Configuration of variants with ``command: grpo``.
        eval: Configuration of the evaluations.
        variants: Settings of each RL run over its configuration, by its name.
        tables: What is compared with what.
        tests: Further files of unseen episodes, by name.
        quick: Settings that ``--quick`` lays over each command, by command.
    """

    output_dir: str
    sft: str
    hrpo: str
    grpo: str
    eval: str
    variants: dict[str, Settings]
    tables: tuple[Table, ...]
    tests: dict[str, str] = field(default_factory=dict)
    quick: dict[str, Settings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a table of runs that the grid does not have."""
        known = {BASELINE, REFERENCE, *self.variants}
        for table in self.tables:
            missing = [name for name in table.runs if name not in known]
            if missing:
                raise ValueError(
                    f"ablate.tables: {table.name!r} names {missing[0]!r}; expected one of {', '.join(sorted(known))}."
                )
            if table.test and table.test not in self.tests:
                raise ValueError(
                    f"ablate.tables: {table.name!r} is of test {table.test!r}; ablate.tests has no such file."
                )


def ablate(options: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Run what is not complete, then write the tables; returns the exit status."""
    if overrides:
        raise ConfigError(f"command line {overrides[0]}: ablate has no such argument.")
    loaded = load_config(options.config, (), {"ablate": AblateSection})
    loaded.refuse_unknown(())
    section: AblateSection = loaded.section("ablate")
    tables = chosen(section.tables, options.tables)
    seeds = range(options.seed, options.seed + options.seeds)
    if not seeds:
        raise ConfigError(f"command line --seeds: got {options.seeds}; expected 1 or more.")
    parallel = options.layout == "parallel"
    suffix = ("-parallel" if parallel else "") + ("-quick" if options.quick else "")
    root = Path(section.output_dir + suffix)
    if not options.tables_only:
        common: Settings = {"streaming.layout": options.layout} if options.layout else {}
        quick = section.quick if options.quick else {}
        stages = [
            stage
            for seed in seeds
            for stage in _stages(section, tables, root / f"seed-{seed}", seed, quick, common)
        ]
        run_all(stages, root, max(1, options.jobs))
    grid = Grid(root, tuple(seeds), _command(options), parallel)
    page = Path(options.page) if options.page else None
    sys.stdout.write(write_grid(tables, grid, page))
    return 0


def chosen(tables: Sequence[Table], names: str | None) -> tuple[Table, ...]:
    """The tables named (with commas between), or all."""
    if names is None:
        return tuple(tables)
    known = {table.name: table for table in tables}
    missing = [name for name in names.split(",") if name not in known]
    if missing:
        raise ConfigError(
            f"command line --tables: got {missing[0]!r}; expected names of {', '.join(known)}."
        )
    return tuple(known[name] for name in names.split(","))


def _command(options: argparse.Namespace) -> str:
    """The command that runs this again."""
    parts = [f"adasr ablate --config {options.config} --seeds {options.seeds}"]
    parts += [f"--seed {options.seed}"] if options.seed else []
    parts += [f"--layout {options.layout}"] if options.layout else []
    parts += ["--quick"] if options.quick else []
    return " ".join(parts)


def _stages(
    section: AblateSection,
    tables: Sequence[Table],
    folder: Path,
    seed: int,
    quick: Mapping[str, Settings],
    common: Settings,
) -> list[Stage]:
    """The stages of one seed that the tables need."""
    methods = {name for table in tables for name in table.runs}
    methods.add(REFERENCE)

    def settings(command: str, *more: Settings) -> dict[str, object]:
        found: dict[str, object] = {"seed": seed, **common, **quick.get(command, {})}
        for each in more:
            found |= each
        return found

    stages = [train_stage(folder, REFERENCE, ("sft", section.sft), settings("sft"))]
    if BASELINE in methods:
        mode: Settings = {"mode": "read_then_think"}
        stages.append(train_stage(folder, BASELINE, ("sft", section.sft), settings("sft", mode)))
    for name, own in section.variants.items():
        if name not in methods:
            continue
        command = str(own.get("command", "hrpo"))
        config = section.grpo if command == "grpo" else section.hrpo
        changes: Settings = {key: value for key, value in own.items() if key != "command"}
        start: Settings = {"model.path": str(folder / REFERENCE)}
        needs = (f"{folder.name}/{REFERENCE}",)
        stages.append(
            train_stage(folder, name, (command, config), settings(command, start, changes), needs)
        )
    for test in sorted({table.test for table in tables}):
        of_test = {n for t in tables if t.test == test for n in t.runs}
        for name in sorted(of_test):
            mode = {"eval.modes": f"[{'read_then_think' if name == BASELINE else 'streaming'}]"}
            other: Settings = {"eval.name": test, "data.test": section.tests[test]} if test else {}
            stages.append(
                eval_stage(folder, name, section.eval, {**quick.get("eval", {}), **mode, **other})
            )
    return stages
