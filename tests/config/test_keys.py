"""Keys: each of TRL's is obeyed or refused, and a wrong setting ends in one line before anything is loaded."""

from __future__ import annotations

import dataclasses
import re
from typing import get_type_hints

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.config.keys import ELSEWHERE, INSTEAD, OBEYED, TEXT
from support import workspace


@pytest.mark.parametrize("command", ["sft", "hrpo"])
def test_every_argument_of_the_installed_releases_is_obeyed_or_refused(command):
    from adasr_trl.hrpo import HRPOConfig
    from adasr_trl.training.sft import StreamingSFTConfig

    config = StreamingSFTConfig if command == "sft" else HRPOConfig
    names = {field.name for field in dataclasses.fields(config) if field.init}
    assert names - OBEYED[command] - set(INSTEAD) == set()
    assert OBEYED[command] - names == set()
    assert not (set(ELSEWHERE) & names)


def test_names_and_places_are_text_in_the_installed_releases():
    from adasr_trl.hrpo import HRPOConfig

    hints = get_type_hints(HRPOConfig)
    assert {name: hints[name] for name in TEXT if hints[name] not in (str, str | None)} == {}


@pytest.fixture(scope="module")
def root(tmp_path_factory, episodes):
    folder = tmp_path_factory.mktemp("keys")
    workspace.make(folder, episodes)
    return folder


WRONG = [  # command, key, value, a word of the message
    ("hrpo", "push_to_hub", "true", "adasr push"),
    ("hrpo", "hub_model_id", "me/x", "adasr push"),
    ("hrpo", "hub_token", "hf_abcdefgh", "HF_TOKEN"),
    ("hrpo", "hub_strategy", "every_save", "adasr push"),
    ("sft", "push_to_hub", "true", "adasr push"),
    ("sft", "resume_from_checkpoint", "x", "--resume"),
    ("hrpo", "resume_from_checkpoint", "true", "--resume"),
    ("hrpo", "save_only_model", "true", "optimizer"),
    ("hrpo", "max_completion_length", "8", "dr_grpo"),
    ("hrpo", "loss_type", "dr_grpo", "max_completion_length"),
    ("hrpo", "loss_type", "x", "one of grpo"),
    ("sft", "loss_type", "grpo", "one of nll"),
    ("hrpo", "model_init_kwargs", "{dtype: float16}", "model.dtype"),
    ("hrpo", "cache_implementation", "static", "max_cache_gib"),
    ("hrpo", "generation_kwargs", "{top_k: 1}", "top_p"),
    ("hrpo", "repetition_penalty", "1.2", "temperature"),
    ("hrpo", "reward_weights", "[1, 2]", "rewards"),
    ("hrpo", "chat_template_kwargs", "{a: 1}", "streaming.thinking"),
    ("hrpo", "use_vllm", "true", "engine: vllm"),
    ("hrpo", "vllm_server_port", "8001", "engine: vllm"),
    ("hrpo", "sapo_temperature_pos", "2", "loss_type: sapo"),
    ("hrpo", "ref_model_sync_steps", "5", "sync_ref_model"),
    ("hrpo", "entropy_target", "0.5", "use_adaptive_entropy"),
    ("hrpo", "log_completions", "true", "sample_steps"),
    ("hrpo", "num_completions_to_print", "2", "sample_steps"),
    ("hrpo", "fp16", "true", "bf16"),
    ("hrpo", "auto_find_batch_size", "true", "doctor"),
    ("hrpo", "ignore_data_skip", "true", "resumed"),
    ("hrpo", "data_seed", "3", "seed"),
    ("hrpo", "trust_remote_code", "true", "model.trust_remote_code"),
    ("hrpo", "temperature", "0", "1e-08 or more"),
    ("hrpo", "temperature", "-1", "1e-08 or more"),
    ("hrpo", "temperature", "1e-300", "1e-08 or more"),
    ("hrpo", "learning_rate", "-1", "more than 0"),
    ("sft", "learning_rate", "0", "more than 0"),
    ("hrpo", "top_p", "1.5", "0 to 1"),
    ("hrpo", "top_k", "-3", "0 or more"),
    ("hrpo", "min_p", "2", "0 to 1"),
    ("hrpo", "num_generations", "1", "2 or more"),
    ("hrpo", "beta", "-0.1", "0 or more"),
    ("hrpo", "epsilon", "0", "more than 0"),
    ("hrpo", "num_iterations", "0", "1 or more"),
    ("hrpo", "max_steps", "0", "1 or more"),
    ("sft", "max_steps", "-5", "-1 for epochs"),
    ("sft", "fsdp_config", "{min_num_params: 1}", "only with fsdp"),
    ("sft", "ddp_backend", "foo", "one of nccl"),
    ("sft", "seed", "99999999999999999999", "0 to 4294967295"),
    ("hrpo", "num_train_epochs", "-2", "more than 0"),
    ("hrpo", "per_device_train_batch_size", "0", "1 or more"),
    ("sft", "gradient_accumulation_steps", "0", "1 or more"),
    ("sft", "save_steps", "0", "more than 0"),
    ("sft", "warmup_steps", "-1", "0 or more"),
    ("sft", "weight_decay", "-1", "0 or more"),
    ("sft", "max_grad_norm", "-1", "0 or more"),
    ("sft", "seed", "-1", "0 to 4294967295"),
    ("sft", "adam_beta1", "1.5", "0 to 1"),
    ("sft", "label_smoothing_factor", "2", "0 to 1"),
    ("sft", "max_length", "128", "max_prompt_tokens"),
    ("sft", "packing", "true", "without padding"),
    ("sft", "padding_free", "true", "without padding"),
    ("sft", "completion_only_loss", "true", "what the model writes"),
    ("sft", "assistant_only_loss", "true", "what the model writes"),
    ("sft", "dataset_text_field", "x", "docs/DATA.md"),
    ("sft", "dataset_name", "gsm8k", "data.train"),
    ("sft", "model_name_or_path", "x/y", "model.path"),
    ("sft", "use_peft", "true", "lora"),
    ("sft", "torch_dtype", "bfloat16", "model.dtype"),
    ("sft", "optim", "adamw_8bit_x", "optim"),
    ("sft", "lr_scheduler_type", "x", "lr_scheduler_type"),
    ("sft", "save_strategy", "never", "one of no"),
    ("sft", "seed", "", "seed"),
    ("sft", "learning_rat", "1", "did you mean learning_rate"),
    ("sft", "model.dtype", "float8", "model.dtype"),
    ("sft", "streaming.max_thought_tokens", "0", "max_thought_tokens"),
    ("sft", "warmup_ratio", "0.1", "a share of the steps"),
    ("sft", "warmup_steps", "50", "of max_steps 6"),
    ("hrpo", "warmup_steps", "4", "of max_steps 4"),
    ("sft", "evaluation_strategy", "steps", "set eval_strategy"),
    ("sft", "overwrite_output_dir", "true", "--overwrite"),
    ("sft", "no_cuda", "true", "use_cpu"),
    ("sft", "group_by_length", "true", "train_sampling_strategy"),
    ("sft", "mixed_precision", "fp16", "bf16"),
    ("sft", "wandb_api_key", "mine", "WANDB_API_KEY"),
    ("sft", "token", "hf_abcdefgh", "HF_TOKEN"),
    ("hrpo", "rollout_n", "8", "num_generations"),
    ("sft", "metric_for_best_model", "accuracy", "eval_loss"),
    ("hrpo", "metric_for_best_model", "eval_f1", "eval_rewards"),
    ("sft", "learning_rate", ".inf", "more than 0"),
    ("sft", "max_grad_norm", "nan", "0 or more"),
    ("sft", "weight_decay", "nan", "0 or more"),
    ("hrpo", "temperature", ".inf", "1e-08 or more"),
    ("sft", "optim_args", "foo=1", "no effect on adamw"),
    ("sft", "optim_args", "betas", "optim"),
    ("sft", "optim_target_modules", "[q_proj]", "galore_adamw"),
    ("sft", "lr_scheduler_kwargs", "{foo: 1}", "lr_scheduler_type"),
    ("sft", "torch_compile_mode", "foo", "one of default"),
    ("sft", "use_liger_kernel", "true", "liger-kernel"),
    ("sft", "neftune_noise_alpha", "-1", "more than 0"),
    ("sft", "dataloader_persistent_workers", "true", "dataloader_num_workers"),
    ("sft", "dataloader_prefetch_factor", "2", "dataloader_num_workers"),
    ("sft", "dataloader_multiprocessing_context", "foo", "one of fork"),
    ("sft", "debug", "foo", "underflow_overflow"),
    ("hrpo", "log_level", "loud", "one of detail"),
    ("sft", "accelerator_config", "{foo: 1}", "accelerator_config"),
    ("sft", "accelerator_config", "no.json", "accelerator_config"),
    ("sft", "adam_beta2", "1", "optim"),
    ("sft", "trackio_space_id", "me/x", "only with report_to"),
    ("hrpo", "model.path", "/usr", "no config.json"),
    ("hrpo", "sync_ref_model", "true", "only with beta"),
    ("sft", "run_name", "hf_abcdefghijklmnopqrstuvwxyz0123456789", "looks like a secret"),
    ("hrpo", "delta", "0.1", "more than 1.2"),
    ("grpo", "mixing", "zone_sum", "only adasr hrpo has local terms"),
    ("grpo", "mixing", "convex", "only adasr hrpo has local terms"),
    ("grpo", "granularity", "sentence", "only adasr hrpo has local terms"),
    ("grpo", "local_weight", "0.3", "only adasr hrpo has local terms"),
    ("grpo", "local_weight", "0", "only adasr hrpo has local terms"),
    ("grpo", "local_weight_end", "0.1", "only adasr hrpo has local terms"),
    ("grpo", "local_weight_schedule", "cosine", "only adasr hrpo has local terms"),
    ("grpo", "local_min_std", "0.1", "only adasr hrpo has local terms"),
    ("grpo", "difficulty_weight", "1", "only adasr hrpo has local terms"),
    ("grpo", "advantages", "hierarchical", "those of adasr grpo are flat"),
    ("hrpo", "advantages", "flat", "those of adasr hrpo are hierarchical"),
    ("sft", "mixing", "convex", "only adasr hrpo has local terms"),
    ("hrpo", "rewards.0.weight", "1e4", "expected 0 to 1000"),
    ("hrpo", "top_entropy_quantile", "0", "more than 0"),
]


@pytest.mark.parametrize(("command", "key", "value", "word"), WRONG, ids=lambda x: str(x))
def test_a_wrong_setting_is_one_line_with_its_flag(root, capsys, command, key, value, word):
    flags = [f"--{key}", value] if value else [f"--{key}"]
    out = ["--output_dir", str(root / "never")]
    config = root / f"{command.replace('grpo', 'hrpo')}.yaml"  # shared by both
    assert adasr([command, "--config", str(config), *out, *flags]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert re.search(re.escape(key) + "|" + re.escape(word), lines[0])
    assert word in lines[0]
    assert "hf_abcdefgh" not in lines[0]
    assert not (root / "never").exists()


def test_grpo_says_which_keys_of_a_file_shared_with_hrpo_have_no_effect(root, caplog):
    from adasr_trl.cli.prepare import prepare

    keys = {"granularity": "sentence", "local_weight": 0.3, "mixing": "zone_sum"}
    workspace.save(root, "shared", {**workspace.load(root, "hrpo"), **keys})
    with caplog.at_level("INFO"):
        prepared = prepare(str(root / "shared.yaml"), [], "grpo")
    assert "shared.yaml: no effect on adasr grpo: " in caplog.text
    assert all(key in caplog.text for key in keys)
    assert prepared.args.is_flat
    assert prepared.args.mixing == "convex"
    assert prepared.loaded.resolved()["mixing"] == "zone_sum"  # as the file says, for --resume


def test_a_wrong_stage_of_a_launcher_is_one_line(root, monkeypatch, capsys):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "three")
    assert adasr(["sft", "--config", str(root / "sft.yaml")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "ACCELERATE_DEEPSPEED_ZERO_STAGE: got 'three'" in line


def test_a_path_in_the_home_directory_is_one_path(root, monkeypatch, tmp_path):
    from adasr_trl.config.loading import load_config

    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = load_config(root / "sft.yaml", ["--output_dir", "~/runs/x"], {})
    assert loaded.flat["output_dir"] == str(tmp_path / "runs" / "x")


def test_a_bare_flag_is_true(root):
    from adasr_trl.config.loading import split_overrides

    assert split_overrides(["--bf16", "--seed", "3", "--disable_tqdm"]) == [
        ("bf16", "true"),
        ("seed", "3"),
        ("disable_tqdm", "true"),
    ]
