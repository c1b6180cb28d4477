"""Rollouts for the trainer: sampled for this process' rows, scored over all, groups without signal sampled again.

>>> sampler = rollout_sampler(trainer, args, texts, budget)
>>> batch = sampler.generate_batch(episodes, context, accelerator)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adasr_trl.config.sections import GroupFilter
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode
from adasr_trl.engines import CacheBudget, Request, Sampling
from adasr_trl.engines.base import Generate
from adasr_trl.engines.registry import ENGINES
from adasr_trl.engines.request import stable_hash
from adasr_trl.hrpo.advantages import AdvantageSettings, Normalisation
from adasr_trl.hrpo.config import HRPOConfig
from adasr_trl.hrpo.group_filter import GenerationBatch, Verdicts, sample_batch, sums, verdicts
from adasr_trl.hrpo.scoring import RewardedRollout, Scores, scopes_of, score, score_rollouts
from adasr_trl.hrpo.stream_values import StreamValuer, stream_valuer
from adasr_trl.rewards import Reward
from adasr_trl.training.data import Texts


@dataclass(frozen=True)
class SamplingContext:
    """The part of a generation batch that changes with the step."""

    key: str  # with a row's index and its episode it fixes the row's random numbers
    first_row: int  # index of this process' first row among those of all
    settings: AdvantageSettings
    progress: float  # share of the training that is over
    sampling: Sampling
    group_filter: GroupFilter | None  # None: no group is sampled again


@dataclass(frozen=True)
class RolloutSampler:
    """The part of generation batches that is the same in a whole run."""

    pool: Sequence[Episode]  # training episodes, from which a resampled group may get another one
    rewards: Sequence[Reward]
    generate: Generate  # the engine's rollouts
    mode: Mode
    is_flat: bool  # whether all rewards are one sum
    valuer: StreamValuer

    def generate_batch(
        self, episodes: Sequence[Episode], context: SamplingContext, accelerator: Any
    ) -> GenerationBatch:
        """Roll out the episodes of this process' rows; every process must call it."""
        asked, first = list(episodes), context.first_row
        groups = [(first + row) // context.settings.group_size for row in range(len(asked))]
        rule = context.group_filter

        def sample(rows: Sequence[int], attempt: int) -> list[RewardedRollout]:
            key = f"{context.key}/{attempt}" if attempt else context.key
            for row in rows:
                if attempt and rule and rule.redraw == "episode":
                    asked[row] = other_episode(self.pool, asked[row], key, groups[row])
            requests = [
                Request(asked[row], row_seed(key, first + row, asked[row]), self.mode)
                for row in rows
            ]
            rollouts = self.generate(requests, context.sampling)
            values = self.valuer.values_of(rollouts, requests, context.sampling)
            return score_rollouts(rollouts, [r.episode for r in requests], self.rewards, values)

        def judge(rollouts: Sequence[RewardedRollout]) -> tuple[Scores, Verdicts]:
            settings = context.settings
            scores = score(rollouts, self.rewards, accelerator, settings, context.progress)
            plain = replace(settings, normalisation=Normalisation.GROUP)  # leaves sums as they are
            scopes = scopes_of(scores, self.rewards, plain, flat=self.is_flat)
            return scores, verdicts(scores, sums(scopes, settings), settings.group_size)

        return sample_batch(sample, judge, groups, rule)


def rollout_sampler(
    trainer: Any, args: HRPOConfig, texts: Texts, budget: CacheBudget
) -> RolloutSampler:
    """The sampler of a trainer, on its weights of the moment."""
    codec, layout, rewards = texts.codec, texts.layout, trainer.rewards
    engine = ENGINES[args.engine]
    generate = engine.for_training(trainer, codec, layout, texts.streaming, budget)
    valuer = stream_valuer(trainer, rewards, generate, layout, codec)
    mode = Mode(args.mode)
    return RolloutSampler(texts.data.train, rewards, generate, mode, args.is_flat, valuer)


def row_seed(key: str, row: int, episode: Episode) -> int:
    """The seed of one rollout: a function of the step, the row among all processes' rows, and the episode."""
    return stable_hash(f"{key}/{row}/{episode.id}")


def other_episode(pool: Sequence[Episode], current: Episode, key: str, group: int) -> Episode:
    """The next episode of a group, the same on every process; ``current`` only if the pool has no other."""
    index = stable_hash(f"{key}/group {group}") % len(pool)
    return pool[index] if pool[index].id != current.id else pool[(index + 1) % len(pool)]
