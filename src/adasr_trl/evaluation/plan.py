"""Plan of an evaluation: several runs on several sets of questions, checked before any model is loaded.

>>> suite = plan_suite(models, data, config)
>>> suite.conditions[0].label, suite.plans["sft", "test"].folder, len(suite.plans["sft", "test"].missing)
('sft, streaming, greedy', PosixPath('runs/tiny/seed-0/sft/eval'), 2)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.digests import input_digest
from adasr_trl.artifacts.names import eval_folder
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.core.answers import check_gold
from adasr_trl.core.episode import Episode, EpisodeError, read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.evaluation.pretrained import Pretrained, pretrained_of
from adasr_trl.evaluation.settings import Condition, Setting, settings_of

TABLE, DATA = "table.md", "table.json"


@dataclass(frozen=True)
class Questions:
    """A set of questions."""

    name: str  # "" for a run's main one
    path: Path  # JSON Lines file of unseen episodes
    count: int  # number of questions asked, from the start of the file


@dataclass(frozen=True)
class EvaluationPlan:
    """One run on one set of questions."""

    model: ModelConfig  # the run (``path``), or a pretrained model's records, and the precision to run it in
    questions: Questions
    settings: tuple[Setting, ...]
    seed: int  # seed for sampled decoding
    pretrained: Pretrained | None = None  # the model where ``path`` is no run

    @property
    def run(self) -> Path:
        """The run's directory."""
        return Path(self.model.path or "")

    @property
    def folder(self) -> Path:
        """Folder of the records."""
        return self.run / eval_folder(self.questions.name)

    @property
    def missing(self) -> tuple[Setting, ...]:
        """The settings without whole records."""
        return tuple(s for s in self.settings if not (self.folder / s.file).is_file())

    @cached_property
    def identity(self) -> dict[str, object]:
        """What the records depend on, beside their setting."""
        # The settings of an earlier evaluation do not matter: each has a file of its own.
        before = directory.read_identity(self.folder).get("eval")
        quantization = self.model.quantization
        return {
            "command": "eval",
            "run": self.pretrained.identity if self.pretrained else input_digest(self.run),
            "test": input_digest(self.questions.path),
            "questions": self.questions.count,
            "eval": {**(before if isinstance(before, dict) else {}), "seed": self.seed},
            "dtype": self.model.dtype,
            **({"quantization": asdict(quantization)} if quantization else {}),
        }

    def left(self, existing: directory.Existing) -> int:
        """Rollouts still to be made; a RunDirectoryError where ``existing`` forbids them."""
        state = directory.look(self.folder, self.identity, existing)
        if state is directory.State.FRESH:
            return self.questions.count * len(self.settings)
        partial = [(self.folder / s.file).with_suffix(".partial") for s in self.missing]
        done = sum(path.read_bytes().count(b"\n") for path in partial if path.is_file())
        return self.questions.count * len(partial) - done


@dataclass(frozen=True)
class Suite:
    """Everything that is to be evaluated."""

    config: EvalConfig  # the section of the configuration
    plans: Mapping[tuple[str, str], EvaluationPlan]  # by run and set of questions
    conditions: tuple[Condition, ...]  # the rows of the table
    output: Path  # folder of the table

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(dict.fromkeys(run for run, _ in self.plans))

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the sets of questions."""
        return tuple(dict.fromkeys(test for _, test in self.plans))


def plan_suite(models: Mapping[str, ModelConfig], data: DataConfig, config: EvalConfig) -> Suite:
    """The plan, with runs, questions and clocks checked.

    Raises:
        UserError: An unfinished run, a file that is missing or cannot be used, or two names of the same thing.
    """
    _refuse_same("eval.runs", {name: str(model.path) for name, model in models.items()})
    by_test = _questions(data, config)
    pretrained = {name: pretrained_of(name, model, config) for name, model in models.items()}
    for name, model in models.items():
        path = Path(model.path or "")
        if not pretrained[name] and not directory.is_loadable(path):
            raise directory.RunDirectoryError(
                f"{directory.why_no_run(path)}; finish it with --resume, or name another one."
            )
    _check_clocks(models, pretrained, config)
    settings = {run: settings_of(config, config.modes_of(run)) for run in models}
    plans = {
        (run, test): EvaluationPlan(
            _recorded(model, pretrained[run]),
            questions,
            settings[run],
            config.seed,
            pretrained[run],
        )
        for run, model in models.items()
        for test, questions in by_test.items()
    }
    conditions = tuple(
        Condition(run, setting, config.samples if setting.temperature else 1)
        for run in models
        for setting in settings[run]
        if setting.sample == 0
    )
    output = Path(config.output_dir) if config.output_dir else next(iter(plans.values())).folder
    _check_output(output)
    return Suite(config, plans, conditions, output)


def _recorded(model: ModelConfig, pretrained: Pretrained | None) -> ModelConfig:
    """The run's directory as ``path``; of a pretrained model, the folder of its records."""
    if pretrained is None:
        return model
    return replace(model, path=str(pretrained.folder), revision=None, gguf_file=None)


def _check_output(output: Path) -> None:
    """Refuse a file, and a folder whose table another command wrote, such as that of ``compare``."""
    for path in (output, *output.parents):
        if path.exists() and not path.is_dir():
            raise UserError(f"eval.output_dir: {path} is a file; name a folder for the table.")
    table = output / DATA
    if table.is_file() and '"digest"' not in table.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"eval.output_dir: {table} is the table of another command (adasr compare), which would be replaced; name "
            f"another folder."
        )


def _questions(data: DataConfig, config: EvalConfig) -> dict[str, Questions]:
    """Every set of questions by its name in the table; each of them is read once, to check it."""
    files = {config.main_test: data.test} if data.test else {}
    files |= config.tests
    if not files:
        raise EpisodeError(
            "data.test: evaluation needs a file of unseen episodes; set it, or eval.tests."
        )
    _refuse_same("eval.tests", files)
    folders = {config.main_test: config.name} if data.test else {}
    asked = {name: _asked(Path(path), config) for name, path in files.items()}
    _refuse_shared(asked)
    return {
        name: Questions(folders.get(name, name), Path(path), len(asked[name]))
        for name, path in files.items()
    }


def _refuse_shared(asked: Mapping[str, Sequence[Episode]]) -> None:
    """Refuse a question in two sets, by its text and times: the row of all of them would count it twice."""
    seen: dict[object, tuple[str, str]] = {}
    for name, episodes in asked.items():
        for episode in episodes:
            key = (episode.question, episode.chunks, episode.arrival_seconds)
            test, before = seen.setdefault(key, (name, episode.id))
            if test != name:
                raise UserError(
                    f"eval.tests: question {before!r} of {test} is {episode.id!r} of {name}, and all together would count it "
                    f"twice; take it out of one, or evaluate them apart (eval.name)."
                )


def _asked(path: Path, config: EvalConfig) -> list[Episode]:
    recorded = [name for name, clock in config.clocks.items() if clock.arrivals == "recorded"]

    def check(episode: Episode) -> None:
        check_gold(episode.answer, episode.answer_type)
        if recorded and episode.arrival_seconds is None:
            raise EpisodeError(
                f"episode {episode.id!r} has no arrival_seconds, which eval.clocks.{recorded[0]}.arrivals: recorded "
                f"needs; use auto or words."
            )

    return list(itertools.islice(read_episodes(path, check), config.max_questions))


def _refuse_same(key: str, paths: Mapping[str, str]) -> None:
    """Refuse two names of one file or folder: they would have the same records, or count questions twice."""
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        before = seen.setdefault(Path(path).resolve(), name)
        if before != name:
            raise UserError(f"{key}: {before} and {name} are both {path}; leave one of them out.")


def _check_clocks(
    models: Mapping[str, ModelConfig],
    pretrained: Mapping[str, Pretrained | None],
    config: EvalConfig,
) -> None:
    """Refuse a clock that would not be the same for all runs, since it leaves to them what they differ in."""
    own = {}
    for name, model in models.items():
        asked = pretrained[name]
        own[name] = (asked.streaming if asked else load_streaming(Path(model.path or ""))).clock
    first = next(iter(own))
    for clock, section in config.named_clocks.items():
        left = {"words_per_minute"} if section.device == "measured" else set(vars(own[first]))
        for key in sorted(left - set(section.given)):
            for name, other in own.items():
                a, b = vars(own[first])[key], vars(other)[key]
                if a != b:
                    raise UserError(
                        f"eval.clocks.{clock}: {key} is not set, and {first} has {a:g} in its streaming.json, {name} "
                        f"{b:g}; set it."
                    )
