"""Which runs a report is about, and which records of theirs.

    >>> gather(["runs/tiny"], Wanted())                       # a comparison: its methods, each with its seeds
    >>> gather(["before=runs/a", "after=runs/b"], Wanted(temperature=1.0))
    >>> gather(["runs/a"], Wanted(settings=("streaming-temperature-0", "streaming-temperature-1")))

Runs of the same name are taken for seeds of one method. All must have answered the same questions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.artifacts.directory import file_digest
from adasr_trl.artifacts.names import EPISODES_FILE, EVAL_FOLDER, RUN_FILE, eval_folder
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.records import Setting, load_rollouts, recorded_settings

ORDER = (
    "read-then-think",
    "sft",
    "grpo",
    "hrpo",
)  # others behind them, in the order of the arguments


@dataclass(frozen=True)
class Wanted:
    """Which records a report is about.

    Attributes:
        settings: Names of record files without their ending; each run is shown in those of them that it has.
        temperature: Where no setting is named: of the records, the lowest recorded one if None.
        name: Of the evaluation (``eval.name``), for records under ``RUN/eval-NAME``.
    """

    settings: tuple[str, ...] = ()
    temperature: float | None = None
    name: str | None = None

    @property
    def folder(self) -> str:
        """Where a run keeps them."""
        return eval_folder(self.name or "")


@dataclass(frozen=True)
class Method:
    """Runs of one kind, and the setting that they are compared in.

    Attributes:
        name: What the page calls it.
        runs: Their directories, one a seed.
        setting: Mode and temperature.
        folder: Where in a run the records are.
    """

    name: str
    runs: tuple[Path, ...]
    setting: Setting
    folder: str = EVAL_FOLDER

    def records(self, seed: int) -> Path:
        """The folder of a seed's records."""
        return self.runs[seed] / self.folder

    def rollouts(self, seed: int) -> Iterator[tuple[Rollout, Episode]]:
        """A seed's rollouts with their episodes."""
        return load_rollouts(self.records(seed), self.setting)

    @property
    def trained(self) -> str:
        """The name without the setting: what was trained."""
        return self.name.removesuffix(f", {setting_name(self.setting)}")

    def run_names(self) -> list[str]:
        """What the page calls each of the runs."""
        if len(self.runs) == 1:
            return [self.name]
        seeds = [run.resolve().parent.name for run in self.runs]
        known = len(set(seeds)) == len(seeds) and all(re.fullmatch(r"seed-\d+", s) for s in seeds)
        labels = seeds if known else [f"run {n}" for n in range(1, len(seeds) + 1)]
        return [f"{self.name}, {label}" for label in labels]


def setting_name(setting: Setting) -> str:
    """What ``--setting`` calls it."""
    return setting.file.removesuffix(".jsonl")


def gather(arguments: Sequence[str], wanted: Wanted) -> list[Method]:
    """The methods that the arguments name, in the order of the paper's table.

    Args:
        arguments: Evaluated runs, ``NAME=RUN``, or folders of a comparison (``seed-N/METHOD`` in them).
        wanted: Which of their records.

    Raises:
        UserError: No run there, one that was not evaluated, or runs that answered other questions.
    """
    runs: dict[str, list[Path]] = {}
    for argument in arguments:
        for name, run in _named(argument, wanted.folder):
            if run.resolve() not in [known.resolve() for known in runs.setdefault(name, [])]:
                runs[name].append(run)
    methods = [
        method for name, found in runs.items() for method in _methods(name, tuple(found), wanted)
    ]
    rank = {name: n for n, name in enumerate(ORDER)}
    methods.sort(key=lambda each: rank.get(each.name.partition(",")[0], len(ORDER)))
    if len({method.name for method in methods}) < len(methods):
        raise UserError(
            "two methods have the same name; give other ones (NAME=RUN): "
            + "; ".join(method.name for method in methods)
        )
    _check(methods)
    return methods


def seed_pairs(method: Method, reference: Method) -> list[tuple[int, int]]:
    """Which seeds of two methods belong together: by their folder's name ``seed-N``, else in order."""
    seeds = [[run.resolve().parent.name for run in each.runs] for each in (method, reference)]
    shared = [name for name in seeds[0] if name in seeds[1] and re.fullmatch(r"seed-\d+", name)]
    if shared and all(names.count(name) == 1 for name in shared for names in seeds):
        return [(seeds[0].index(name), seeds[1].index(name)) for name in shared]
    return [(n, n) for n in range(min(len(method.runs), len(reference.runs)))]


def _named(argument: str, records: str) -> list[tuple[str, Path]]:
    name, separator, path = argument.partition("=")
    folder = Path(argument)
    given = bool(separator) and not folder.exists()
    if given:
        if not name.strip():
            raise UserError(f"{argument}: got no name before =; expected NAME=RUN.")
        name, folder = visible(name.strip()), Path(path)
    else:
        name = visible(folder.resolve().name)
    if (folder / RUN_FILE).is_file():
        return [(name, folder)]
    found = [
        (visible(run.name), run)
        for run in sorted(folder.glob("seed-*/*"))
        if (run / records / EPISODES_FILE).is_file()
    ]
    if not found or given:
        raise UserError(
            f"{folder}: neither a run ({RUN_FILE}) nor a comparison with evaluated runs (seed-*/*/{records}); name a run "
            f"that was evaluated (adasr eval), NAME=RUN, or the output_dir of adasr compare."
        )
    return found


def _methods(name: str, runs: tuple[Path, ...], wanted: Wanted) -> list[Method]:
    chosen = _settings(runs[0], wanted)
    if len(chosen) == 1:
        return [Method(name, runs, chosen[0], wanted.folder)]
    return [Method(f"{name}, {setting_name(s)}", runs, s, wanted.folder) for s in chosen]


def _settings(run: Path, wanted: Wanted) -> list[Setting]:
    recorded = recorded_settings(run / wanted.folder)
    if not recorded:
        raise UserError(f"{run / wanted.folder}: holds no records; run adasr eval on it first.")
    if wanted.settings:
        by_name = {setting_name(each): each for each in recorded}
        found = [by_name[name] for name in dict.fromkeys(wanted.settings) if name in by_name]
        if not found:
            raise UserError(
                f"{run}: --setting {', '.join(wanted.settings)}: it has no such records; expected one of "
                f"{', '.join(by_name)}."
            )
        return found
    usual = [each for each in recorded if each.layout is None] or recorded
    known = sorted({each.temperature for each in usual})
    lowest = known[0] if wanted.temperature is None else wanted.temperature
    fitting = [each for each in usual if each.temperature == lowest]
    if not fitting:
        raise UserError(
            f"{run}: no records of temperature {lowest:g}; those of {', '.join(f'{t:g}' for t in known)} are there."
        )
    streaming = [each for each in fitting if each.mode is Mode.STREAMING]
    return [(streaming or fitting)[0]]


def _check(methods: Sequence[Method]) -> None:
    first = methods[0].records(0) / EPISODES_FILE
    asked = file_digest(first)
    for method in methods:
        for seed, run in enumerate(method.runs):
            folder = method.records(seed)
            if not (folder / method.setting.file).is_file():
                raise UserError(
                    f"{run}: lacks {method.folder}/{method.setting.file}; evaluate it as {method.runs[0]} was."
                )
            if file_digest(folder / EPISODES_FILE) != asked:
                raise UserError(
                    f"{run}: answered other questions than {methods[0].runs[0]}; a report compares runs on the same "
                    f"ones. Evaluate both with the same data.test and eval.max_questions."
                )
