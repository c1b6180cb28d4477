"""Keys with an effect beside another one only: alone they are refused, at their default and beside it they pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from adasr_trl.cli.prepare import RL_SECTIONS, SFT_SECTIONS
from adasr_trl.config.idle_keys import DEFAULTS, NEEDS
from adasr_trl.config.key_checks import check_keys
from adasr_trl.config.loading import load_config
from adasr_trl.config.values import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def check(command, *flags, folder, text="output_dir: out\n"):
    """Check a file's text and some flags."""
    (folder / "run.yaml").write_text(text, encoding="utf-8")
    check_keys(load_config(folder / "run.yaml", flags, {}), command)


@pytest.mark.parametrize(
    ("command", "given", "words"),
    [
        ("sft", "lr_scheduler_type constant warmup_steps 1", "set constant_with_warmup"),
        ("sft", "lr_scheduler_type greedy warmup_steps 0.1", "lr_scheduler_type: greedy"),
        (
            *("hrpo", "lr_scheduler_type constant_with_warmup lr_scheduler_kwargs {num_cycles:2}"),
            "no effect with lr_scheduler_type: constant_with_warmup",
        ),
        ("sft", "load_best_model_at_end true", "only with eval_strategy: steps or epoch"),
        ("sft", "muon_learning_rate 0.01 optim sgd", "no effect with muon_learning_rate"),
        ("sft", "muon_learning_rate 0.01 adam_epsilon 1e-6", "no effect with muon_learning_rate"),
        ("hrpo", "loss_type vespo epsilon 0.0001", "loss_type: grpo or bnpo"),
        ("hrpo", "loss_type sapo epsilon_high 0.3", "dapo or luspo or cispo"),
        ("hrpo", "loss_type cispo delta 1.5", "dapo or luspo; set"),
        ("hrpo", "loss_type cispo epsilon_high 5 epsilon 0.1", "its only bound"),
        ("hrpo", "use_bias_correction_kl false", "only with beta: more than 0"),
        ("hrpo", "sample_steps 0 sample_rollouts 3", "no effect with sample_steps: 0"),
        ("hrpo", "vllm_importance_sampling_correction false", "only with engine: vllm"),
        ("hrpo", "engine vllm vllm_server_port 8001", "only with vllm_mode: server"),
        ("hrpo", "accelerator_config {use_seedable_sampler:false}", "use_seedable_sampler"),
        ("sft", "shuffle_dataset true", "random order"),
        ("sft", "length_column_name n", "train_sampling_strategy: group_by_length"),
        ("sft", "eval_steps 5", "only with eval_strategy: steps"),
        ("sft", "eval_strategy epoch eval_steps 5", "only with eval_strategy: steps"),
        ("sft", "eval_delay 2", "only with eval_strategy: steps or epoch"),
        ("sft", "bf16_full_eval true", "or eval_on_start: true"),
        ("sft", "metric_for_best_model loss", "only with load_best_model_at_end: true"),
        ("sft", "greater_is_better true", "only with load_best_model_at_end: true"),
        ("sft", "save_strategy epoch save_steps 5", "only with save_strategy: steps"),
        ("sft", "liger_kernel_config {a:1}", "only with use_liger_kernel: true"),
        ("sft", "dataloader_in_order false", "only with dataloader_num_workers"),
        (
            "sft",
            "gradient_checkpointing false gradient_checkpointing_kwargs {a:1}",
            "checkpointing",
        ),
        ("sft", "run_name mine", "only with report_to"),
        ("sft", "report_to tensorboard project mine", "report_to: trackio or all"),
    ],
)
def test_a_key_that_another_one_leaves_without_effect_is_refused(command, given, words, tmp_path):
    flags, last = as_flags(given)
    with pytest.raises(ConfigError) as caught:
        check(command, *flags, folder=tmp_path)
    line = str(caught.value)
    assert line.startswith(f"command line --{last}: {last}: "), line
    assert words in line


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("sft", "lr_scheduler_type constant_with_warmup warmup_steps 1"),
        ("sft", "lr_scheduler_type constant warmup_steps 0"),
        ("sft", "muon_learning_rate 0.01 optim adamw_torch_fused adam_epsilon 1e-8"),
        ("sft", "muon_learning_rate 0.01 adam_beta1 0.8"),
        ("hrpo", "loss_type sapo epsilon 0.2"),  # the default
        ("hrpo", "loss_type cispo epsilon 4"),  # in epsilon_high's place
        ("hrpo", "delta 1.5"),  # of dapo, the default
        ("hrpo", "use_bias_correction_kl true"),
        ("hrpo", "use_bias_correction_kl false beta 0.1"),
        ("hrpo", "engine vllm vllm_mode server vllm_server_port 8001"),
        ("hrpo", "vllm_mode colocate"),
        ("hrpo", "sample_steps 0 sample_rollouts 2"),
        ("sft", "accelerator_config {use_seedable_sampler:false}"),
        ("sft", "save_strategy epoch save_steps 500"),
        (
            "sft",
            "eval_strategy epoch eval_delay 2 load_best_model_at_end true greater_is_better true",
        ),
        ("sft", "eval_on_start true bf16_full_eval true"),
        ("sft", "eval_strategy epoch save_total_limit 2 metric_for_best_model loss"),  # is kept
        ("sft", "shuffle_dataset false"),
        ("sft", "report_to [trackio] project mine run_name mine"),
        ("sft", "activation_checkpointing true activation_checkpointing_kwargs {a:1}"),
    ],
)
def test_beside_the_other_key_or_at_its_default_it_passes(command, given, tmp_path):
    check(command, *as_flags(given)[0], folder=tmp_path)


def as_flags(given):
    """``key value key value`` as flags, and the last key."""
    words = given.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    flags = [part for key, value in pairs for part in (f"--{key}", value.replace(":", ": "))]
    return flags, words[-2]


def test_a_flag_turns_off_evaluation_and_checkpoints_of_a_file(tmp_path):
    text = "output_dir: out\neval_strategy: steps\neval_steps: 5\nsave_steps: 5\n"
    off = ("--eval_strategy", "no", "--save_strategy", "no")
    check("sft", *off, text=text, folder=tmp_path)
    with pytest.raises(ConfigError, match=r"run.yaml:3: eval_steps: got 5"):
        check("sft", text=text.replace("steps\n", "no\n", 1), folder=tmp_path)
    with pytest.raises(ConfigError, match=r"run.yaml:5: load_best_model_at_end"):
        check("sft", *off, text=text + "load_best_model_at_end: true\n", folder=tmp_path)


def test_the_defaults_are_those_of_the_installed_releases():
    from adasr_trl.hrpo import HRPOConfig
    from adasr_trl.training.sft import StreamingSFTConfig

    for config in (StreamingSFTConfig, HRPOConfig):
        fields = {field.name: field.default for field in dataclasses.fields(config)}
        keys = {*DEFAULTS, *NEEDS} & fields.keys() - {"max_completion_length"}
        given = {key: DEFAULTS.get(key) for key in keys}
        assert {key: fields[key] or None for key in keys} == {
            k: v or None for k, v in given.items()
        }


def test_no_published_file_has_an_idle_key():
    files = {path: yaml.safe_load(path.read_text("utf-8")) for path in CONFIGS.glob("*/*.yaml")}
    runs = {path: keys for path, keys in files.items() if {"learning_rate", "data"} <= keys.keys()}
    assert len(runs) > 20
    for path, keys in runs.items():
        command = "sft" if "rewards" not in keys else "grpo" if "grpo" in path.stem else "hrpo"
        sections = SFT_SECTIONS if command == "sft" else RL_SECTIONS
        check_keys(load_config(path, (), sections), command)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("output_dir", "${HOME}/r"),
        ("model.path", "$HOME/r"),
        ("data.train", "a/${oc.env:D}/t.jsonl"),
    ],
)
def test_a_variable_in_a_path_is_refused_with_its_line(key, value, tmp_path):
    with pytest.raises(ConfigError) as caught:
        check("sft", f"--{key}", value, folder=tmp_path)
    assert str(caught.value).startswith(f"command line --{key}: {key}: got {value!r}")
    check("sft", f"--{key}", "a/$1/r", folder=tmp_path)  # a name, if an odd one
