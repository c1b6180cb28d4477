"""Records that an evaluation makes of one run on one set of questions, checked before a model is loaded.

>>> questions = Questions("", Path("data/tiny/test.jsonl"), 500)
>>> plan = make_plan(ModelConfig(path="runs/tiny/hrpo"), questions, settings_of(config, config.modes), seed=0)
>>> plan.folder, len(plan.missing)
(PosixPath('runs/tiny/hrpo/eval'), 2)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import eval_folder
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.sections import ModelConfig
from adasr_trl.evaluation.settings import Setting


@dataclass(frozen=True)
class Questions:
    """A set of questions.

    Attributes:
        name: "" for a run's main one.
        path: JSON Lines file of unseen episodes.
        count: Number of questions asked, from the start of the file.
    """

    name: str
    path: Path
    count: int


@dataclass(frozen=True)
class EvaluationPlan:
    """One run on one set of questions.

    Attributes:
        model: The finished run (``path``) and the precision to run it in.
        questions: The questions.
        settings: How they are put.
        seed: Seed for sampled decoding.
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
        """The settings without whole records."""
        return tuple(s for s in self.settings if not (self.folder / s.file).is_file())

    def left(self, existing: directory.Existing) -> int:
        """Rollouts still to be made; a RunDirectoryError where ``existing`` forbids them."""
        state = directory.look(self.folder, self.identity, existing)
        if state is directory.State.FRESH:
            return self.questions.count * len(self.settings)
        partial = [(self.folder / s.file).with_suffix(".partial") for s in self.missing]
        done = sum(path.read_bytes().count(b"\n") for path in partial if path.is_file())
        return self.questions.count * len(partial) - done


def make_plan(
    model: ModelConfig, questions: Questions, settings: Sequence[Setting], seed: int
) -> EvaluationPlan:
    """The plan, checked as far as is possible without loading the model.

    Raises:
        UserError: The run is not finished, or lacks its protocol.
    """
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
    plan = EvaluationPlan(model, questions, tuple(settings), seed, identity)
    # Which settings were asked for then does not matter: each has a file of its own.
    before = directory.read_identity(plan.folder).get("eval")
    same = {**before, "seed": seed} if isinstance(before, dict) else {"seed": seed}
    return dataclasses.replace(plan, identity={**identity, "eval": same})
