"""Three HRPO steps on six episodes: rewards, arguments and the trainer."""

from __future__ import annotations

import copy

import torch

from adasr_trl.config.sections import RewardConfig
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.rewards import build_rewards
from support.settings import ON_CPU, STREAMING

REWARDS = build_rewards(
    [
        RewardConfig("accuracy", "global", 1.0),
        RewardConfig("format", "streaming", 0.25),
        RewardConfig("format", "deep", 0.25),
        RewardConfig("adaptive_thinking", "streaming", 0.5, {"strength": 0.5}),
        RewardConfig("adaptive_thinking", "deep", 1.0, {"cost": "latency"}),
    ],
    STREAMING,
)
SETTINGS = {
    "num_generations": 4,
    "generation_batch_size": 8,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "max_steps": 3,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant",
    "shuffle_dataset": False,
    **ON_CPU,
    "seed": 5,
}


def hrpo(model, tokenizer, episodes, out, rewards=REWARDS, streaming=STREAMING, **changes):
    return HRPOTrainer(
        copy.deepcopy(model),
        args=HRPOConfig(str(out), **{**SETTINGS, **changes}),
        train_dataset=episodes[:6],
        streaming=streaming,
        reward_funcs=rewards,
        processing_class=tokenizer,
    )


def train(trainer):
    torch.manual_seed(0)  # TRL shuffles a generation batch by the global random state
    trainer.train()
