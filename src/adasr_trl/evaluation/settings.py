"""Settings of an evaluation: how questions are put to a run, and the words for it.

>>> Setting(Mode.STREAMING, 0.0).file
'streaming-temperature-0.jsonl'
>>> Condition("hrpo", Setting(Mode.STREAMING, 1.0), samples=2).label
'hrpo, streaming, sampled, T = 1 x 2'
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.config.eval_section import EvalConfig, ModeName
from adasr_trl.config.sections import LayoutName
from adasr_trl.core.protocol import Mode

_MODES = "|".join(mode.value for mode in Mode)
_FIRST_RECORDS = re.compile(
    rf"({_MODES})(?:-(interleaved|parallel))?(?:-thoughts-(\d+))?-temperature-(\d+(?:\.\d+)?(?:e[+-]\d+)?)\.jsonl"
)


@dataclass(frozen=True)
class Setting:
    """How questions are put."""

    mode: Mode  # streaming, read-then-think, or streaming with a part taken away
    temperature: float  # 0 is greedy
    layout: LayoutName | None = None  # in place of the trained one
    sample: int = 0  # index among several rollouts of each question
    thought_cap: int | None = None  # cap on a thought in place of the trained one

    @property
    def name(self) -> str:
        """The name of its records, without their ending; ``adasr report --setting`` takes it."""
        layout = f"-{self.layout}" if self.layout else ""
        layout += f"-thoughts-{self.thought_cap}" if self.thought_cap else ""
        sample = f".sample-{self.sample}" if self.sample else ""
        return f"{self.mode.value}{layout}-temperature-{self.temperature:g}{sample}"

    @property
    def file(self) -> str:
        """The name of its records."""
        return f"{self.name}.jsonl"

    @property
    def mode_words(self) -> str:
        """Mode, layout and cap of thoughts in words."""
        mode = self.mode.value.replace("_", "-")
        cap = f"thoughts of {self.thought_cap} tokens" if self.thought_cap else None
        return ", ".join(filter(None, (mode, self.layout, cap)))

    @property
    def is_as_trained(self) -> bool:
        """Whether layout and caps are the run's own."""
        return self.layout is None and self.thought_cap is None

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
    """Every mode in every layout with every cap at every temperature; several samples only above temperature 0."""
    combinations = (
        (mode, layout, cap, temperature)
        for mode in map(Mode, modes)
        for layout in ((None,) if mode is Mode.ZERO_SHOT else config.layouts or (None,))
        for cap in ((config.thought_caps or (None,)) if mode.thinks_while_reading else (None,))
        for temperature in config.temperatures
    )
    return tuple(
        Setting(mode, abs(temperature), layout, sample, cap)  # -0.0 is 0
        for mode, layout, cap, temperature in combinations
        for sample in range(config.samples if temperature else 1)
    )


def recorded_settings(folder: Path) -> list[Setting]:
    """The settings that an evaluation folder holds whole records of; of several samples the first.

    Other files, such as a file manager's copies, are none.
    """
    layouts: dict[str | None, LayoutName | None] = {
        None: None, "interleaved": "interleaved", "parallel": "parallel",
    }  # fmt: skip
    named = [_FIRST_RECORDS.fullmatch(path.name) for path in folder.glob("*-temperature-*.jsonl")]
    settings = [
        Setting(Mode(m[1]), float(m[4]), layouts[m[2]], thought_cap=int(m[3]) if m[3] else None)
        for m in named
        if m
    ]
    return sorted(
        (setting for setting in settings if (folder / setting.file).is_file()),
        key=lambda s: (
            list(Mode).index(s.mode), list(layouts).index(s.layout), s.thought_cap or 0, s.temperature,
        ),
    )  # fmt: skip
