"""Text on the command line: a text field takes it as it is, every other field reads it as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.loading import LoadedConfig, load_config, parse_trl
from adasr_trl.config.sections import DataConfig, StreamingConfig
from adasr_trl.config.values import ConfigError
from adasr_trl.experiments.stages import flags

SECTIONS: dict[str, Any] = {
    "streaming": StreamingConfig,
    "data": DataConfig | None,
    "eval": EvalConfig,
}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(tmp_path: Path, text: str, *overrides: str) -> LoadedConfig:
    return load_config(write(tmp_path, text), overrides, SECTIONS)


@pytest.mark.parametrize(
    "text",
    ["Note: think first", "a #b", "12", "null", "@x", "no", "[1] my runs #2: é", "[b] x", "[b]", "{c}", '"q"', "'q'", '"q', " "],
)  # fmt: skip
def test_text_on_the_command_line_needs_no_quotes_within_quotes(tmp_path: Path, text: str) -> None:
    loaded = load(tmp_path, "seed: 1", "--streaming.instruction", text)
    assert loaded.section("streaming").instruction == text


@pytest.mark.parametrize("text", ["[1] my runs #2: é", "[b]", "{c}", '"q"', "~x", "5", "1e3"])
def test_names_and_places_on_the_command_line_are_taken_as_they_are(tmp_path, text):
    settings = {"output_dir": text, "eval.output_dir": Path(text), "eval.runs.a": text}
    loaded = load(tmp_path, "seed: 1", *flags(settings))  # as a stage of a grid gets them
    assert loaded.flat["output_dir"] == text
    assert loaded.section("eval").output_dir == text
    assert loaded.section("eval").runs == {"a": text}


def test_home_is_expanded_where_the_text_itself_begins_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    loaded = load(tmp_path, "data: {train: ~/a}", "--data.test", "~/[b]", "--output_dir", '"~/c"')
    assert (loaded.section("data").train, loaded.section("data").test) == (
        "/home/me/a",
        "/home/me/[b]",
    )
    assert loaded.flat["output_dir"] == '"~/c"'


def test_lists_and_quotes_of_other_keys_are_read_as_yaml(tmp_path):
    from adasr_trl.hrpo import HRPOConfig

    given = ("--report_to", "[wandb, tensorboard]", "--lr_scheduler_kwargs", "{num_cycles: 2}")
    text = "output_dir: out\nuse_cpu: true\nbf16: false"
    config = parse_trl(
        load_config(write(tmp_path, text), (*given, "--optim", '"sgd"'), {}), HRPOConfig
    )
    assert config.report_to == ["wandb", "tensorboard"]
    assert config.lr_scheduler_kwargs == {"num_cycles": 2}
    assert config.optim == "sgd"
    with pytest.raises(ConfigError, match="--lr_scheduler_kwargs: not valid YAML"):
        parse_trl(
            load_config(write(tmp_path, text), ("--lr_scheduler_kwargs", "{a"), {}), HRPOConfig
        )


@pytest.mark.parametrize("key", ["--eval.runs", "--eval.temperatures", "--data", "--eval.seed"])
def test_a_list_or_mapping_that_is_no_yaml_is_refused_with_its_flag(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"^command line {key}: not valid YAML: "):
        load(tmp_path, "seed: 1", key, "{a")


def test_null_on_the_command_line_unsets_an_optional_key(tmp_path: Path) -> None:
    loaded = load(tmp_path, "data: {train: a, test: b}", "--data.test", "null")
    assert loaded.section("data").test is None


@pytest.mark.parametrize("flag", ["--data.train", "--output_dir", "--streaming.max_thought_tokens"])
def test_a_flag_without_its_value_is_no_text_true(tmp_path: Path, flag: str) -> None:
    """It would name a file or a folder called true."""
    with pytest.raises(ConfigError, match="got no value; expected"):
        load(tmp_path, "seed: 1", flag, "--max_steps", "3")


def test_a_flag_without_a_value_turns_a_switch_on(tmp_path: Path) -> None:
    assert load(tmp_path, "seed: 1", "--bf16", "--seed=2").flat == {"seed": 2, "bf16": True}
    assert load(tmp_path, "seed: 1", "--output_dir", "true").flat["output_dir"] == "true"
