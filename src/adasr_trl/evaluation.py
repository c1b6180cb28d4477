"""Evaluation: a finished run answers unseen questions; every rollout is kept as a record.

    >>> evaluate(ModelConfig(path="runs/tiny/hrpo"), DataConfig(test="data/tiny/test.jsonl"), EvalConfig(), Existing.RESUME)
    >>> load_outcomes(Path("runs/tiny/hrpo/eval"), Setting(Mode.STREAMING, 0.0))

Records are JSON Lines under ``RUN/eval``, one file a setting, in order of the questions. A file carries its name only
once it is whole; an interrupted one goes on where it stopped. Rollouts depend on question and seed alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl import rundir
from adasr_trl.config_sections import DataConfig, EvalConfig, LayoutName, ModelConfig
from adasr_trl.episode import Episode, EpisodeError, read_episodes, write_episodes
from adasr_trl.metrics import Outcome, check_answer, outcome
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
        mode: Streaming, or read-then-think.
        temperature: 0 is greedy.
        layout: In place of the one that the model was taught, or None for that.
    """

    mode: Mode
    temperature: float
    layout: LayoutName | None = None

    @property
    def file(self) -> str:
        """The name of its records."""
        layout = f"-{self.layout}" if self.layout else ""
        return f"{self.mode.value}{layout}-temperature-{self.temperature:g}.jsonl"


def settings_of(config: EvalConfig) -> tuple[Setting, ...]:
    """Every mode in every layout at every temperature."""
    found = itertools.product(config.modes, config.layouts or (None,), config.temperatures)
    return tuple(Setting(Mode(mode), temperature, layout) for mode, layout, temperature in found)


def evaluate(
    model: ModelConfig, data: DataConfig, config: EvalConfig, existing: rundir.Existing
) -> Path:
    """Answer the test questions in every setting; return the folder of the records.

    Args:
        model: The finished run (``path``) and the precision to run it in.
        data: Where the test questions are.
        config: Modes, temperatures and seed.
        existing: What to do with records that are there already.
    """
    run = Path(model.path or "")
    if not rundir.is_complete(run):
        raise rundir.RunDirectoryError(
            f"{run}: not a finished run; train it first (adasr sft, grpo, hrpo)."
        )
    if data.test is None:
        raise EpisodeError("data.test: evaluation needs a file of unseen episodes; set it.")
    episodes = list(itertools.islice(read_episodes(data.test, check_answer), config.max_questions))
    folder = run / (f"{EVAL_FOLDER}-{config.name}" if config.name else EVAL_FOLDER)
    identity = {
        "command": "eval",
        "run": rundir.input_digest(run),
        "test": rundir.input_digest(data.test),
        "questions": len(episodes),
        "eval": asdict(config),
        "dtype": model.dtype,
        **({"quantization": asdict(model.quantization)} if model.quantization else {}),
    }
    if rundir.take(folder, identity, existing) is rundir.State.COMPLETE:
        logger.info("%s is complete", folder)
        return folder
    write_episodes(folder / EPISODES_FILE, episodes)
    engines: dict[LayoutName | None, Engine] = {}
    for setting in settings_of(config):
        if setting.layout not in engines:
            engines[setting.layout] = _engine(model, setting.layout)
        _roll_out(engines[setting.layout], episodes, setting, config.seed, folder / setting.file)
    rundir.finish(folder)
    return folder


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
    names = [path.stem for path in folder.glob("*-temperature-*.jsonl")]
    return sorted({float(name.rpartition("-")[2]) for name in names})


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


def _roll_out(
    engine: Engine, episodes: Sequence[Episode], setting: Setting, seed: int, path: Path
) -> None:
    """Append batch by batch to a partial file, which takes its name when it is whole."""
    from adasr_trl.engines import Request, Sampling

    if path.is_file():
        return
    partial = path.with_suffix(".partial")
    done = _keep_whole_lines(partial)
    started, first = time.monotonic(), done
    while done < len(episodes):
        batch = episodes[done : done + BATCH]
        requests = [Request(each, _seed(seed, each), setting.mode) for each in batch]
        rollouts = engine.rollout(requests, Sampling(setting.temperature))
        with partial.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(to_record(rollout)) + "\n" for rollout in rollouts)
        done += len(batch)
        rate = (time.monotonic() - started) / (done - first)
        logger.info(
            "%s: %d/%d questions, %.0f s left",
            path.stem, done, len(episodes), rate * (len(episodes) - done),
        )  # fmt: skip
    partial.replace(path)


def _keep_whole_lines(partial: Path) -> int:
    """Drop a line that an interruption cut short; return how many records are there."""
    if not partial.is_file():
        return 0
    whole = partial.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    partial.write_bytes(whole)
    return whole.count(b"\n")


def _seed(seed: int, episode: Episode) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{episode.id}".encode()).digest()[:8], "big")
