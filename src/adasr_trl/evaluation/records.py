"""Records of an evaluation: every rollout of a finished run on unseen questions.

    >>> record(plan, Existing.RESUME, engines_of(plan), Progress(plan.left(Existing.RESUME)))
    >>> load_outcomes(Path("runs/tiny/hrpo/eval"), Setting(Mode.STREAMING, 0.0))

Records are JSON Lines under ``RUN/eval``, one file a setting, in order of the questions. A file carries its name only
once it is whole; an interrupted one goes on where it stopped, and further settings are added to those that are there.
Rollouts depend on question, seed and sample alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import EPISODES_FILE
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.sections import LayoutName
from adasr_trl.core.episode import Episode, read_episodes, write_episodes
from adasr_trl.core.files import appender
from adasr_trl.core.json_numbers import parsed
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.core.rollout import Rollout, from_record, to_record
from adasr_trl.engines.request import stable_hash
from adasr_trl.evaluation.clocks import PacedClock
from adasr_trl.evaluation.outcome import Judge, Outcome
from adasr_trl.evaluation.settings import Setting

if TYPE_CHECKING:
    from adasr_trl.engines import Engine
    from adasr_trl.evaluation.plan import EvaluationPlan
    from adasr_trl.models.loading import Policy

logger = logging.getLogger(__name__)

BATCH = 128  # questions between two writes
REPLY_BATCH = 32  # the same in zero_shot: a pretrained model's replies are long


class Progress:
    """Counts rollouts, and estimates the time left."""

    def __init__(self, total: int) -> None:
        """Start the clock; ``total`` rollouts are to be made."""
        self._total, self._done, self._started = total, 0, time.monotonic()

    def advance(self, count: int) -> float:
        """Add finished rollouts; return the seconds left."""
        self._done += count
        rate = (time.monotonic() - self._started) / self._done
        return rate * max(self._total - self._done, 0)


EngineOf = Callable[[LayoutName | None, int | None], "Engine"]


def loaded_policy(plan: EvaluationPlan, layout: LayoutName | None = None) -> Policy:
    """The run's policy (in another layout, if one is named), or the pretrained model's; weights load on first use."""
    from adasr_trl.evaluation.pretrained import policy_of
    from adasr_trl.models.loading import load_policy

    return policy_of(plan.pretrained) if plan.pretrained else load_policy(plan.model, layout)


def engines_of(plan: EvaluationPlan) -> EngineOf:
    """Engines of a run by layout and cap of thoughts (None: the trained ones), the weights of a layout loaded once."""

    @cache
    def policy_in(layout: LayoutName | None) -> Policy:
        logger.info("loading %s", (plan.pretrained.source if plan.pretrained else plan.model).path)
        return loaded_policy(plan, layout)

    @cache
    def engine_of(layout: LayoutName | None, thought_cap: int | None) -> Engine:
        from adasr_trl.engines.registry import local_engine

        return local_engine(policy_in(layout), thought_cap=thought_cap)

    return engine_of


def record(
    plan: EvaluationPlan, existing: directory.Existing, engine_of: EngineOf, progress: Progress
) -> None:
    """Answer the questions in every setting without whole records."""
    folder = plan.folder
    if directory.take(folder, plan.identity, existing) is directory.State.COMPLETE:
        if not plan.missing:
            logger.info("%s is complete", folder)
            return
        directory.reopen(folder)
    if plan.pretrained:
        plan.pretrained.save()
    questions = itertools.islice(read_episodes(plan.questions.path), plan.questions.count)
    write_episodes(folder / EPISODES_FILE, questions)
    for setting in plan.missing:
        _roll_out(plan, setting, engine_of, progress)
    directory.finish(folder)


def load_rollouts(folder: Path, setting: Setting) -> Iterator[tuple[Rollout, Episode]]:
    """Every record of a setting with its episode.

    Raises:
        RunDirectoryError: The evaluation is unfinished or lacks the setting, or a record is damaged or answers another
            question.
    """
    path = folder / setting.file
    if not path.is_file():
        raise directory.RunDirectoryError(
            f"{path}: no such records; run adasr eval with mode {setting.mode.value} and temperature "
            f"{setting.temperature:g}."
        )
    episodes = _asked(folder)
    with path.open("rb") as lines:  # bytes that are no UTF-8 are the fault of their line
        for number, (line, episode) in enumerate(itertools.zip_longest(lines, episodes), 1):
            if line is None or episode is None:
                raise _damaged(path, number, f"it has not one record for each of {EPISODES_FILE}")
            try:
                rollout = from_record(parsed(line))
            except (LookupError, ValueError) as error:
                raise _damaged(
                    path, number, f"{type(error).__name__}: {str(error).rstrip('.')}"
                ) from error
            if misfit := _misfit(rollout, episode, setting.mode):
                raise _damaged(path, number, misfit)
            yield rollout, episode


def _asked(folder: Path) -> Iterator[Episode]:
    """The questions beside the records."""
    if not (folder / EPISODES_FILE).is_file():
        raise directory.RunDirectoryError(
            f"{folder / EPISODES_FILE}: no such file, so the records beside it answer unknown questions; restore it, or run "
            f"adasr eval again with --overwrite."
        )
    return read_episodes(folder / EPISODES_FILE)


def _misfit(rollout: Rollout, episode: Episode, mode: Mode) -> str | None:
    """Why a rollout cannot be one on this episode, in words."""
    chunks = len(episode.chunks)
    if rollout.episode_id != episode.id:
        return f"it answers {rollout.episode_id!r}, not {episode.id!r}"
    if (last := max(rollout.chunk_of_token)) > chunks:
        return f"chunk_of_token: got {last}; the episode has {chunks} chunks"
    if Phase.DEEP in rollout.phases:
        deep = set(rollout.chunk_of_token[rollout.phases.index(Phase.DEEP) :])
        if deep != {chunks}:
            return f"chunk_of_token: got {min(deep)} in the deep part; expected {chunks}"
    if (thoughts := len(rollout.thought_endings)) > chunks:
        return f"thought_endings: got {thoughts}; the episode has {chunks} chunks"
    discarded = chunks - 1 if mode is Mode.SPECULATIVE else 0
    if len(rollout.discarded) != discarded:
        return f"discarded: got {len(rollout.discarded)}; expected {discarded}, one a beginning"
    return None


def questions_digest(folder: Path) -> str:
    """Digest of the questions that a folder's records answer; a teacher's traces and their revision are no part of them."""
    digest = hashlib.sha256()
    for e in _asked(folder):
        gold = (e.answer, e.answer_type.value, e.tolerance)
        digest.update(repr((e.id, e.question, e.chunks, e.arrival_seconds, gold, e.tags)).encode())
    return digest.hexdigest()


def _damaged(path: Path, number: int, reason: str) -> directory.RunDirectoryError:
    return directory.RunDirectoryError(
        f"{path}:{number}: not a record ({reason}); remove the file, and run adasr eval again with --resume."
    )


def load_outcomes(folder: Path, setting: Setting, judge: Judge | None = None) -> list[Outcome]:
    """The records of a setting, judged; by default by the run's own clock."""
    judge = judge or Judge([PacedClock(load_streaming(folder.parent).clock)])
    return [
        judge(rollout, episode, setting.mode) for rollout, episode in load_rollouts(folder, setting)
    ]


def _roll_out(
    plan: EvaluationPlan, setting: Setting, engine_of: EngineOf, progress: Progress
) -> None:
    """Append batch by batch to a partial file, which takes its name when it is whole."""
    from adasr_trl.engines import Request, Sampling
    from adasr_trl.evaluation.speculation import speculate

    path = plan.folder / setting.file
    partial = path.with_suffix(".partial")
    done = _keep_records(partial, read_episodes(plan.folder / EPISODES_FILE), setting.mode)
    questions = itertools.islice(read_episodes(plan.folder / EPISODES_FILE), done, None)
    size = REPLY_BATCH if setting.mode is Mode.ZERO_SHOT else BATCH
    while batch := list(itertools.islice(questions, size)):
        requests = [
            Request(episode, _seed(plan.seed, episode, setting.sample), setting.mode)
            for episode in batch
        ]
        engine = engine_of(setting.layout, setting.thought_cap)
        sampling = Sampling(setting.temperature)
        is_speculative = setting.mode is Mode.SPECULATIVE
        rollouts = (
            speculate(engine, requests, sampling)
            if is_speculative
            else engine.rollout(requests, sampling)
        )
        with appender(partial) as out:
            out.writelines(json.dumps(to_record(rollout)) + "\n" for rollout in rollouts)
        done += len(batch)
        logger.info(
            "%s: %s: %d/%d questions, %.0f s left",
            plan.folder, path.stem, done, plan.questions.count, progress.advance(len(batch)),
        )  # fmt: skip
    partial.replace(path)


def _keep_records(partial: Path, questions: Iterator[Episode], mode: Mode) -> int:
    """Drop a line that an interruption cut short, and all from a line on that is no record of its question; return how many stay."""
    if not partial.is_file():
        return 0
    with partial.open("r+b") as lines:
        count = whole = 0
        for line in lines:
            episode = next(questions, None)
            if not line.endswith(b"\n") or episode is None or not _is_record(line, episode, mode):
                break
            count, whole = count + 1, whole + len(line)
        lines.seek(whole)
        if b"\n" in lines.read():
            logger.warning(
                "%s:%d: not the record of its question; those from here on are made again",
                *(partial, count + 1),
            )
        lines.truncate(whole)
    return count


def _is_record(line: bytes, episode: Episode, mode: Mode) -> bool:
    try:
        return _misfit(from_record(parsed(line)), episode, mode) is None
    except (LookupError, ValueError):
        return False


def _seed(seed: int, episode: Episode, sample: int) -> int:
    """One number for each question and sample; no plain seed begins with a letter, so none meets another."""
    return stable_hash(
        f"sample {sample} of {seed}/{episode.id}" if sample else f"{seed}/{episode.id}"
    )
