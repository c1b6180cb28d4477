"""Sample rollouts of a training run: ``RUN/samples.jsonl``.

>>> lines = StepLines(run / SAMPLES_FILE)
>>> lines.append(40, to_sample(rollout, episode, {"global accuracy": 1.0}))
>>> list(read_samples(run))[-1].step
40

``adasr show RUN --samples`` prints them. They hold training data, and are never published.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adasr_trl.artifacts.names import SAMPLES_FILE
from adasr_trl.artifacts.step_log import StepLines
from adasr_trl.core.episode import Episode, EpisodeError, from_json, to_json
from adasr_trl.core.errors import UserError
from adasr_trl.core.rollout import Rollout, from_record, to_record


@dataclass(frozen=True)
class Sample:
    """One rollout of a training step, with each reward's value (None where it could not score)."""

    step: int
    rollout: Rollout
    episode: Episode
    rewards: Mapping[str, float | None]


def to_sample(
    rollout: Rollout, episode: Episode, rewards: Mapping[str, float | None]
) -> dict[str, object]:
    """A record of the file, without its step."""
    return {
        "rewards": dict(rewards),
        "episode": json.loads(to_json(episode)),
        "rollout": to_record(rollout),
    }


def read_samples(run: Path) -> Iterator[Sample]:
    """The samples of a run in order of its steps; a UserError if it has none, or the file is damaged."""
    path = run / SAMPLES_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; hrpo and grpo runs write it while they train, unless sample_steps is 0."
        )
    for record in StepLines(path).read():
        try:
            episode = from_json(json.dumps(record["episode"]))
            sample = Sample(
                record["step"], from_record(record["rollout"]), episode, record["rewards"]
            )
        except (ValueError, KeyError, TypeError, EpisodeError) as error:
            raise UserError(
                f"{path}: not a file of samples ({type(error).__name__}: {error}); delete it."
            ) from error
        yield sample
