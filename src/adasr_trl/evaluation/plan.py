"""Which records an evaluation makes, checked as far as is possible before a model is loaded.

>>> questions = Questions("", Path("data/tiny/test.jsonl"), 500)
>>> plan = planned(ModelConfig(path="runs/tiny/hrpo"), questions, settings_of(config, config.modes), seed=0)
>>> plan.folder, len(plan.missing)
(PosixPath('runs/tiny/hrpo/eval'), 2)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import eval_folder
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.eval_section import EvalConfig, ModeName
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.records import Setting


def settings_of(config: EvalConfig, modes: Sequence[ModeName]) -> tuple[Setting, ...]:
    """Every mode in every layout at every temperature, each sample of its own; greedy has but one."""
    found = itertools.product(modes, config.layouts or (None,), config.temperatures)
    return tuple(
        Setting(Mode(mode), temperature, layout, sample)
        for mode, layout, temperature in found
        for sample in range(config.samples if temperature else 1)
    )


@dataclass(frozen=True)
class Questions:
    """A set of questions.

    Attributes:
        name: "" for a run's main one.
        path: JSON Lines file of unseen episodes.
        count: How many of them are asked, the first ones.
    """

    name: str
    path: Path
    count: int


@dataclass(frozen=True)
class Planned:
    """One run on one set of questions.

    Attributes:
        model: The finished run (``path``) and the precision to run it in.
        questions: What is asked.
        settings: How.
        seed: Of what is sampled.
        identity: What the records depend on, beside their setting.
    """

    model: ModelConfig
    questions: Questions
    settings: tuple[Setting, ...]
    seed: int
    identity: Mapping[str, object]

    @property
    def run(self) -> Path:
        """The run's directory."""
        return Path(self.model.path or "")

    @property
    def folder(self) -> Path:
        """Where the records go."""
        return self.run / eval_folder(self.questions.name)

    @property
    def missing(self) -> tuple[Setting, ...]:
        """The settings that there are no whole records of."""
        return tuple(each for each in self.settings if not (self.folder / each.file).is_file())

    def left(self, existing: directory.Existing) -> int:
        """How many rollouts are still to be made; a RunDirectoryError where ``existing`` forbids them."""
        state = directory.look(self.folder, self.identity, existing)
        if state is directory.State.FRESH:
            return self.questions.count * len(self.settings)
        partial = [(self.folder / each.file).with_suffix(".partial") for each in self.missing]
        done = sum(path.read_bytes().count(b"\n") for path in partial if path.is_file())
        return self.questions.count * len(partial) - done


def planned(
    model: ModelConfig, questions: Questions, settings: Sequence[Setting], seed: int
) -> Planned:
    """A run and questions, checked as far as is possible without loading the model."""
    run = Path(model.path or "")
    if not directory.is_complete(run):
        raise directory.RunDirectoryError(
            f"{run}: not a finished run; train it first (adasr sft, grpo, hrpo)."
        )
    load_streaming(run)
    identity: dict[str, object] = {
        "command": "eval",
        "run": directory.input_digest(run),
        "test": directory.input_digest(questions.path),
        "questions": questions.count,
        "eval": {"seed": seed},
        "dtype": model.dtype,
        **({"quantization": asdict(model.quantization)} if model.quantization else {}),
    }
    plan = Planned(model, questions, tuple(settings), seed, identity)
    # Which settings were asked for then does not matter: each has a file of its own.
    before = directory.read_identity(plan.folder).get("eval")
    same = {**before, "seed": seed} if isinstance(before, dict) else {"seed": seed}
    return dataclasses.replace(plan, identity={**identity, "eval": same})
