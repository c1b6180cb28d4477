"""Methods of a report: their runs, records and logs.

    >>> gather(["runs/tiny"], Wanted())                       # a comparison: its methods, each with its seeds
    >>> gather(["before=runs/a", "after=runs/b"], Wanted(temperature=1.0))
    >>> gather(["runs/a"], Wanted(settings=("streaming-temperature-0", "streaming-temperature-1")))

Runs of the same name are taken for seeds of one method. All must have answered the same questions.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from adasr_trl.artifacts.names import (
    EPISODES_FILE,
    EVAL_FOLDER,
    METRICS_FILE,
    PREVIOUS,
    RUN_FILE,
    eval_folder,
)
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.records import load_outcomes, questions_digest
from adasr_trl.evaluation.settings import Setting, recorded_settings
from adasr_trl.evaluation.summary import (
    PairedDifference,
    Runs,
    Summary,
    summarise_seeds,
    values_by_seed,
)

logger = logging.getLogger(__name__)

SEED_FOLDER = re.compile(r"seed-\d+")
RESAMPLES = 2_000  # of a paired difference
ORDER = ("read-then-think", "sft", "grpo", "hrpo")  # others follow in the order of the arguments


@dataclass(frozen=True)
class Wanted:
    """Records that a report is about."""

    # Names of record files without their ending; each run is shown in those that it has.
    settings: tuple[str, ...] = ()
    temperature: float | None = None  # without settings; None: the lowest recorded one
    name: str | None = None  # eval.name, of records under RUN/eval-NAME

    @property
    def folder(self) -> str:
        """Their folder in a run."""
        return eval_folder(self.name or "")


@dataclass(frozen=True)
class Method:
    """Runs of one kind in one setting, one run a seed."""

    name: str  # its name on the page
    runs: tuple[Path, ...]  # their directories
    setting: Setting  # mode and temperature
    folder: str = EVAL_FOLDER  # folder of the records in a run

    @cached_property
    def outcomes(self) -> Runs:
        """The outcomes of each seed."""
        return [load_outcomes(run / self.folder, self.setting) for run in self.runs]

    @cached_property
    def summary(self) -> Summary:
        """The seeds, pooled with questions within seeds."""
        return summarise_seeds(self.outcomes)

    @property
    def seeds(self) -> list[str]:
        """The folder of each run, ``seed-N`` in a comparison."""
        return [run.resolve().parent.name for run in self.runs]

    @property
    def trained(self) -> str:
        """The name without the setting."""
        return self.name.removesuffix(f", {self.setting.name}")

    def run_names(self) -> list[str]:
        """The name of each run on the page."""
        seeds = self.seeds
        if len(seeds) == 1:
            return [self.name]
        distinct = len(set(seeds)) == len(seeds) and all(map(SEED_FOLDER.fullmatch, seeds))
        labels = seeds if distinct else [f"run {n}" for n in range(1, len(seeds) + 1)]
        return [f"{self.name}, {label}" for label in labels]

    def pairs(self, reference: Method) -> list[tuple[int, int]]:
        """The seeds that are compared, the reference's first: of the same ``seed-N``, else in order."""
        seeds, others = self.seeds, reference.seeds
        shared = [name for name in seeds if name in others and SEED_FOLDER.fullmatch(name)]
        if shared and all(seeds.count(name) == others.count(name) == 1 for name in shared):
            return [(others.index(name), seeds.index(name)) for name in shared]
        return [(n, n) for n in range(min(len(seeds), len(others)))]

    def minus(self, reference: Method) -> PairedDifference:
        """The difference on the same questions, of the seeds of ``pairs``."""
        pairs = self.pairs(reference)
        first = values_by_seed([reference.outcomes[n] for n, _ in pairs])
        second = values_by_seed([self.outcomes[n] for _, n in pairs])
        return PairedDifference(first, second, RESAMPLES)


def gather(arguments: Sequence[str], wanted: Wanted) -> list[Method]:
    """The methods that the arguments name, in the order of the paper's table.

    Args:
        arguments: Evaluated runs, ``NAME=RUN``, or folders of a comparison (``seed-N/METHOD`` in them).
        wanted: Their records.

    Raises:
        UserError: No run there, one that was not evaluated, or runs that answered other questions.
    """
    runs: dict[str, list[Path]] = {}
    for argument in arguments:
        for name, run in _named(argument, wanted.folder):
            of_name = runs.setdefault(name, [])
            if run.resolve() not in [known.resolve() for known in of_name]:
                of_name.append(run)
    methods = [method for name in runs for method in _methods(name, tuple(runs[name]), wanted)]
    rank = {name: n for n, name in enumerate(ORDER)}
    methods.sort(key=lambda method: rank.get(method.name.partition(",")[0], len(ORDER)))
    if len({method.name for method in methods}) < len(methods):
        raise UserError(
            "two methods have the same name; give other ones (NAME=RUN): "
            + "; ".join(method.name for method in methods)
        )
    _check(methods)
    return methods


def check_out(out: Path, name: str, mark: str, *, overwrite: bool) -> None:
    """Refuse a page's file that is a folder, below a file, or a file of another kind, before anything is read.

    Args:
        out: The page's file.
        name: A good name, for the message.
        mark: Text that every page of the command has, those of earlier versions too.
        overwrite: Whether any file may be replaced.

    Raises:
        UserError: Nothing may be written there.
    """
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder; name a file, such as {out / name}.")
    for parent in out.parents:
        if parent.exists() and not parent.is_dir():
            raise UserError(f"--out: {parent} is a file; name a folder that the page may lie in.")
    if overwrite or not out.is_file() or out.stat().st_size == 0:
        return
    if mark not in out.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"--out: {out} is no page of this command, and would be replaced; name another file, or --overwrite."
        )


def reference_of(methods: Sequence[Method], wanted: str | None) -> Method:
    """The method that others are compared with: as wanted, else SFT, else the first.

    Raises:
        UserError: There is no such method.
    """
    by_name = {method.name: method for method in methods}
    if wanted is None:
        return by_name.get("sft", methods[0])
    if wanted not in by_name:
        raise UserError(f"--reference: got {wanted!r}; expected one of {', '.join(by_name)}.")
    return by_name[wanted]


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The finite numbers that a run logged, a line a time; nothing where it logged none.

    A last line without its end is left out: the run is being trained, or was killed.
    """
    file = run / METRICS_FILE
    if not file.is_file():
        return []
    whole = file.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    lines = (
        [_numbers(file, n, line) for n, line in enumerate(whole.split("\n"), 1)] if whole else []
    )
    _check_steps(file, lines)
    return lines


def _check_steps(file: Path, lines: Sequence[Mapping[str, float]]) -> None:
    """Refuse a line without its step, and steps that go back: lines of two runs would be one curve."""
    latest = -math.inf
    for number, line in enumerate(lines, start=1):
        step = line.get("step", math.nan)
        if not step >= latest:
            got = f"step {step:g} behind {latest:g}" if "step" in line else "its step is no number"
            raise UserError(
                f"{file}:{number}: no line of metrics of one run ({got}); fix it, or move the file aside."
            )
        latest = step


def _numbers(file: Path, number: int, line: str) -> dict[str, float]:
    try:
        entries = json.loads(line).items()
    except (AttributeError, ValueError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{file}:{number}: no line of metrics ({detail}); fix it, or move the file aside."
        ) from None
    return {
        key: value
        for key, value in entries
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _named(argument: str, records: str) -> list[tuple[str, Path]]:
    name, separator, path = argument.partition("=")
    folder = Path(argument)
    is_named = bool(separator) and not folder.exists()
    if is_named:
        if not name.strip():
            raise UserError(f"{argument}: got no name before =; expected NAME=RUN.")
        name, folder = visible(name.strip()), Path(path)
    else:
        name = visible(folder.resolve().name)
    if (folder / RUN_FILE).is_file() or (folder / records / EPISODES_FILE).is_file():
        return [(name, folder)]
    found = [
        run for run in sorted(folder.glob("seed-*/*")) if (run / records / EPISODES_FILE).is_file()
    ]
    evaluated = [(visible(run.name), run) for run in found if _is_of_grid(run)]
    for run in found:
        if not _is_of_grid(run):
            logger.warning("%s: left out, as a copy or moved aside; name it to show it", run)
    if not evaluated or is_named:
        raise UserError(
            f"{folder}: neither a run ({RUN_FILE}) nor a comparison with evaluated runs (seed-*/*/{records}); name a run "
            f"that was evaluated (adasr eval), NAME=RUN, or the output_dir of adasr compare."
        )
    return evaluated


def _is_of_grid(run: Path) -> bool:
    """Whether a comparison's commands made this folder; a copy would count as one more seed."""
    return bool(SEED_FOLDER.fullmatch(run.parent.name)) and not run.name.endswith(PREVIOUS)


def _methods(name: str, runs: tuple[Path, ...], wanted: Wanted) -> list[Method]:
    settings = _settings(runs[0], wanted)
    if len(settings) == 1:
        return [Method(name, runs, settings[0], wanted.folder)]
    return [Method(f"{name}, {s.name}", runs, s, wanted.folder) for s in settings]


def _settings(run: Path, wanted: Wanted) -> list[Setting]:
    recorded = recorded_settings(run / wanted.folder)
    if not recorded:
        raise UserError(f"{run / wanted.folder}: holds no records; run adasr eval on it first.")
    if wanted.settings:
        by_name = {setting.name: setting for setting in recorded}
        shown = [by_name[name] for name in dict.fromkeys(wanted.settings) if name in by_name]
        if not shown:
            raise UserError(
                f"{run}: --setting {', '.join(wanted.settings)}: it has no such records; expected one of "
                f"{', '.join(by_name)}."
            )
        return shown
    usual = [setting for setting in recorded if setting.is_as_trained] or recorded
    temperatures = sorted({setting.temperature for setting in usual})
    lowest = temperatures[0] if wanted.temperature is None else wanted.temperature
    fitting = [setting for setting in usual if setting.temperature == lowest]
    if not fitting:
        raise UserError(
            f"{run}: no records of temperature {lowest:g}; those of "
            f"{', '.join(f'{t:g}' for t in temperatures)} are there."
        )
    streaming = [setting for setting in fitting if setting.mode is Mode.STREAMING]
    return [(streaming or fitting)[0]]


def _check(methods: Sequence[Method]) -> None:
    first = methods[0].runs[0]
    questions = questions_digest(first / methods[0].folder)
    for method in methods:
        for folder in (run / method.folder for run in method.runs):
            if not (folder / method.setting.file).is_file():
                raise UserError(
                    f"{folder}: lacks {method.setting.file}; evaluate it as {method.runs[0]} was."
                )
            if questions_digest(folder) != questions:
                raise UserError(
                    f"{folder}: answered other questions than {first}; a report compares runs on the same ones. Evaluate "
                    f"both with the same data.test and eval.max_questions."
                )
