"""What passes between HRPOTrainer and TRL: dataset columns, reward functions, padded phases, seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from datasets import Dataset
from torch import Tensor

from adasr_trl.episode import Episode, from_json, to_json
from adasr_trl.protocol import Phase
from adasr_trl.rewards import Reward
from adasr_trl.rollout import Rollout


def trl_dataset(episodes: Sequence[Episode]) -> Dataset:
    """TRL's columns: the question to show in logs, the whole episode for us."""
    rows = [{"prompt": episode.question, "episode": to_json(episode)} for episode in episodes]
    return Dataset.from_list(rows)


def trl_reward(reward: Reward) -> Callable[..., list[float | None]]:
    """A reward function as TRL calls it: on the rollouts of the local rows, which ride on an extra column."""

    def measure(
        rollout: list[Rollout], episode: list[str], **_columns: object
    ) -> list[float | None]:
        pairs = zip(rollout, episode, strict=True)
        return [reward.measure(each, from_json(line)) for each, line in pairs]

    measure.__name__ = f"{reward.name}_{reward.scope.value}"
    return measure


def trl_rollouts(rollouts: Sequence[Rollout]) -> dict[str, list[object]]:
    """What TRL expects of a ``rollout_func``: its ids, given tokens masked; the rollouts go on to the rewards."""
    prompts: list[object] = []
    completions: list[object] = []
    logprobs: list[object] = []
    masks: list[object] = []
    for each in rollouts:
        cut = each.prompt_length
        prompts.append(list(each.token_ids[:cut]))
        completions.append(list(each.token_ids[cut:]))
        logprobs.append(list((each.logprobs or ())[cut:]))
        masks.append([int(phase is not Phase.READ) for phase in each.phases[cut:]])
    return {
        "prompt_ids": prompts,
        "completion_ids": completions,
        "logprobs": logprobs,
        "env_mask": masks,
        "rollout": list(rollouts),
    }


def padded_phases(rollouts: Sequence[Rollout], completion_ids_BT: Tensor) -> Tensor:
    """The phase of each completion token, READ for padding. (B, T)."""
    phase_BT = torch.full_like(completion_ids_BT, Phase.READ)
    for row, rollout in enumerate(rollouts):
        phases = rollout.phases[rollout.prompt_length :]
        phase_BT[row, : len(phases)] = phase_BT.new_tensor(phases)
    return phase_BT


def row_seed(key: str, row: int, episode: Episode) -> int:
    """The seed of one rollout: a function of the step, the row among all processes' rows, and the episode."""
    digest = hashlib.sha256(f"{key}/{row}/{episode.id}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
