"""Trains a tiny model in several forms, in as many processes as it was launched with, and writes its generation batches.

Three optimizer steps use the first generation batch, the fourth a second one that the updated weights roll out.

    python tests/support/two_processes.py OUT                                         # one process
    python -m torch.distributed.run --nproc_per_node 2 tests/support/two_processes.py OUT

Not a test: ``test_two_processes`` launches it both ways and compares. Whether an answer counts as right is decided by
its length here, so that an untrained model has right and wrong ones.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from adasr_trl.config.sections import GroupFilter, ModelConfig, RewardConfig
from adasr_trl.core.rollout import to_record
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer, scoring
from adasr_trl.models.loading import load_tokenizer
from adasr_trl.rewards import Reward, Scope, build_rewards
from adasr_trl.rewards.user import UserFunction
from support.settings import ON_CPU, SCRATCH, STREAMING
from support.tiny_model import ledger_episodes, small_model


def sometimes_unknown(rollout, episode):
    """None for two of five rollouts."""
    count = len(rollout.token_ids) % 5
    return None if count < 2 else count / 4


def unknown(rollout, episode):
    return None


LOCAL = [
    RewardConfig("accuracy", "global"),
    RewardConfig("format", "streaming", 0.25, {"partial_credit": True}),
    RewardConfig("adaptive_thinking", "streaming"),
    RewardConfig("adaptive_thinking", "deep", 1.0, {"cost": "latency"}),
]
FORMS = {
    "whole": ({"num_generations": 4}, None),
    "sentence": ({"num_generations": 8, "granularity": "sentence"}, None),
    "unknown": (
        {"num_generations": 8, "multi_objective_aggregation": "normalize_then_sum"},
        None,
    ),
    "parallel": ({"num_generations": 8}, None),
    "filter": ({"num_generations": 8}, GroupFilter(max_resamples=2, drop_all_right=True)),
}


def rewards_of(name):
    rewards = build_rewards(LOCAL, STREAMING)
    if name != "unknown":
        return rewards
    return (
        *rewards,
        Reward("some", Scope.STREAMING, 1.0, UserFunction("some", sometimes_unknown), STREAMING),
        Reward("none", Scope.DEEP, 1.0, UserFunction("none", unknown), STREAMING),
    )


class GenerationRecorder(HRPOTrainer):
    """Keeps each generation batch: the weights that rolled it out, and every row's record and advantages."""

    def _generate_and_score_completions(self, inputs):
        self.generations = getattr(self, "generations", [])
        weights = self.accelerator.get_state_dict(self.model_wrapped)
        weights = {name: weight.clone() for name, weight in weights.items()}  # training goes on
        output = super()._generate_and_score_completions(inputs)
        rows = []
        batch = self.generation_batch
        for row, line in zip(batch.rollouts, output["advantages"], strict=True):
            written = len(row.rollout.token_ids) - row.rollout.prompt_length
            rows.append((to_record(row.rollout), line[:written].tolist()))
        self.generations.append({"rows": rows, "weights": weights, "resampled": batch.resampled})
        return output


def parts_of(out, layout="interleaved", **changes):
    """What a trainer is made of: model, tokenizer, episodes, arguments and streaming configuration."""
    episodes = ledger_episodes()
    config = ModelConfig(init="scratch", scratch=SCRATCH)
    tokenizer = load_tokenizer(config, STREAMING.markers, episodes)
    model = small_model(tokenizer)
    settings = {
        "generation_batch_size": 24,  # with G = 8 the second group is split over two processes
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 6 // processes(),
        "num_iterations": 3,  # the fourth step has the second generation batch
        "max_steps": 4,
        "learning_rate": 0.1,
        "optim": "sgd",  # Adam divides by the gradient's own size: rounding of the smallest ones becomes a step
        **ON_CPU,
        "seed": 5,
    }
    args = HRPOConfig(str(out), **settings | changes)
    return model, tokenizer, episodes, args, replace(STREAMING, layout=layout)


def main(out):
    torch.set_num_threads(1)
    for name, (changes, group_filter) in FORMS.items():
        every = 13 if group_filter else 3  # rarely right: all-wrong groups to draw again
        scoring.answered_right = lambda rollout, _, n=every: len(rollout.token_ids) % n == 0
        layout = "parallel" if name == "parallel" else "interleaved"
        model, tokenizer, episodes, args, streaming = parts_of(out / name, layout, **changes)
        trainer = GenerationRecorder(
            model,
            args=args,
            train_dataset=episodes,
            streaming=streaming,
            reward_funcs=rewards_of(name),
            group_filter=group_filter,
            processing_class=tokenizer,
        )
        trainer.train()
        rank = trainer.accelerator.process_index
        torch.save(trainer.generations, out / f"{name}-{rank}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def processes():
    return int(os.environ.get("WORLD_SIZE", "1"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
