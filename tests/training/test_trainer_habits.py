"""What users of TRL give its trainers, and find refused here with what to give instead."""

from __future__ import annotations

import pytest
from trl import GRPOConfig, SFTConfig

from adasr_trl.config.sections import GroupFilter
from adasr_trl.core.errors import UserError
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.training.sft import StreamingSFTConfig, StreamingSFTTrainer

ROWS = [{"question": "How many hens?", "text": "Tom has 5 hens. He buys 3.", "answer": 8}]
CPU = {"use_cpu": True, "bf16": False}


def hrpo(model="demo", args=None):
    return HRPOTrainer(model, ["accuracy"], args or HRPOConfig("out", **CPU), ROWS)


def sft(args=None, **options):
    return StreamingSFTTrainer("demo", args or StreamingSFTConfig("out", **CPU), ROWS, **options)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: hrpo(args=GRPOConfig("out", **CPU)), "got GRPOConfig; expected HRPOConfig"),
        (lambda: sft(SFTConfig("out", **CPU)), "got SFTConfig; expected StreamingSFTConfig"),
        (lambda: hrpo(model=None), "model: got none"),
        (lambda: sft(formatting_func=str), "formatting_func: has no effect here"),
        (lambda: HRPOTrainer.__new__(HRPOTrainer).evaluate(ROWS), "as eval_dataset"),
        (lambda: HRPOTrainer.__new__(HRPOTrainer).predict(ROWS), r"adasr_trl\.evaluate"),
    ],
)
def test_what_a_trainer_cannot_use_is_refused_in_one_line(build, message):
    with pytest.raises(UserError, match=message):
        build()


@pytest.mark.parametrize(
    ("config", "option", "value", "message"),
    [
        (HRPOConfig, "max_completion_length", 64, "max_thought_tokens"),
        (StreamingSFTConfig, "max_length", 64, "max_thought_tokens"),
        (StreamingSFTConfig, "packing", True, "shared_prefix"),
        (StreamingSFTConfig, "dataset_text_field", "body", "form of their own"),
        (StreamingSFTConfig, "assistant_only_loss", True, "never on what it reads"),
    ],
)
def test_an_option_without_effect_is_refused_from_python_too(config, option, value, message):
    with pytest.raises(ValueError, match=f"{option}: has no effect here.*{message}"):
        config("out", **CPU, **{option: value})


def test_training_goes_on_behind_a_save(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    groups = {"num_generations": 2, "per_device_train_batch_size": 2}
    args = HRPOConfig("out", **CPU, **groups, max_steps=1, report_to="none")
    trainer = HRPOTrainer("demo", ["accuracy", "format"], args, ROWS)
    trainer.train()
    trainer.save_model()
    assert trainer.train().global_step == 1


def test_the_name_demo_is_a_model_of_both_trainers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{**ROWS[0], "thoughts": ["5", "5 + 3 = 8"]}]
    supervised = StreamingSFTTrainer("demo", StreamingSFTConfig("sft", **CPU, max_steps=1), rows)
    groups = {"num_generations": 2, "per_device_train_batch_size": 2}
    args = HRPOConfig("hrpo", **CPU, **groups, max_steps=1)
    reinforced = HRPOTrainer("demo", ["accuracy", "format"], args, rows)
    assert supervised.protocol == reinforced.protocol
    for trainer in (supervised, reinforced):
        assert trainer.origin.path.endswith("adasr_trl/demo")


def test_rewards_of_trls_form_have_its_state_and_metrics_and_its_names_choose_a_checkpoint(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    seen = []

    def curriculum(completions, trainer_state, log_metric, log_extra, **_columns):
        seen.append((len(completions), trainer_state.global_step, trainer_state.max_steps))
        log_metric("longest", max(map(len, completions)))
        log_extra("words", [len(text.split()) for text in completions])
        return [len(text) / max(map(len, completions)) for text in completions]

    args = HRPOConfig(
        "out", **CPU, num_generations=2, per_device_train_batch_size=2, max_steps=2, report_to="none",
        eval_strategy="steps", eval_steps=1, save_steps=1, per_device_eval_batch_size=2,
        load_best_model_at_end=True, metric_for_best_model="reward", logging_steps=1,
    )  # fmt: skip
    trainer = HRPOTrainer("demo", [curriculum, "format"], args, ROWS, ROWS * 2)
    trainer.train()
    assert (2, 0, 2) in seen and (2, 1, 2) in seen  # noqa: PT018
    logged = {name for row in trainer.state.log_history for name in row}
    assert {"reward", "reward_std", "eval_reward", "longest", "reward/global"} <= logged
    metrics = trainer.evaluate(metric_key_prefix="test")
    assert {"test_reward", "test_accuracy", "test_longest"} <= set(metrics)
    assert not [name for name in metrics if name.startswith("eval_")]


def test_log_extra_and_groups_that_are_sampled_again_exclude_each_other():
    def judge(completions, log_extra):
        return [0.0 for _ in completions]

    args = HRPOConfig("out", **CPU)
    with pytest.raises(ValueError, match="group_filter: groups that are sampled again"):
        HRPOTrainer("demo", [judge], args, ROWS, group_filter=GroupFilter())
