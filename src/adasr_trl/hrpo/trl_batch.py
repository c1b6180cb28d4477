"""Between HRPOTrainer and TRL: dataset columns, reward functions, padded tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.hrpo.advantages import Granularity, Tokens
from adasr_trl.hrpo.boundary_tokens import boundary_tokens
from adasr_trl.layouts import Layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import Reward
from adasr_trl.training.data import Data


def trl_dataset(episodes: Sequence[Episode]) -> Dataset:
    """TRL's columns: the question to show in logs, and the episode as its index."""
    rows = [{"prompt": episode.question, "episode": i} for i, episode in enumerate(episodes)]
    return Dataset.from_list(rows)


def trl_datasets(data: Data) -> dict[str, Dataset | None]:
    """TRL's arguments for a trainer's data."""
    held_out = trl_dataset(data.held_out) if data.held_out else None
    return {"train_dataset": trl_dataset(data.train), "eval_dataset": held_out}


def trl_rewards(rewards: Sequence[Reward]) -> list[Callable[..., list[float]]]:
    """Reward functions as TRL calls them, on local rows whose ``scores`` are known."""
    return [_column(reward, index) for index, reward in enumerate(rewards)]


def _column(reward: Reward, index: int) -> Callable[..., list[float]]:
    def scored(scores: list[list[float]], **_columns: object) -> list[float]:
        return [rewards_R[index] for rewards_R in scores]

    scored.__name__ = f"{reward.name.replace(':', '.')}_{reward.scope.value}"
    return scored


def trl_rollouts(
    rollouts: Sequence[Rollout], mask_truncated: bool = False
) -> dict[str, list[list[object]]]:
    """The columns of a ``rollout_func`` of TRL; given tokens are masked, and all of a truncated rollout if asked.

    TRL takes every completion without its end token for truncated, also one in a wrong format, which has to be learnt from.
    """
    columns: dict[str, list[list[object]]] = {
        key: [] for key in ("prompt_ids", "completion_ids", "logprobs", "env_mask")
    }
    for rollout in rollouts:
        cut = rollout.prompt_length
        columns["prompt_ids"].append(list(rollout.token_ids[:cut]))
        columns["completion_ids"].append(list(rollout.token_ids[cut:]))
        columns["logprobs"].append(list((rollout.logprobs or ())[cut:]))
        is_masked = mask_truncated and rollout.ending is Ending.OUT_OF_TOKENS
        written = [phase is not Phase.READ and not is_masked for phase in rollout.phases[cut:]]
        columns["env_mask"].append([int(is_counted) for is_counted in written])
    return columns


def padded_tokens(
    rollouts: Sequence[Rollout], completion_ids_BT: Tensor, codec: Codec, granularity: Granularity
) -> Tokens:
    """The parts of the completions; padding is READ. Boundaries, which cost decoding, only where they count."""
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
    return pad_sequence(rows, batch_first=True) if rows else None  # B x (T_b) -> (B, T)


def padded_written(rollouts: Sequence[Rollout]) -> Tensor:
    """1 for each completion token that the model wrote, 0 for given tokens and padding. (B, T)."""
    rows = [torch.tensor(mask) for mask in trl_rollouts(rollouts)["env_mask"]]
    return pad_sequence(rows, batch_first=True)  # B x (T_b) -> (B, T)
