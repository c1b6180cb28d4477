"""A policy: one way to load a run, with the layout, markers and thinking that it was trained with."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.layouts.codec import Codec
from adasr_trl.models.loading import load_policy
from support.settings import STREAMING

# As Qwen3's: an empty thought stands in the prompt where thinking is switched off.
SWITCHED = (
    "{% for message in messages %}{{ '<user>' + message['content'] }}{% endfor %}<assistant>"
    "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}"
)


@pytest.fixture
def config(tmp_path, tokenizer, model):
    switched = copy.deepcopy(tokenizer)
    switched.chat_template = SWITCHED
    switched.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    save_streaming(tmp_path, replace(STREAMING, thinking=False))
    return ModelConfig(path=str(tmp_path))


def test_a_policy_is_in_the_layout_asked_for_else_in_the_trained_one(config) -> None:
    assert load_policy(config).layout.name == "interleaved"
    assert load_policy(config, "parallel").layout.name == "parallel"


def test_the_weights_are_loaded_once_and_only_when_they_are_used(config) -> None:
    policy = load_policy(config)
    assert "model" not in vars(policy)
    assert policy.model is policy.model


def test_an_unfinished_run_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="not a finished run"):
        load_policy(ModelConfig(path=str(tmp_path / "none")))


def test_the_folder_of_a_comparison_is_refused_with_the_runs_in_it(tmp_path) -> None:
    for name in ("hrpo", "sft"):
        for folder in (name, f"{name}/eval"):
            (tmp_path / "seed-0" / folder).mkdir(parents=True)
            (tmp_path / "seed-0" / folder / "run.json").write_text("{}")
    runs = f"{tmp_path}/seed-0/hrpo, {tmp_path}/seed-0/sft"
    with pytest.raises(UserError, match=rf"is a comparison; its runs: {runs}\.$"):
        load_policy(ModelConfig(path=str(tmp_path)))


def test_the_codec_of_a_policy_has_the_prompt_that_the_model_had(config) -> None:
    codec = load_policy(config).codec
    assert codec.decode(codec.prompt("How many?")).endswith("<think></think>")
    without = Codec(codec.tokenizer, STREAMING.markers)
    assert codec.prompt("How many?") != without.prompt("How many?")


@pytest.mark.parametrize("gone", ["tokenizer.json", "token*"])
def test_a_run_without_its_tokenizer_ends_in_a_line_that_says_what_to_copy(config, gone) -> None:
    for file in Path(config.path).glob(gone):
        file.unlink()
    with pytest.raises(UserError) as caught:
        load_policy(config)
    message = str(caught.value)
    assert message.startswith(f"{config.path}: holds no tokenizer that can be loaded (")
    assert "copy tokenizer.json" in message
    assert "\n" not in message
