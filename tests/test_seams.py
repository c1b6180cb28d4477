"""The places of TRL that we build on, by name: an upgrade that moves one fails here and says which."""

from __future__ import annotations

import inspect

import trl
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import RepeatSampler

from adasr_trl.hrpo import HRPOTrainer

OVERRIDDEN = {
    "_get_train_sampler": ["self", "dataset"],
    "_generate_and_score_completions": ["self", "inputs"],
}


def test_the_tested_release_of_trl_is_installed():
    assert trl.__version__.startswith("1.16.")


def test_what_we_override_is_there_with_the_arguments_we_know():
    for name, arguments in OVERRIDDEN.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == arguments


def test_rollout_func_is_called_with_prompts_and_trainer_and_may_return_env_mask():
    source = inspect.getsource(GRPOTrainer._generate)
    assert "self.rollout_func(prompts, self)" in source
    assert 'extra_fields.pop("env_mask", None)' in source


def test_extra_fields_of_rollout_func_reach_the_rewards_of_local_rows_which_are_gathered():
    merged = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "inp[key] = values[i]" in merged
    assert "self._calculate_rewards(inputs," in merged
    assert "gather(rewards_per_func)" in inspect.getsource(GRPOTrainer._calculate_rewards)


def test_the_loss_takes_advantages_for_each_token():
    source = inspect.getsource(GRPOTrainer._compute_loss)
    assert "if advantages.dim() == 1:" in source


def test_trls_sampler_draws_from_an_attribute_called_generator():
    sampler = RepeatSampler(range(6), mini_repeat_count=2, seed=3)
    first = list(sampler)
    sampler.generator.manual_seed(3)
    assert list(sampler) == first


def test_the_model_is_unwrapped_by_trl_for_generation():
    parameters = inspect.signature(unwrap_model_for_generation).parameters
    assert list(parameters)[:3] == ["model", "accelerator", "gather_deepspeed3_params"]


def test_the_trainer_overrides_nothing_else():
    own = {name for name, value in vars(HRPOTrainer).items() if inspect.isfunction(value)}
    theirs = set(dir(GRPOTrainer))
    assert own & theirs == {"__init__", *OVERRIDDEN}
