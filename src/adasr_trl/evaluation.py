"""Evaluation: a finished run answers unseen questions; every rollout is kept as a record.

    >>> plan = planned(ModelConfig(path="runs/tiny/hrpo"), Questions("", Path("data/tiny/test.jsonl"), 500), settings, seed=0)
    >>> record(plan, Existing.RESUME, Engines(plan.model), Progress(plan.left))
    >>> load_outcomes(Path("runs/tiny/hrpo/eval"), Setting(Mode.STREAMING, 0.0))

Records are JSON Lines under ``RUN/eval``, one file a setting, in order of the questions. A file carries its name only
once it is whole; an interrupted one goes on where it stopped, and further settings are added to those that are there.
Rollouts depend on question, seed and sample alone. Several runs, and tables, are in ``suite``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl import rundir
from adasr_trl.config_sections import LayoutName, ModelConfig
from adasr_trl.episode import Episode, read_episodes, write_episodes
from adasr_trl.eval_config import EvalConfig, ModeName
from adasr_trl.metrics import Outcome, outcome
from adasr_trl.protocol import Mode
from adasr_trl.rollout import Rollout, from_record, to_record
from adasr_trl.streaming_file import load_streaming

if TYPE_CHECKING:
    from adasr_trl.engines import Engine

logger = logging.getLogger(__name__)

EVAL_FOLDER = "eval"
EPISODES_FILE = "episodes.jsonl"
BATCH = 128  # questions between two writes


@dataclass(frozen=True)
class Setting:
    """How questions are put.

    Attributes:
        mode: Streaming, read-then-think, or streaming with a part taken away.
        temperature: 0 is greedy.
        layout: In place of the one that the model was taught, or None for that.
        sample: Which of several rollouts of each question; 0 is the only one unless more are asked for.
    """

    mode: Mode
    temperature: float
    layout: LayoutName | None = None
    sample: int = 0

    @property
    def file(self) -> str:
        """The name of its records."""
        layout = f"-{self.layout}" if self.layout else ""
        sample = f".sample-{self.sample}" if self.sample else ""
        return f"{self.mode.value}{layout}-temperature-{self.temperature:g}{sample}.jsonl"


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
        name = self.questions.name
        return self.run / (f"{EVAL_FOLDER}-{name}" if name else EVAL_FOLDER)

    @property
    def missing(self) -> tuple[Setting, ...]:
        """The settings that there are no whole records of."""
        return tuple(each for each in self.settings if not (self.folder / each.file).is_file())

    def left(self, existing: rundir.Existing) -> int:
        """How many rollouts are still to be made; a RunDirectoryError where ``existing`` forbids them."""
        state = rundir.look(self.folder, self.identity, existing)
        if state is rundir.State.FRESH:
            return self.questions.count * len(self.settings)
        partial = [(self.folder / each.file).with_suffix(".partial") for each in self.missing]
        done = sum(path.read_bytes().count(b"\n") for path in partial if path.is_file())
        return self.questions.count * len(partial) - done


class Progress:
    """Rollouts that are made of all that are to be made, and the time left."""

    def __init__(self, total: int) -> None:
        """Begin to count."""
        self._total, self._done, self._started = total, 0, time.monotonic()

    def advance(self, count: int) -> float:
        """So many more are made; returns the seconds left."""
        self._done += count
        rate = (time.monotonic() - self._started) / self._done
        return rate * max(self._total - self._done, 0)


class Engines:
    """A run's model, loaded once for each layout, when it is first needed."""

    def __init__(self, model: ModelConfig) -> None:
        """Keep what to load."""
        self._model = model
        self._loaded: dict[LayoutName | None, Engine] = {}

    def of(self, layout: LayoutName | None) -> Engine:
        """The engine of a layout; None is the one that the model was taught."""
        if layout not in self._loaded:
            self._loaded[layout] = _engine(self._model, layout)
        return self._loaded[layout]


def planned(
    model: ModelConfig, questions: Questions, settings: Sequence[Setting], seed: int
) -> Planned:
    """A run and questions, checked as far as is possible without loading the model."""
    run = Path(model.path or "")
    if not rundir.is_complete(run):
        raise rundir.RunDirectoryError(
            f"{run}: not a finished run; train it first (adasr sft, grpo, hrpo)."
        )
    load_streaming(run)
    identity: dict[str, object] = {
        "command": "eval",
        "run": rundir.input_digest(run),
        "test": rundir.input_digest(questions.path),
        "questions": questions.count,
        "eval": {"seed": seed},
        "dtype": model.dtype,
        **({"quantization": asdict(model.quantization)} if model.quantization else {}),
    }
    plan = Planned(model, questions, tuple(settings), seed, identity)
    # Which settings were asked for then does not matter: each has a file of its own.
    before = rundir.read_identity(plan.folder).get("eval")
    same = {**before, "seed": seed} if isinstance(before, dict) else {"seed": seed}
    return dataclasses.replace(plan, identity={**identity, "eval": same})


def record(plan: Planned, existing: rundir.Existing, engines: Engines, progress: Progress) -> None:
    """Answer the questions in every setting that there are no whole records of."""
    folder = plan.folder
    if rundir.take(folder, plan.identity, existing) is rundir.State.COMPLETE:
        if not plan.missing:
            logger.info("%s is complete", folder)
            return
        rundir.reopen(folder)
    questions = itertools.islice(read_episodes(plan.questions.path), plan.questions.count)
    write_episodes(folder / EPISODES_FILE, questions)
    for setting in plan.missing:
        _roll_out(plan, setting, engines, progress)
    rundir.finish(folder)


def recorded_settings(folder: Path) -> list[Setting]:
    """The settings that an evaluation folder holds whole records of."""
    layouts: tuple[LayoutName | None, ...] = (None, "interleaved", "parallel")
    every = itertools.product(Mode, layouts, _temperatures(folder))
    found = [Setting(mode, temperature, layout) for mode, layout, temperature in every]
    return [setting for setting in found if (folder / setting.file).is_file()]


def load_rollouts(folder: Path, setting: Setting) -> Iterator[tuple[Rollout, Episode]]:
    """Every record of a setting with its episode.

    Raises:
        RunDirectoryError: The evaluation is unfinished or lacks the setting.
    """
    path = folder / setting.file
    if not path.is_file():
        raise rundir.RunDirectoryError(
            f"{path}: no such records; run adasr eval with mode {setting.mode.value} and temperature "
            f"{setting.temperature:g}."
        )
    with path.open(encoding="utf-8") as lines:
        for line, episode in zip(lines, read_episodes(folder / EPISODES_FILE), strict=True):
            yield from_record(json.loads(line)), episode


def load_outcomes(folder: Path, setting: Setting) -> list[Outcome]:
    """The records of a setting, judged by the run's own clock."""
    clock = load_streaming(folder.parent).clock
    return [outcome(rollout, episode, clock) for rollout, episode in load_rollouts(folder, setting)]


def _temperatures(folder: Path) -> list[float]:
    names = [path.stem.partition(".sample-")[0] for path in folder.glob("*-temperature-*.jsonl")]
    return sorted({float(name.rpartition("-temperature-")[2]) for name in names})


def _engine(model: ModelConfig, layout: LayoutName | None) -> Engine:
    from adasr_trl.codec import Codec
    from adasr_trl.engines import HFEngine
    from adasr_trl.engines.selfcheck import load_model_for
    from adasr_trl.layouts import build_layout
    from adasr_trl.model import load_tokenizer

    streaming = load_streaming(Path(model.path or ""))
    streaming = dataclasses.replace(streaming, layout=layout or streaming.layout)
    tokenizer = load_tokenizer(model, streaming.markers, ())
    codec = Codec(tokenizer, streaming.markers, streaming.thinking)
    loaded = load_model_for(streaming, model, tokenizer, seed=0)
    return HFEngine(loaded, codec, build_layout(streaming, codec), streaming)


def _roll_out(plan: Planned, setting: Setting, engines: Engines, progress: Progress) -> None:
    """Append batch by batch to a partial file, which takes its name when it is whole."""
    from adasr_trl.engines import Request, Sampling

    path = plan.folder / setting.file
    partial = path.with_suffix(".partial")
    done = _keep_whole_lines(partial)
    questions = itertools.islice(read_episodes(plan.folder / EPISODES_FILE), done, None)
    while batch := list(itertools.islice(questions, BATCH)):
        requests = [
            Request(each, _seed(plan.seed, each, setting.sample), setting.mode) for each in batch
        ]
        engine = engines.of(setting.layout)
        rollouts = engine.rollout(requests, Sampling(setting.temperature))
        with partial.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(to_record(rollout)) + "\n" for rollout in rollouts)
        done += len(batch)
        logger.info(
            "%s: %s: %d/%d questions, %.0f s left",
            plan.folder, path.stem, done, plan.questions.count, progress.advance(len(batch)),
        )  # fmt: skip
    partial.replace(path)


def _keep_whole_lines(partial: Path) -> int:
    """Drop a line that an interruption cut short; return how many records are there."""
    if not partial.is_file():
        return 0
    with partial.open("r+b") as lines:
        count = whole = 0
        for line in lines:
            if line.endswith(b"\n"):
                count, whole = count + 1, whole + len(line)
        lines.truncate(whole)
    return count


def _seed(seed: int, episode: Episode, sample: int) -> int:
    """One number for each question and sample; no plain seed begins with a letter, so none meets another."""
    text = f"sample {sample} of {seed}/{episode.id}" if sample else f"{seed}/{episode.id}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
