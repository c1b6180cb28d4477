"""Keys: each of TRL's is obeyed or refused, and a wrong setting ends in one line before anything is loaded."""

from __future__ import annotations

import dataclasses
import re

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.config.keys import ELSEWHERE, INSTEAD, OBEYED
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
    ("hrpo", "temperature", "0", "more than 0"),
    ("hrpo", "temperature", "-1", "more than 0"),
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
    ("hrpo", "num_train_epochs", "-2", "more than 0"),
    ("hrpo", "per_device_train_batch_size", "0", "1 or more"),
    ("sft", "gradient_accumulation_steps", "0", "1 or more"),
    ("sft", "save_steps", "0", "more than 0"),
    ("sft", "warmup_steps", "-1", "0 or more"),
    ("sft", "weight_decay", "-1", "0 or more"),
    ("sft", "max_grad_norm", "-1", "0 or more"),
    ("sft", "seed", "-1", "0 or more"),
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
]


@pytest.mark.parametrize(("command", "key", "value", "word"), WRONG, ids=lambda x: str(x))
def test_a_wrong_setting_is_one_line_with_its_flag(root, capsys, command, key, value, word):
    flags = [f"--{key}", value] if value else [f"--{key}"]
    out = ["--output_dir", str(root / "never")]
    assert adasr([command, "--config", str(root / f"{command}.yaml"), *out, *flags]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert re.search(re.escape(key) + "|" + re.escape(word), lines[0])
    assert word in lines[0]
    assert "hf_abcdefgh" not in lines[0]
    assert not (root / "never").exists()


def test_a_bare_flag_is_true(root):
    from adasr_trl.config.loading import split_overrides

    assert split_overrides(["--bf16", "--seed", "3", "--disable_tqdm"]) == [
        ("bf16", "true"),
        ("seed", "3"),
        ("disable_tqdm", "true"),
    ]
