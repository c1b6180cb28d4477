"""Which runs a report is about, and what they were asked.

    >>> gather(["runs/tiny"], temperature=None)               # a comparison: its methods, each with its seeds
    >>> gather(["before=runs/a", "after=runs/b"], temperature=0.0)

Runs of the same name are taken for seeds of one method. All must have answered the same questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.evaluation import EPISODES_FILE, EVAL_FOLDER, Setting, recorded_settings
from adasr_trl.files import UserError
from adasr_trl.protocol import Mode
from adasr_trl.rundir import RUN_FILE, file_digest

ORDER = ("read-then-think", "sft", "grpo", "hrpo")  # others behind them, by name


@dataclass(frozen=True)
class Method:
    """Runs of one kind, and the setting that they are compared in.

    Attributes:
        name: What the page calls it.
        runs: Their directories, one a seed.
        setting: Mode and temperature.
    """

    name: str
    runs: tuple[Path, ...]
    setting: Setting

    def records(self, seed: int) -> Path:
        """The folder of a seed's records."""
        return self.runs[seed] / EVAL_FOLDER


def gather(arguments: Sequence[str], temperature: float | None) -> list[Method]:
    """The methods that the arguments name, in the order of the paper's table.

    Args:
        arguments: Evaluated runs, ``NAME=RUN``, or folders of a comparison (``seed-N/METHOD`` in them).
        temperature: Of the records to use; the lowest that was recorded if None.

    Raises:
        UserError: No run there, one that was not evaluated, or runs that answered other questions.
    """
    runs: dict[str, list[Path]] = {}
    for argument in arguments:
        for name, run in _named(argument):
            if run not in runs.setdefault(name, []):
                runs[name].append(run)
    methods = [
        Method(name, tuple(found), _setting(found[0], temperature)) for name, found in runs.items()
    ]
    methods.sort(key=lambda each: ORDER.index(each.name) if each.name in ORDER else len(ORDER))
    _check(methods)
    return methods


def _named(argument: str) -> list[tuple[str, Path]]:
    name, separator, path = argument.partition("=")
    if separator and not Path(argument).exists():
        return [(name, Path(path))]
    folder = Path(argument)
    if (folder / RUN_FILE).is_file():
        return [(folder.resolve().name, folder)]
    found = [
        (run.name, run)
        for run in sorted(folder.glob("seed-*/*"))
        if (run / EVAL_FOLDER / EPISODES_FILE).is_file()
    ]
    if not found:
        raise UserError(
            f"{argument}: neither a run ({RUN_FILE}) nor a comparison with evaluated runs in seed-*/; name a run that "
            f"was evaluated (adasr eval), NAME=RUN, or the output_dir of adasr compare."
        )
    return found


def _setting(run: Path, temperature: float | None) -> Setting:
    recorded = [each for each in recorded_settings(run / EVAL_FOLDER) if each.layout is None]
    if not recorded:
        raise UserError(f"{run}: it was not evaluated; run adasr eval on it first.")
    known = sorted({each.temperature for each in recorded})
    wanted = known[0] if temperature is None else temperature
    fitting = {each.mode: each for each in recorded if each.temperature == wanted}
    if not fitting:
        raise UserError(
            f"{run}: no records of temperature {wanted:g}; those of {', '.join(f'{t:g}' for t in known)} are there."
        )
    return fitting.get(Mode.STREAMING) or next(iter(fitting.values()))


def _check(methods: Sequence[Method]) -> None:
    first = methods[0].records(0) / EPISODES_FILE
    asked = file_digest(first)
    for method in methods:
        for seed, run in enumerate(method.runs):
            folder = method.records(seed)
            if not (folder / method.setting.file).is_file():
                raise UserError(
                    f"{run}: lacks {EVAL_FOLDER}/{method.setting.file}; evaluate it as {method.runs[0]} was."
                )
            if file_digest(folder / EPISODES_FILE) != asked:
                raise UserError(
                    f"{run}: answered other questions than {first.parent.parent}; a report compares runs on the same "
                    f"ones."
                )
