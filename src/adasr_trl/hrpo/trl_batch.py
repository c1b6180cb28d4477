"""What passes between HRPOTrainer and TRL: dataset columns, reward functions, padded tokens, seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from adasr_trl.core.episode import Episode, to_json
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.hrpo.advantages import Granularity, Tokens
from adasr_trl.hrpo.boundary_tokens import boundary_tokens
from adasr_trl.layouts import Layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import Reward


def trl_row(episode: Episode) -> dict[str, str]:
    """TRL's columns: the question to show in logs, the whole episode for us."""
    return {"prompt": episode.question, "episode": to_json(episode)}


def trl_dataset(episodes: Sequence[Episode]) -> Dataset:
    """The episodes as TRL reads them."""
    return Dataset.from_list([trl_row(episode) for episode in episodes])


def trl_reward(reward: Reward, place: int) -> Callable[..., list[float]]:
    """A reward function as TRL calls it, on the local rows; they come with their ``scores``, already shaped."""

    def scored(scores: list[list[float]], **_columns: object) -> list[float]:
        return [row[place] for row in scores]

    scored.__name__ = f"{reward.name.replace(':', '.')}_{reward.scope.value}"
    return scored


def trl_rollouts(rollouts: Sequence[Rollout]) -> dict[str, list[object]]:
    """What TRL expects of a ``rollout_func``: its ids, given tokens masked."""
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
    }


def padded_tokens(
    rollouts: Sequence[Rollout], completion_ids_BT: Tensor, codec: Codec, granularity: Granularity
) -> Tokens:
    """What each completion token is; padding is READ. Boundaries, which cost decoding, only where they count."""
    phase_BT = torch.full_like(completion_ids_BT, Phase.READ)
    chunk_BT = torch.zeros_like(completion_ids_BT)
    boundary_BT = torch.zeros_like(completion_ids_BT, dtype=torch.bool)
    for row, rollout in enumerate(rollouts):
        cut = rollout.prompt_length
        end = len(rollout.token_ids) - cut
        phase_BT[row, :end] = phase_BT.new_tensor(rollout.phases[cut:])
        chunk_BT[row, :end] = chunk_BT.new_tensor(rollout.chunk_of_token[cut:])
        if granularity is Granularity.BOUNDARY:
            boundary_BT[row, :end] = boundary_BT.new_tensor(boundary_tokens(rollout, codec)[cut:])
    return Tokens(phase_BT, chunk_BT, boundary_BT)


def padded_visibility(
    rollouts: Sequence[Rollout], layout: Layout, device: torch.device
) -> Tensor | None:
    """The visibility of each completion token, 0 for padding; None where the layout has one stream. (B, T)."""
    pairs = [(layout.visibility(rollout), rollout.prompt_length) for rollout in rollouts]
    rows = [torch.tensor(v[prompt:], device=device) for v, prompt in pairs if v is not None]
    return pad_sequence(rows, batch_first=True) if rows else None


def row_seed(key: str, row: int, episode: Episode) -> int:
    """The seed of one rollout: a function of the step, the row among all processes' rows, and the episode."""
    digest = hashlib.sha256(f"{key}/{row}/{episode.id}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def other_episode(pool: Sequence[Episode], now: Episode, key: str, group: int) -> Episode:
    """The episode that takes a group's place, the same on every process; never ``now``, unless the pool has no other."""
    digest = hashlib.sha256(f"{key}/group {group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") % len(pool)
    return pool[place] if pool[place].id != now.id else pool[(place + 1) % len(pool)]
