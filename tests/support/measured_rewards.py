"""An episode of two chunks, and the value that one built-in reward gives to a rollout of it."""

from __future__ import annotations

import dataclasses

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.rewards import ScoredRollout, answered_right, build_rewards
from support.settings import STREAMING

EPISODE = Episode(
    id="e",
    group="e",
    question="How many coins does Tom have?",
    chunks=("Tom has 5 coins.", " Tom finds 3 coins."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("test", "1", "Apache-2.0", "train"),
)


SLOW = dataclasses.replace(
    STREAMING, clock=Clock(150, seconds_per_token=0.1, prefill_seconds_per_token=0.01)
)


def measured(name, scope, rollout, **settings):
    configs = [RewardConfig(name, scope, 1.0, settings), RewardConfig("accuracy", "global", 9.0)]
    if scope != "global":
        configs.append(RewardConfig("accuracy", scope, 9.0))
    reward = build_rewards(configs if name != "accuracy" else configs[:1], SLOW)[0]
    return reward.measure(ScoredRollout(rollout, EPISODE, answered_right(rollout, EPISODE)))


def score(name, scope, rollout, **settings):
    return measured(name, scope, rollout, **settings).value


def chunks(name, rollout, **settings):
    return list(measured(name, "streaming", rollout, **settings).chunks)
