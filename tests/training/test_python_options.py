"""Options from Python are held to what the commands hold theirs to; defaults and usual ones pass."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch
from peft import LoraConfig
from transformers import TrainerCallback
from transformers.trainer_utils import IntervalStrategy, SchedulerType

from adasr_trl.artifacts import checkpoints, directory
from adasr_trl.config.keys import INSTEAD, OBEYED
from adasr_trl.core.errors import UserError
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.training.resuming import whole_checkpoint
from adasr_trl.training.sft import StreamingSFTConfig, StreamingSFTTrainer

CPU = {"use_cpu": True, "bf16": False, "report_to": "none"}
ROWS = [
    {"question": "How many hens?", "text": "Tom has 5 hens. He buys 3.", "answer": 8,
     "thoughts": ["5", "5 + 3 = 8"]}
]  # fmt: skip
CONFIGS = {"hrpo": HRPOConfig, "sft": StreamingSFTConfig}
# Taken in Python, or named by another check; false asks for nothing.
ELSEWHERE = {"reward_weights", "model_init_kwargs", "local_rank", "use_vllm"}


def defaults(config):
    for option in dataclasses.fields(config):
        made = option.default_factory
        if option.init:
            yield option.name, option.default if made is dataclasses.MISSING else made()


def without_effect():
    for command, config in CONFIGS.items():
        for name, default in defaults(config):
            refused = INSTEAD.keys() - OBEYED[command] - ELSEWHERE
            if name in refused and default is not True:
                yield command, name, True if default is False else 7


@pytest.mark.parametrize(("command", "name", "value"), list(without_effect()))
def test_each_option_that_a_command_refuses_is_refused_from_python(command, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: .*[a-z]"):
        CONFIGS[command]("out", **{**CPU, name: value})


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("hrpo", {"temperature": 0.0}, "temperature: got 0.0; expected 1e-08 or more"),
        ("hrpo", {"top_p": 1.5}, "top_p: got 1.5; expected more than 0 to 1"),
        ("hrpo", {"top_k": -3}, "top_k: got -3; expected 0 or more"),
        ("hrpo", {"epsilon": 0.0}, "epsilon: got 0.0; expected more than 0"),
        ("hrpo", {"loss_type": "x"}, "loss_type: got 'x'; expected one of grpo"),
        ("hrpo", {"sync_ref_model": True}, "sync_ref_model: has an effect only with beta"),
        (
            "hrpo",
            {"vllm_server_port": 8001},
            "vllm_server_port: got 8001, which has an effect only with",
        ),
        ("hrpo", {"remove_unused_columns": True}, "remove_unused_columns: has no effect"),
        ("sft", {"learning_rate": -1.0}, "learning_rate: got -1.0; expected more than 0"),
        ("sft", {"max_grad_norm": float("nan")}, "max_grad_norm: got nan; expected 0 or more"),
        ("sft", {"max_steps": 0}, "max_steps: got 0; expected 1 or more"),
        ("sft", {"seed": -1}, "seed: got -1; expected 0 to 4294967295"),
        ("sft", {"save_total_limit": 1}, "save_total_limit: got 1; .*use 2 or more"),
    ],
)
def test_a_value_out_of_its_range_is_refused(command, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        CONFIGS[command]("out", **CPU, **options)


@pytest.mark.parametrize("config", CONFIGS.values())
def test_an_option_with_its_default_passes(config):
    config(**{**dict(defaults(config)), **CPU, "output_dir": "out"})


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("hrpo", {"loss_type": "dr_grpo"}),
        ("hrpo", {"loss_type": "dr_grpo", "max_completion_length": 64}),
        ("hrpo", {"num_generations_eval": 1}),  # for evaluate()
        ("hrpo", {"reward_weights": [1.0, 0.5], "model_init_kwargs": {"dtype": "float32"}}),
        ("hrpo", {"scale_rewards": False, "beta": 0.04, "num_iterations": 2, "epsilon_high": 0.28}),
        ("hrpo", {"chat_template_kwargs": {}, "gradient_checkpointing": False, "top_k": 20}),
        ("hrpo", {"advantages": "flat", "save_strategy": IntervalStrategy.EPOCH}),
        ("sft", {"max_length": None, "packing": False, "label_smoothing_factor": 0.1}),
        ("sft", {"lr_scheduler_type": SchedulerType.COSINE, "warmup_steps": 0.1}),
        ("sft", {"debug": ["underflow_overflow"], "neftune_noise_alpha": 5, "optim": "sgd"}),
        ("sft", {"eval_strategy": IntervalStrategy.STEPS, "metric_for_best_model": "mine"}),
    ],
)
def test_usual_options_pass(command, options):
    CONFIGS[command]("out", **CPU, **options)


def test_a_configuration_can_be_copied_with_a_change():
    args = StreamingSFTConfig("out", **CPU, eval_strategy="steps", warmup_steps=0.5)
    assert dataclasses.replace(args, seed=3).seed == 3


def hrpo(config=None, **more):
    args = HRPOConfig("out", **CPU, **(config or {}))
    return HRPOTrainer("demo", ["accuracy", "format"], args, ROWS, **more)


def sft(config=None, **more):
    args = StreamingSFTConfig("out", **CPU, **(config or {}))
    return StreamingSFTTrainer("demo", args, ROWS, **more)


def adapter(*targets):
    return {"peft_config": LoraConfig(r=2, target_modules=list(targets), task_type="CAUSAL_LM")}


SGD = (torch.optim.SGD, {"lr": 0.1})
GIVEN = (torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1), None)
MUON = {"muon_learning_rate": 0.01}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: hrpo(rollout_func=print), "rollout_func: has no effect here"),
        (lambda: hrpo(tools=[print]), "tools: has no effect"),
        (lambda: hrpo(environment_factory=dict), "environment_factory: has no effect"),
        (lambda: hrpo(reward_processing_classes=["x"]), "reward_processing_classes: has no"),
        (lambda: hrpo(compute_metrics=dict), "compute_metrics: .*log_metric"),
        (lambda: hrpo(optimizer_cls_and_kwargs=SGD), "optimizer_cls_and_kwargs: .*optimizers="),
        (lambda: sft(quantization_config=1), "quantization_config: .*ModelConfig"),
        (lambda: sft(MUON, optimizer_cls_and_kwargs=SGD), "beside muon_learning_rate"),
        (lambda: sft(MUON, optimizers=GIVEN), "optimizers: got an optimizer beside"),
        (lambda: sft({"optim_args": "foo=1"}), "optim_args: 'foo=1' has no effect"),
        (lambda: hrpo({"optim_args": "foo=1"}), "optim_args: 'foo=1' has no effect"),
        (lambda: hrpo(**adapter("q_proj", "nope")), "peft_config.target_modules: .*'nope'"),
        (lambda: sft(**adapter("q_proj", "query_key_value")), "no layer 'query_key_value'"),
    ],
)
def test_an_argument_that_a_trainer_would_drop_is_refused_in_one_line(build, message):
    with pytest.raises(UserError, match=message):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: hrpo(tools=None, rollout_func=None, callbacks=[TrainerCallback()]),
        lambda: hrpo(optimizers=GIVEN, **adapter("q_proj", "mlp.down_proj")),
        lambda: sft(optimizer_cls_and_kwargs=SGD, peft_config=LoraConfig(r=2)),
        lambda: sft(MUON, optimizers=(None, None), optimizer_cls_and_kwargs=None),
    ],
)
def test_usual_arguments_pass(build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build()


def checkpoint(run, step, *, whole):
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "optimizer.pt").write_text("state")
    checkpoints.mark_checkpoint(folder)
    if not whole:
        (folder / "optimizer.pt").unlink()
    return folder


def test_a_checkpoint_that_is_not_whole_is_not_resumed(tmp_path, caplog):
    first, cut = checkpoint(tmp_path, 9, whole=True), checkpoint(tmp_path, 10, whole=False)
    assert whole_checkpoint(None, tmp_path) is whole_checkpoint(False, tmp_path) is None
    assert whole_checkpoint(first, tmp_path) == str(first)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert whole_checkpoint(True, tmp_path) == str(first)
    assert "resuming from checkpoint-9, since checkpoint-10 is not whole" in caplog.text
    assert cut.is_dir()
    with pytest.raises(UserError, match=f"the newest whole one is {first}"):
        whole_checkpoint(str(cut), tmp_path)
    with pytest.raises(UserError, match="holds no whole checkpoint"):
        whole_checkpoint(True, tmp_path / "empty")


def test_training_falls_back_to_the_whole_checkpoint_and_says_its_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = {"max_steps": 2, "save_steps": 1, "per_device_train_batch_size": 1}
    trainer = sft(steps, eval_dataset=ROWS)
    trainer.save_model("start")
    trainer.train()
    weights = [weight.clone() for weight in trainer.model.parameters()]
    (tmp_path / "out" / "checkpoint-2" / "trainer_state.json").unlink()
    resumed = sft(steps)
    resumed.train(resume_from_checkpoint=True)
    resumed.save_model("end")
    assert all(map(torch.equal, weights, resumed.model.parameters()))
    made = [directory.identity_of(tmp_path / name)["steps"] for name in ("start", "end")]
    assert made == [0, 2]
    metrics = trainer.evaluate(metric_key_prefix="test")
    assert {"test_loss", "test_mean_token_accuracy"} <= set(metrics)
    assert not [name for name in metrics if name.startswith("eval_")]
    assert "eval_mean_token_accuracy" in trainer.evaluate()
