"""HRPOTrainer against TRL's GRPOTrainer, on the same rollouts, down to the weights."""

from __future__ import annotations

import copy

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.protocol import Phase
from adasr_trl.engines import hf
from adasr_trl.hrpo.advantages import Granularity
from adasr_trl.hrpo.trl_batch import padded_tokens, trl_dataset, trl_rollouts
from adasr_trl.rewards import ScoredRollout, answered_right, build_rewards
from support.hrpo_training import REWARDS, SETTINGS, hrpo, train
from support.scripted import Script
from support.settings import STREAMING

OVERALL = build_rewards(
    [
        RewardConfig("accuracy", "global", 1.0),
        RewardConfig("l1_exact", "global", 0.5, {"target_tokens": 20, "alpha": 0.01}),
    ],
    STREAMING,
)


@pytest.fixture
def script(tokenizer, episodes, monkeypatch):
    script = Script(tokenizer, episodes[:6])
    monkeypatch.setattr(hf, "HFEngine", lambda *_args: script)
    return script


def grpo(model, tokenizer, episodes, out, script, rewards, **changes):
    """TRL's own trainer; its rewards are computed here by a plain loop over each group of four."""
    order: list = []

    def rollout_func(prompts, _trainer):
        start = len(order) // 8 * 2
        asked = [episodes[(start + g) % 6] for g in range(2)]
        order.extend(prompts)
        assert [e.question for e in asked for _ in range(4)] == prompts
        rolled = [r for e in asked for r in script.by_id[e.id]]
        return {**trl_rollouts(rolled), "rollout": rolled}

    def make(reward):
        def measure(rollout, **columns):
            those = [episodes[index] for index in columns["episode"]]
            right = [answered_right(r, e) for r, e in zip(rollout, those, strict=True)]
            graded = [ScoredRollout(*each) for each in zip(rollout, those, right, strict=True)]
            raw = [reward.measure(each).value for each in graded]
            if reward.name != "adaptive_thinking":
                return raw
            costs_NG, right_NG = torch.tensor(raw).view(-1, 4), torch.tensor(right).view(-1, 4)
            return reward.rule.within_group(costs_NG, right_NG, 0.0).flatten().tolist()

        measure.__name__ = f"{reward.name}_{reward.scope.value}"
        return measure

    args = GRPOConfig(
        str(out), reward_weights=[r.weight for r in rewards], **{**SETTINGS, **changes}
    )
    return GRPOTrainer(
        copy.deepcopy(model),
        reward_funcs=[make(reward) for reward in rewards],
        args=args,
        train_dataset=trl_dataset(episodes[:6]),
        processing_class=tokenizer,
        rollout_func=rollout_func,
    )


def largest_difference(a, b):
    pairs = zip(a.model.parameters(), b.model.parameters(), strict=True)
    return max((p - q).abs().max().item() for p, q in pairs)


def test_local_weight_0_is_trl_with_the_global_rewards_to_the_last_bit(
    model, tokenizer, episodes, script, tmp_path
):
    ours = hrpo(model, tokenizer, episodes, tmp_path / "a", local_weight=0.0, shared_prefix=False)
    theirs = grpo(model, tokenizer, episodes, tmp_path / "b", script, REWARDS[:1])
    train(ours)
    train(theirs)
    moved = max(
        (p - q).abs().max().item()
        for p, q in zip(ours.model.parameters(), model.parameters(), strict=True)
    )
    assert moved > 1e-4
    assert largest_difference(ours, theirs) == 0.0


def test_flat_grpo_is_trl_with_all_rewards_to_the_last_bit(
    model, tokenizer, episodes, script, tmp_path
):
    ours = hrpo(model, tokenizer, episodes, tmp_path / "a", advantages="flat", shared_prefix=False)
    theirs = grpo(model, tokenizer, episodes, tmp_path / "b", script, list(REWARDS))
    train(ours)
    train(theirs)
    assert largest_difference(ours, theirs) == 0.0


def test_over_distinct_tokens_the_weights_are_trls_to_rounding(
    model, tokenizer, episodes, script, tmp_path
):
    """SGD: Adam divides by a gradient's own size, so rounding of the smallest ones becomes a step."""
    plainly = {"optim": "sgd", "learning_rate": 0.1}
    ours = hrpo(model, tokenizer, episodes, tmp_path / "a", local_weight=0.0, **plainly)
    theirs = grpo(model, tokenizer, episodes, tmp_path / "b", script, REWARDS[:1], **plainly)
    train(ours)
    train(theirs)
    assert ours.shares(ours.model, two_streams=False)
    assert largest_difference(ours, hrpo(model, tokenizer, episodes, tmp_path)) > 1e-3
    assert largest_difference(ours, theirs) <= 1e-6


@pytest.mark.parametrize(
    ("normalisation", "tolerance"),
    [
        ({"scale_rewards": "none"}, 0.0),
        ({"scale_rewards": "batch"}, 0.0),
        ({"multi_objective_aggregation": "normalize_then_sum"}, 0.0),
    ],
    ids=["none", "batch", "normalize_then_sum"],
)
def test_every_normalisation_is_trls_on_the_global_rewards(
    model, tokenizer, episodes, script, tmp_path, normalisation, tolerance
):
    changes = {"local_weight": 0.0, "shared_prefix": False, **normalisation}
    ours = hrpo(model, tokenizer, episodes, tmp_path / "a", OVERALL, **changes)
    theirs = grpo(model, tokenizer, episodes, tmp_path / "b", script, OVERALL, **normalisation)
    train(ours)
    train(theirs)
    assert largest_difference(ours, theirs) <= tolerance
    assert largest_difference(ours, hrpo(model, tokenizer, episodes, tmp_path)) > 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {"granularity": "sentence"},
        {"granularity": "boundary"},
        {"mixing": "additive"},
        {"local_weight": 0.9, "local_weight_end": 0.1},
    ],
    ids=["sentence", "boundary", "additive", "schedule"],
)
def test_every_form_trains_something_of_its_own(
    model, tokenizer, episodes, script, tmp_path, changes
):
    ours = hrpo(model, tokenizer, episodes, tmp_path / "a", **changes)
    stage = hrpo(model, tokenizer, episodes, tmp_path / "b")
    train(ours)
    train(stage)
    assert largest_difference(ours, stage) > 1e-4


def test_hierarchical_advantages_train_something_else_than_flat_ones(
    model, tokenizer, episodes, script, tmp_path
):
    ours = hrpo(model, tokenizer, episodes, tmp_path / "a", local_weight=0.5)
    flat = hrpo(model, tokenizer, episodes, tmp_path / "b", advantages="flat")
    train(ours)
    train(flat)
    assert largest_difference(ours, flat) > 1e-4


def test_given_tokens_get_a_gradient_of_exactly_zero(
    model, tokenizer, episodes, script, tmp_path, monkeypatch
):
    trainer = hrpo(model, tokenizer, episodes, tmp_path)
    rows = [row for row in trainer.train_dataset.select([0, 1]) for _ in range(4)]
    batch = trainer._generate_and_score_completions(rows)
    logps = torch.zeros(batch["completion_ids"].shape, requires_grad=True)
    monkeypatch.setattr(
        trainer,
        "_get_per_token_logps_and_entropies",
        lambda *_args, **_kwargs: (logps, torch.zeros_like(logps), None),
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer._compute_loss(trainer.model, batch).backward()
    rollouts = [row.rollout for row in trainer.generation_batch.rollouts]
    phases = padded_tokens(
        rollouts, batch["completion_ids"], trainer._codec, Granularity.STAGE
    ).phase_BT
    assert logps.grad[phases == Phase.READ].abs().max().item() == 0.0
    assert (logps.grad[phases == Phase.STREAM].abs() > 0).any()
    assert (logps.grad[phases == Phase.DEEP].abs() > 0).any()
