"""Settings of an evaluation: how questions are put to a run, and the words for it.

>>> Setting(Mode.STREAMING, 0.0).file
'streaming-temperature-0.jsonl'
>>> Condition("hrpo", Setting(Mode.STREAMING, 1.0), samples=2).label
'hrpo, streaming, sampled, T = 1 x 2'
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.config.eval_section import EvalConfig, ModeName
from adasr_trl.config.sections import LayoutName
from adasr_trl.core.protocol import Mode

_RECORDS = re.compile(r".+-temperature-(\d+(?:\.\d+)?(?:e[+-]\d+)?)(?:\.sample-\d+)?\.jsonl")


@dataclass(frozen=True)
class Setting:
    """How questions are put."""

    mode: Mode  # streaming, read-then-think, or streaming with a part taken away
    temperature: float  # 0 is greedy
    layout: LayoutName | None = None  # in place of the trained one
    sample: int = 0  # index among several rollouts of each question

    @property
    def name(self) -> str:
        """The name of its records, without their ending; ``adasr report --setting`` takes it."""
        layout = f"-{self.layout}" if self.layout else ""
        sample = f".sample-{self.sample}" if self.sample else ""
        return f"{self.mode.value}{layout}-temperature-{self.temperature:g}{sample}"

    @property
    def file(self) -> str:
        """The name of its records."""
        return f"{self.name}.jsonl"

    @property
    def mode_words(self) -> str:
        """Mode and layout in words."""
        mode = self.mode.value.replace("_", "-")
        return f"{mode}, {self.layout}" if self.layout else mode

    @property
    def decoding(self) -> str:
        """The temperature in words."""
        return decoding(self.temperature)


@dataclass(frozen=True)
class Condition:
    """A run in one setting, all samples together: one row of a table."""

    run: str
    setting: Setting  # the setting of the first sample
    samples: int = 1  # rollouts of each question

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The setting of each sample."""
        return tuple(dataclasses.replace(self.setting, sample=n) for n in range(self.samples))

    @property
    def names(self) -> tuple[str, str, str]:
        """Run, mode and decoding in words."""
        samples = f" x {self.samples}" if self.samples > 1 else ""
        return self.run, self.setting.mode_words, self.setting.decoding + samples

    @property
    def label(self) -> str:
        """The names in one line."""
        return ", ".join(self.names)


def decoding(temperature: float) -> str:
    """A temperature in words."""
    return f"sampled, T = {temperature:g}" if temperature else "greedy"


def settings_of(config: EvalConfig, modes: Sequence[ModeName]) -> tuple[Setting, ...]:
    """Every mode in every layout at every temperature; several samples only above temperature 0."""
    combinations = (
        (mode, layout, temperature)
        for mode in modes
        for layout in ((None,) if mode == Mode.ZERO_SHOT.value else config.layouts or (None,))
        for temperature in config.temperatures
    )
    return tuple(
        Setting(Mode(mode), abs(temperature), layout, sample)  # -0.0 is 0
        for mode, layout, temperature in combinations
        for sample in range(config.samples if temperature else 1)
    )


def recorded_settings(folder: Path) -> list[Setting]:
    """The settings that an evaluation folder holds whole records of; of several samples the first.

    Other files, such as a file manager's copies, are none.
    """
    named = [_RECORDS.fullmatch(path.name) for path in folder.glob("*-temperature-*.jsonl")]
    temperatures = sorted({float(match[1]) for match in named if match})
    layouts: tuple[LayoutName | None, ...] = (None, "interleaved", "parallel")
    combinations = itertools.product(Mode, layouts, temperatures)
    settings = [Setting(mode, temperature, layout) for mode, layout, temperature in combinations]
    return [setting for setting in settings if (folder / setting.file).is_file()]
