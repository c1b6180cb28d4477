"""Section ``eval`` of a configuration: measured modes, questions and clocks.

    eval:
      runs: {sft: runs/tiny/seed-0/sft, hrpo: runs/tiny/seed-0/hrpo}
      modes: [streaming, no_deep]
      clocks: {spoken: {}, hasty: {words_per_minute: 300, jitter: 0.3, burst: 2}}

Nothing here rolls out: ``evaluation.plan`` makes the plan of a section.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adasr_trl.config.sections import (
    LayoutName,
    refuse_below,
    refuse_not_positive,
    refuse_temperature,
)
from adasr_trl.core.protocol import Mode

ModeName = Literal[
    "streaming", "read_then_think", "forced_skip", "no_deep", "prefill_only", "speculative", "zero_shot"
]  # fmt: skip
OWN_CLOCK = "own"  # the clock of a file that names none
MAIN_TEST = "test"  # the questions of data.test, where eval.name gives them no other name
POOLED = "all"  # the questions of every set together
MAX_SAMPLES = 1000
RATES = ("words_per_minute", "seconds_per_token", "prefill_seconds_per_token", "seconds_per_read")
_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class ClockSection:
    """A clock for records; rates that are left out are those of the run's own ``streaming.json``."""

    words_per_minute: float | None = None  # speed of the input
    # Arrival times of the episode (recorded), by the speed above (words), or recorded ones where the episode has them
    # (auto).
    arrivals: Literal["auto", "recorded", "words"] = "auto"
    # Unevenness of the gaps between chunks: standard deviation of the logarithm of a factor of mean 1.
    jitter: float = 0.0
    burst: int = 1  # number of chunks that arrive together, with the last of them
    seed: int = 0  # seed of the jitter, the same for a question in every run
    # Rates as given here, or measured with each run's model on this machine.
    device: Literal["given", "measured"] = "given"
    seconds_per_token: float | None = None  # decode time of one token
    prefill_seconds_per_token: float | None = None  # prefill time of one token
    seconds_per_read: float | None = None  # fixed time of reading a chunk

    def __post_init__(self) -> None:
        """Refuse impossible rates, and rates both given and measured."""
        if self.words_per_minute != math.inf:  # all of the input at once
            refuse_not_positive("clocks", words_per_minute=self.words_per_minute)
        refuse_below("clocks", 1, burst=self.burst)
        if not 0 <= self.jitter <= 3:
            raise ValueError(f"jitter: got {self.jitter:g}; expected 0 (even) to 3.")
        device = {name: rate for name, rate in self.given.items() if name != "words_per_minute"}
        refuse_below("clocks", 0, **device)
        for name, rate in device.items() if self.device == "measured" else ():
            raise ValueError(
                f"{name}: got {rate:g} with device: measured, which measures it; remove one of them."
            )

    @property
    def given(self) -> dict[str, float]:
        """The fields of ``core.clock.Clock`` that are set here."""
        return {name: vars(self)[name] for name in RATES if vars(self)[name] is not None}


@dataclass(frozen=True)
class ZeroShotSection:
    """The question to a pretrained chat model that was not trained here (``mode: zero_shot``)."""

    # Text before the input in the user's message; the default is how Qwen's models are asked.
    instruction: str = "Think step by step, and put your final answer within \\boxed{}."
    max_tokens: int = 512  # cap on the reply, which is wrong if it is cut off
    # ``enable_thinking`` of the chat template (Qwen3's); None for its own default.
    thinking: bool | None = None

    def __post_init__(self) -> None:
        """Refuse a cap that leaves no room for a token."""
        refuse_below("eval.zero_shot", 1, max_tokens=self.max_tokens)


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation of models on unseen episodes."""

    modes: tuple[ModeName, ...] = ("streaming",)  # modes (``core.protocol.Mode``)
    temperatures: tuple[float, ...] = (0.0, 1.0)  # temperatures; 0 is greedy
    layouts: tuple[LayoutName, ...] = ()  # layouts to compare, in place of the trained one
    # Caps on one thought to compare, in tokens, in place of ``streaming.max_thought_tokens`` of the run's training.
    thought_caps: tuple[int, ...] = ()
    seed: int = 0  # seed for sampled decoding
    samples: int = 1  # rollouts of each question in sampled decoding
    max_questions: int | None = None  # cap on the questions of each set, the first ones, or None
    # Name of the questions in ``data.test``, where a run is measured on several sets; "" for its main set.
    name: str = ""
    # Several runs in place of ``model.path``: name to directory, or to a pretrained model for ``zero_shot``.
    runs: dict[str, str] = field(default_factory=dict)
    # Modes of some of the runs, in place of ``modes``.
    run_modes: dict[str, tuple[ModeName, ...]] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)  # further sets of questions: name to file
    # Name to clock; the run's own where none is named.
    clocks: dict[str, ClockSection] = field(default_factory=dict)
    reference: str = ""  # reference run where not all pairs are shown; the first by default
    # Folder of the table, else that of the records; required for several runs, and for a pretrained model, whose records
    # lie in it under the model's name.
    output_dir: str = ""
    resamples: int = 2000  # resamples of every bootstrap interval
    # Prompt and cap of ``zero_shot``.
    zero_shot: ZeroShotSection = field(default_factory=ZeroShotSection)

    def __post_init__(self) -> None:
        """Refuse an evaluation of nothing, and names that collide or cannot be a folder's."""
        if not re.fullmatch(r"[\w-]*", self.name):
            raise ValueError(f"eval.name: got {self.name!r}; expected letters, digits, - and _.")
        several: Mapping[str, tuple[object, ...]] = {
            "modes": self.modes,
            "temperatures": self.temperatures,
            **{f"run_modes.{run}": modes for run, modes in self.run_modes.items()},
        }
        for name, values in several.items():
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"eval.{name}: got {list(values)}; expected one or more, each once."
                )
        self._check_layouts()
        self._check_thought_caps()
        for temperature in self.temperatures:
            refuse_temperature("eval.temperatures", temperature)
            if float(f"{temperature:g}") != temperature:  # records are named so
                raise ValueError(
                    f"eval.temperatures: got {temperature!r}; expected at most 6 digits, such as {temperature:g}."
                )
        refuse_below("eval", 1, samples=self.samples, resamples=self.resamples)
        if self.samples > MAX_SAMPLES:
            raise ValueError(f"eval.samples: got {self.samples}; expected at most {MAX_SAMPLES}.")
        if self.samples > 1 and max(self.temperatures) == 0:
            raise ValueError(
                f"eval.samples: got {self.samples} with greedy decoding alone, whose samples are all equal; add a "
                f"temperature above 0."
            )
        refuse_below("eval", 1, max_questions=self.max_questions)
        self._check_names()

    def _check_layouts(self) -> None:
        if len(set(self.layouts)) < len(self.layouts):
            raise ValueError(f"eval.layouts: got {list(self.layouts)}; expected each once.")
        if self.layouts and self._asked_modes == ["zero_shot"]:
            raise ValueError(
                "eval.layouts: has no effect in zero_shot, whose prompt is a chat; remove it."
            )

    def _check_thought_caps(self) -> None:
        if len(set(self.thought_caps)) < len(self.thought_caps):
            raise ValueError(
                f"eval.thought_caps: got {list(self.thought_caps)}; expected each once."
            )
        for cap in self.thought_caps:
            refuse_below("eval", 1, thought_caps=cap)
        modes = self._asked_modes
        if self.thought_caps and not any(Mode(mode).thinks_while_reading for mode in modes):
            raise ValueError(
                f"eval.thought_caps: has no effect in {', '.join(modes)}, which write no thoughts; remove it."
            )

    def _check_names(self) -> None:
        for key in ("runs", "tests", "clocks"):
            for name in vars(self)[key]:
                if not _NAME.fullmatch(name):
                    raise ValueError(
                        f"eval.{key}: got the name {name!r}; expected letters, digits, - and _."
                    )
        self._refuse_taken_labels()
        for key, names in (("run_modes", self.run_modes), ("reference", [self.reference])):
            for name in names:
                if name and name not in self.runs:
                    known = ", ".join(self.runs) or "none"
                    raise ValueError(
                        f"eval.{key}: got {name!r}, which is no run; eval.runs has {known}."
                    )
        if self.runs and not self.output_dir:
            raise ValueError(
                "eval.output_dir is missing; name the folder of the table of eval.runs."
            )

    def _refuse_taken_labels(self) -> None:
        taken = {"name": {POOLED}, "tests": {POOLED, self.main_test}}
        for key, names in (("name", [self.name]), ("tests", self.tests)):
            for name in taken[key].intersection(names):
                whose = "all questions together" if name == POOLED else "data.test"
                raise ValueError(
                    f"eval.{key}: got the name {name!r}, which the table gives to {whose}; choose another."
                )

    @property
    def _asked_modes(self) -> list[ModeName]:
        """The modes in which some run is evaluated, in alphabetical order."""
        of_runs = map(self.modes_of, self.runs) if self.runs else [self.modes]
        return sorted(set(itertools.chain(*of_runs)))

    @property
    def main_test(self) -> str:
        """The name of the questions in ``data.test``."""
        return self.name or MAIN_TEST

    @property
    def named_clocks(self) -> dict[str, ClockSection]:
        """The clocks, at least one."""
        return self.clocks or {OWN_CLOCK: ClockSection()}

    def modes_of(self, run: str) -> tuple[ModeName, ...]:
        """The modes of the run of this name."""
        return self.run_modes.get(run, self.modes)
