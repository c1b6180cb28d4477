"""Grids of runs over seeds: ``adasr compare`` and ``adasr ablate``.

    adasr compare --config configs/tiny/compare.yaml --variants hrpo,grpo --seeds 3
    adasr ablate --config configs/tiny/ablate.yaml --seeds 3 --tables methods

Each seed has an SFT model, read-then-think's, and RL variants that all start from the SFT model. Stages are commands of
their own (``adasr sft``, ``hrpo``, ``eval`` ...) with run directories under ``output_dir/seed-N``; a complete stage does
nothing, so an interrupted grid goes on where it stopped. Tables are made from the records of the evaluations alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import re
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adasr_trl.artifacts import directory
from adasr_trl.config.eval_section import POOLED
from adasr_trl.config.loading import load_config, split_overrides
from adasr_trl.config.sections import ModelConfig
from adasr_trl.config.values import ConfigError
from adasr_trl.core.protocol import TAUGHT_MODES, Mode
from adasr_trl.experiments.changes import warn_of_changes
from adasr_trl.experiments.stages import (
    Stage,
    eval_stage,
    flags,
    pretrained_stage,
    run_all,
    train_stage,
)
from adasr_trl.experiments.tables import (
    BASELINES,
    READ_THEN_THINK,
    SFT,
    ZERO_SHOT,
    Grid,
    TableSection,
    check_page,
    run_and_mode,
    write_comparison,
    write_tables,
)

logger = logging.getLogger(__name__)

COMMANDS = ("sft", "hrpo", "grpo", "eval")
# Settings that make a stage what its name says: the same for all seeds, they would make one run of them.
PINNED: Mapping[str, tuple[str, ...]] = {
    "sft": ("seed", "output_dir", "mode"),
    "hrpo": ("seed", "output_dir", "model.path"),
    "grpo": ("seed", "output_dir", "model.path"),
    "eval": (
        "model.path",
        "eval.runs",
        "eval.modes",
        "eval.run_modes",
        "eval.name",
        "eval.output_dir",
    ),
}
_NAME = re.compile(r"[\w-][\w.-]*")  # of a folder
Settings = dict[str, float | int | str | bool]
Extra = Mapping[str, Mapping[str, object]]  # settings of each command, over its configuration
Check = Callable[[Sequence[Stage]], None]  # refuses a setting that a stage would refuse


@dataclass(frozen=True)
class CompareSection:
    """Runs of a comparison."""

    output_dir: str  # folder of the seeds' runs
    sft: str  # configuration of SFT, also of read-then-think's
    hrpo: str  # configuration of HRPO
    grpo: str  # configuration of GRPO
    eval: str  # configuration of the evaluations
    quick: dict[str, Settings] = field(default_factory=dict)  # --quick's settings, by command

    def __post_init__(self) -> None:
        """Refuse settings of no stage, and those that the grid itself sets."""
        for command, settings in self.quick.items():
            if command not in COMMANDS:
                raise ValueError(f"quick: got {command!r}; expected one of {', '.join(COMMANDS)}.")
            if pinned := pinned_among(settings, command):
                raise ValueError(f"quick: {command}: {_why_pinned(pinned)}")


@dataclass(frozen=True, kw_only=True)
class AblateSection(CompareSection):
    """Runs of an ablation, and its tables."""

    # Settings of each RL run over its configuration, by its name; ``command: grpo`` takes GRPO's.
    variants: dict[str, Settings]
    tables: tuple[TableSection, ...]  # the comparisons
    # Settings of further SFT runs over its configuration, by name: no RL starts from them.
    sft_variants: dict[str, Settings] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)  # further files of unseen episodes, by name

    def __post_init__(self) -> None:
        """Refuse names that clash or are no folder's, and a table of runs that the grid does not have."""
        super().__post_init__()
        self._check_names()
        known = {*BASELINES, SFT, *self.variants, *self.sft_variants}
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

    @property
    def methods(self) -> set[str]:
        """All runs that the tables need."""
        return {name for table in self.tables for name in table.runs}

    def questions(self, test: str) -> dict[str, object]:
        """Settings of an evaluation on a test file; none for the configuration's own."""
        return {"eval.name": test, "data.test": self.tests[test]} if test else {}

    @property
    def modes(self) -> dict[str, Mode]:
        """The modes that the further SFT runs are taught and measured in."""
        taught = {name: own.get("mode", Mode.STREAMING) for name, own in self.sft_variants.items()}
        return {name: Mode(mode) for name, mode in taught.items()}

    def _check_names(self) -> None:
        self._refuse_names("variants", self.variants, {SFT, *BASELINES})
        self._refuse_names("sft_variants", self.sft_variants, {SFT, *BASELINES, *self.variants})
        for name, own in self.sft_variants.items():
            known = [mode.value for mode in TAUGHT_MODES]
            if own.get("mode", Mode.STREAMING.value) not in known:
                raise ValueError(
                    f"sft_variants: {name}: got mode {own['mode']!r}; expected one of {', '.join(known)}."
                )
            if pinned := pinned_among([key for key in own if key != "mode"], "sft"):
                raise ValueError(f"sft_variants: {name}: {_why_pinned(pinned)}")
        for name, own in self.variants.items():
            command = str(own.get("command", "hrpo"))
            if command not in ("hrpo", "grpo"):
                raise ValueError(
                    f"variants: {name}: got command {command!r}; expected hrpo or grpo."
                )
            if pinned := pinned_among(own, command):
                raise ValueError(f"variants: {name}: {_why_pinned(pinned)}")
        for name in self.tests:
            if not re.fullmatch(r"[\w-]+", name) or name == POOLED:
                raise ValueError(
                    f"tests: got the name {name!r}; expected letters, digits, - and _, and another name than {POOLED!r}."
                )
        names = [table.name for table in self.tables]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"tables: two have the name {twice[0]!r}; a page has one place for it."
            )

    @staticmethod
    def _refuse_names(key: str, names: Iterable[str], taken: set[str]) -> None:
        for name in names:
            if name in taken or not _NAME.fullmatch(name):
                raise ValueError(
                    f"{key}: got the name {name!r}; expected letters, digits, - _ and ., and none of "
                    f"{', '.join(sorted(taken))}."
                )


def pinned_among(settings: Iterable[str], command: str) -> str:
    """The first setting that the grid sets itself, or that holds one; empty without."""
    return next(
        (
            key
            for key in settings
            for pin in PINNED[command]
            if key == pin or pin.startswith(f"{key}.")
        ),
        "",
    )


def _why_pinned(key: str) -> str:
    return (
        f"got {key}, which the grid sets for each run; remove it (--seed and --seeds choose seeds)."
    )


def compare(options: argparse.Namespace, overrides: Sequence[str], check: Check) -> int:
    """Run every stage that is not complete, then print the table; return the exit status."""
    names = _variants(options.variants)
    loaded = load_config(options.config, (), {"compare": CompareSection})
    loaded.refuse_unknown(())
    section = comparison(loaded.section("compare"), names)
    grid, started = _grid(section, options), time.monotonic()
    extra = extra_settings(section, options, overrides, ("sft", *names, "eval"))
    stages = _stages(section, extra, grid)
    check(stages)
    run_all(stages, grid.root, options.jobs)
    logger.info("all stages complete after %.1f minutes", (time.monotonic() - started) / 60)
    sys.stdout.write(write_comparison(grid, section.tables[0].methods))
    sys.stdout.write(f"\nRuns: {grid.root}\nTable: {grid.root / 'table.md'}\n")
    return 0


def ablate(options: argparse.Namespace, overrides: Sequence[str], check: Check) -> int:
    """Run what is not complete, then write the tables; return the exit status."""
    if overrides:
        raise ConfigError(f"command line {overrides[0]}: ablate has no such argument.")
    loaded = load_config(options.config, (), {"ablate": AblateSection})
    loaded.refuse_unknown(())
    section: AblateSection = loaded.section("ablate")
    section = dataclasses.replace(section, tables=chosen(section.tables, options.tables))
    extra, grid = extra_settings(section, options, ()), _grid(section, options)
    if ZERO_SHOT in section.methods:
        grid = dataclasses.replace(grid, pretrained=str(pretrained(section, extra)["model.path"]))
    page = Path(options.page) if options.page else None
    if page:
        check_page(section.tables, grid, page)
    stages = _stages(section, extra, grid)
    if options.tables_only:
        warn_of_changes(stages, grid.root)
    else:
        check(stages)
        run_all(stages, grid.root, options.jobs)
    sys.stdout.write(write_tables(section.tables, grid, page))
    return 0


def pretrained(section: AblateSection, extra: Extra) -> dict[str, object]:
    """Settings of the pretrained model that SFT starts from; a ConfigError where there is none."""
    settings = {key: value for key, value in extra["sft"].items() if key.startswith("model.")}
    loaded = load_config(section.sft, flags(settings), {"model": ModelConfig})
    model: ModelConfig = loaded.section("model")
    if model.path is None or directory.is_loadable(Path(model.path)):
        raise loaded.error(
            "model.path",
            f"got {model.path or 'none'}; {ZERO_SHOT} in ablate.tables needs a pretrained chat model to start from.",
        )
    keys = ("path", "revision", "gguf_file", "trust_remote_code")
    return {f"model.{key}": vars(model)[key] for key in keys if vars(model)[key]}


def zero_shot_stages(section: AblateSection, extra: Extra, root: Path) -> list[Stage]:
    """Evaluations of the pretrained model, one for each set of questions; no seed changes it."""
    stages: list[Stage] = []
    for test in sorted({table.test for table in section.tables if ZERO_SHOT in table.runs}):
        settings = {"eval.modes": "[zero_shot]", "eval.output_dir": root / ZERO_SHOT}
        settings |= pretrained(section, extra) | dict(extra["eval"]) | section.questions(test)
        needs = tuple(stage.name for stage in stages)  # they share a folder
        stages.append(pretrained_stage(ZERO_SHOT, section.eval, settings, needs))
    return stages


def comparison(section: CompareSection, names: Sequence[str]) -> AblateSection:
    """The ablation of these commands, with one table that has SFT as its reference."""
    methods = (READ_THEN_THINK, SFT, *reversed(names))
    return AblateSection(
        **vars(section),
        variants={name: {"command": name} for name in names},
        tables=(TableSection("comparison", "Comparison", methods, reference=SFT),),
    )


def stages_of(section: AblateSection, extra: Extra, folder: Path, seed: int) -> list[Stage]:
    """The stages of one seed that the tables need; the SFT runs come first, so that two cores have work throughout."""
    names = section.methods - {ZERO_SHOT}
    sft = ("sft", section.sft)
    stages = [train_stage(folder, SFT, sft, {"seed": seed, **extra["sft"]})]
    for run in dict.fromkeys(BASELINES[name][0] for name in BASELINES if name in names):
        settings = {"seed": seed, "mode": BASELINES[run][1].value, **extra["sft"]}
        stages.append(train_stage(folder, run, sft, settings))
    for name, own in section.sft_variants.items():
        if name in names:
            stages.append(train_stage(folder, name, sft, {"seed": seed, **extra["sft"], **own}))
    for name, own in section.variants.items():
        if name in names:
            command = str(own.get("command", "hrpo"))
            config = section.grpo if command == "grpo" else section.hrpo
            settings = {"seed": seed, "model.path": folder / SFT, **extra[command], **own}
            settings.pop("command", None)
            needs = (f"{folder.name}/{SFT}",)
            stages.append(train_stage(folder, name, (command, config), settings, needs))
    for test in sorted({table.test for table in section.tables}):
        methods = {x for table in section.tables if table.test == test for x in table.runs}
        for run, modes in _modes(methods - {ZERO_SHOT}, section.modes):
            settings = {"eval.modes": f"[{', '.join(modes)}]", **extra["eval"]}
            settings |= section.questions(test)
            stages.append(eval_stage(folder, run, section.eval, settings))
    return stages


def _modes(methods: Iterable[str], own_modes: Mapping[str, Mode]) -> list[tuple[str, list[str]]]:
    """Each run, and the modes that its methods measure it in."""
    modes = defaultdict[str, list[str]](list)
    for method in sorted(methods):
        run, mode = run_and_mode(method, own_modes)
        modes[run].append(mode.value)
    return sorted(modes.items())


def chosen(tables: Sequence[TableSection], names: str | None) -> tuple[TableSection, ...]:
    """The tables named (with commas between), or all."""
    if names is None:
        return tuple(tables)
    known = {table.name: table for table in tables}
    wanted = list(dict.fromkeys(names.split(",")))
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ConfigError(
            f"command line --tables: got {missing[0]!r}; expected names of {', '.join(known)}."
        )
    return tuple(known[name] for name in wanted)


def extra_settings(
    section: CompareSection,
    options: argparse.Namespace,
    overrides: Sequence[str],
    stages: Sequence[str] = COMMANDS,
) -> dict[str, dict[str, object]]:
    """Settings by command: the layout, ``--quick``'s, and over them ``--hrpo.learning_rate 1e-5`` and the like.

    ``stages`` are the commands that run at all.
    """
    layout = {"streaming.layout": options.layout} if options.layout else {}
    extra: dict[str, dict[str, object]] = {
        command: {
            **(layout if command != "eval" else {}),
            **(section.quick.get(command, {}) if options.quick else {}),
        }
        for command in COMMANDS
    }
    for flag, text in split_overrides(overrides):
        command, _, key = flag.partition(".")
        if command not in COMMANDS or not key:
            raise ConfigError(
                f"command line --{flag}: compare has no such setting; name the stage first, such as "
                f"--hrpo.{flag} (stages: {', '.join(COMMANDS)})."
            )
        if command not in stages:
            raise ConfigError(
                f"command line --{flag}: {command} does not run here; add it to --variants, or remove the setting."
            )
        if pinned := pinned_among([key], command):
            raise ConfigError(f"command line --{flag}: {_why_pinned(pinned)}")
        extra[command][key] = text
    return extra


def _variants(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= {"hrpo", "grpo"} or len(set(names)) < len(names):
        raise ConfigError(
            f"command line --variants: got {text!r}; expected hrpo, grpo or hrpo,grpo."
        )
    return names


def _grid(section: CompareSection, options: argparse.Namespace) -> Grid:
    seeds = range(options.seed, options.seed + options.seeds)
    if not seeds:
        raise ConfigError(f"command line --seeds: got {options.seeds}; expected 1 or more.")
    if options.seed < 0:
        raise ConfigError(f"command line --seed: got {options.seed}; expected 0 or more.")
    if options.jobs < 1:
        raise ConfigError(f"command line --jobs: got {options.jobs}; expected 1 or more.")
    parallel = options.layout == "parallel"
    suffix = ("-parallel" if parallel else "") + ("-quick" if options.quick else "")
    command = [
        f"adasr {options.command} --config {shlex.quote(options.config)} --seeds {options.seeds}"
    ]
    command += [f"--seed {options.seed}"] if options.seed else []
    command += [f"--layout {options.layout}"] if options.layout else []
    command += ["--quick"] if options.quick else []
    return Grid(
        Path(section.output_dir + suffix),
        tuple(seeds),
        " ".join(command),
        parallel,
        modes=section.modes if isinstance(section, AblateSection) else {},
    )


def _stages(section: AblateSection, extra: Extra, grid: Grid) -> list[Stage]:
    stages = zero_shot_stages(section, extra, grid.root)
    for seed in grid.seeds:
        stages += stages_of(section, extra, grid.root / f"seed-{seed}", seed)
    return stages
