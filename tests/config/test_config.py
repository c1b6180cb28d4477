"""Configuration files: what is read, what is refused, and how the refusal names its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.loading import LoadedConfig, load_config, parse_trl
from adasr_trl.config.sections import (
    DataConfig,
    LoraSection,
    ModelConfig,
    RewardConfig,
    StreamingConfig,
)
from adasr_trl.config.values import ConfigError

SECTIONS: dict[str, Any] = {
    "streaming": StreamingConfig,
    "data": DataConfig | None,
    "model": ModelConfig | None,
    "lora": LoraSection | None,
    "rewards": tuple[RewardConfig, ...],
    "eval": EvalConfig,
}

FILE = """\
# a run
streaming:
  max_thought_tokens: 32
  clock: {words_per_minute: 180}
model:
  init: scratch
  scratch:
    hidden_size: 64
rewards:
  - name: accuracy
    scope: global
  - {name: thinking, scope: deep, weight: 2, settings: {limit: 1e-2, shape: linear}}
learning_rate: 1e-4
lr_scheduler_kwargs: {num_cycles: 2}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(tmp_path: Path, text: str, *overrides: str) -> LoadedConfig:
    return load_config(write(tmp_path, text), overrides, SECTIONS)


def refusal(tmp_path: Path, text: str, *overrides: str) -> str:
    """The error's message, with the test's own folder taken out of it."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_file_becomes_sections_and_the_rest_stays_flat(tmp_path: Path) -> None:
    loaded = load(tmp_path, FILE)
    assert loaded.section("streaming").max_thought_tokens == 32
    assert loaded.section("streaming").max_deep_tokens == 256
    assert loaded.section("streaming").clock.words_per_minute == 180.0
    assert loaded.section("model").scratch.hidden_size == 64
    assert loaded.section("rewards") == (
        RewardConfig("accuracy", "global"),
        RewardConfig("thinking", "deep", 2.0, {"limit": 0.01, "shape": "linear"}),
    )
    assert loaded.flat == {"learning_rate": 1e-4, "lr_scheduler_kwargs": {"num_cycles": 2}}


def test_an_absent_section_is_none_or_empty_or_its_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path, "seed: 1")
    assert loaded.section("lora") is None
    assert loaded.section("rewards") == ()
    assert loaded.section("eval") == EvalConfig()


def test_an_absent_section_with_a_required_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 1")
    with pytest.raises(ConfigError, match=r"run\.yaml: data\.train is missing;"):
        load_config(path, [], {"data": DataConfig})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.yaml: the file is empty; expected keys and values."),
        ("# only a remark\n", "run.yaml: the file is empty; expected keys and values."),
        ("- a\n- b\n", "run.yaml:1: expected keys and values, got a list."),
        ("a: 1\nb: [1\nc: 2\n", "run.yaml:3: not valid YAML: expected ',' or ']', but got ':'."),
        ("seed: 1\nx: 2\nseed: 3\n", "run.yaml:3: seed was already set in line 1."),
        (
            "streaming:\n  clock:\n    seconds_per_token: 1\n    seconds_per_token: 2\n",
            "run.yaml:4: seconds_per_token was already set in line 3.",
        ),
        (
            "streaming:\n  max_thougt_tokens: 8\n",
            "run.yaml:2: unknown key streaming.max_thougt_tokens; did you mean streaming.max_thought_tokens?",
        ),
        ("streaming:\n  zzz: 8\n", "run.yaml:2: unknown key streaming.zzz."),
        (
            "streaming:\n  max_thought_tokens: true\n",
            "run.yaml:2: streaming.max_thought_tokens: got True; expected a whole number.",
        ),
        (
            "streaming:\n  max_thought_tokens: 8.0\n",
            "run.yaml:2: streaming.max_thought_tokens: got 8.0; expected a whole number.",
        ),
        (
            "streaming:\n  clock:\n    seconds_per_token: fast\n",
            "run.yaml:3: streaming.clock.seconds_per_token: got 'fast'; expected a number.",
        ),
        (
            "streaming:\n  clock:\n    seconds_per_token: '1e-4'\n",
            "run.yaml:3: streaming.clock.seconds_per_token: got '1e-4'; expected a number.",
        ),
        (
            "streaming:\n  on_malformed: ignore\n",
            "run.yaml:2: streaming.on_malformed: got 'ignore'; expected continue or stop.",
        ),
        ("streaming: 3\n", "run.yaml:1: streaming: got 3; expected keys and values."),
        (
            "data:\n  train: 12\n",
            "run.yaml:2: data.train: got 12; expected text. Put text in quotes.",
        ),
        (
            "data:\n  test: x.jsonl\n",
            "run.yaml:1: data.train is missing; name a file there, or several in data.mixture.",
        ),
        (
            "rewards:\n  - name: accuracy\n    scope: global\n  - name: format\n",
            "run.yaml:4: rewards.1.scope is missing.",
        ),
        (
            "lora:\n  target_modules: 3\n",
            "run.yaml:2: lora.target_modules: got 3; expected text or a list.",
        ),
        (
            "data: {train: !!python/object/apply:os.getcwd []}\n",
            "run.yaml:1: data.train: got a list; expected text.",
        ),
        (
            "seed: !!python/name:os.getcwd ''\n",
            "run.yaml:1: not valid YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.getcwd'.",
        ),
        (
            "seed: 1\ndate: 2026-13-45\n",
            "run.yaml:2: '2026-13-45': month must be in 1..12; put text in quotes.",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text) == message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file\."):
        load_config(tmp_path / "absent.yaml", [], SECTIONS)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        load_config(tmp_path / "run.yaml", [], SECTIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "seed: 1\nstreaming:\n  read_block: 4\n  max_thought_tokens: 0\n",
            "run.yaml:4: streaming.max_thought_tokens: got 0; expected 1 or more.",
        ),
        (
            "seed: 1\nmodel:\n  dtype: bfloat16\n",
            "run.yaml:2: model.path: got none; expected a Hub id or a directory. Set it, or init: scratch.",
        ),
        (
            "model:\n  init: scratch\n  path: some/model\n",
            "run.yaml:3: model.path: got 'some/model' with init: scratch, which loads nothing; remove one of them.",
        ),
        (
            "streaming:\n  clock:\n    words_per_minute: 0\n",
            "run.yaml:3: clock.words_per_minute: got 0.0; expected above 0.",
        ),
    ],
)
def test_what_a_section_refuses_names_the_line_of_the_key_or_the_section(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refusal(tmp_path, text) == message


def test_the_command_line_wins_at_any_depth(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        FILE,
        "--learning-rate=1e-5",
        *("--streaming.max_thought_tokens", "8"),
        *("--streaming.clock.seconds-per-token", "1e-2"),
        *("--rewards.0.weight", "0.5"),
        *("--lora.r", "4"),
        *("--lr_scheduler_kwargs.num_cycles", "3"),
        *("--eval.temperatures", "[0.7]"),
    )
    assert loaded.section("streaming").max_thought_tokens == 8
    assert loaded.section("streaming").clock.seconds_per_token == 0.01
    assert loaded.section("streaming").clock.words_per_minute == 180.0
    assert loaded.section("rewards")[0].weight == 0.5
    assert loaded.section("lora") == LoraSection(r=4)
    assert loaded.section("eval").temperatures == (0.7,)
    assert loaded.flat == {"learning_rate": 1e-5, "lr_scheduler_kwargs": {"num_cycles": 3}}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["--a", "1", "2"],
            "command line: got '2'; expected --key value (a list as '[1, 2]').",
        ),
        (
            ["--streaming.max_thougt_tokens", "8"],
            "command line --streaming.max_thougt_tokens: unknown key streaming.max_thougt_tokens; did you "
            "mean streaming.max_thought_tokens?",
        ),
        (
            ["--streaming.max_thought_tokens", "0"],
            "command line --streaming.max_thought_tokens: streaming.max_thought_tokens: got 0; expected 1 or more.",
        ),
        (
            ["--streaming.max_thought_tokens", "few"],
            "command line --streaming.max_thought_tokens: streaming.max_thought_tokens: got 'few'; expected a "
            "whole number.",
        ),
        (
            ["--rewards.7.weight", "1"],
            "command line --rewards.7.weight: got position '7'; the list at run.yaml:9 has 2 entries, the "
            "first is 0.",
        ),
        (
            ["--learning_rate.x", "1"],
            "command line --learning_rate.x: run.yaml:13 is a single value (0.0001), which has no 'x'.",
        ),
        (["--eval.temperatures", "[1"], "command line --eval.temperatures: not valid YAML: "),
    ],
)
def test_a_bad_flag_is_named(tmp_path: Path, overrides: list[str], message: str) -> None:
    assert refusal(tmp_path, FILE, *overrides).startswith(message)


def test_line_of_says_where_a_key_was_set(tmp_path: Path) -> None:
    loaded = load(tmp_path, FILE, "--seed", "3", "--streaming.clock.seconds_per_token", "1")
    path = f"{tmp_path}/run.yaml"
    assert loaded.line_of("learning_rate") == f"{path}:13"
    assert loaded.line_of("model.scratch.hidden_size") == f"{path}:8"
    assert loaded.line_of("seed") == "command line --seed"
    assert (
        loaded.line_of("streaming.clock.seconds_per_token")
        == "command line --streaming.clock.seconds_per_token"
    )
    assert loaded.line_of("max_steps") == path


def test_an_unknown_flat_key_is_refused_by_who_knows_the_others(tmp_path: Path) -> None:
    loaded = load(tmp_path, "output_dir: runs/x\nsteaming: {}\n")
    with pytest.raises(
        ConfigError, match=r"run\.yaml:2: unknown key steaming; did you mean streaming\?"
    ):
        loaded.refuse_unknown(["output_dir"])


def test_the_resolved_config_loads_again_to_the_same(tmp_path: Path) -> None:
    loaded = load(tmp_path, FILE, "--learning_rate", "1e-5")
    again = load(tmp_path, yaml.safe_dump(loaded.resolved()))
    assert again.resolved() == loaded.resolved()
    assert again.sections == loaded.sections


def test_anchors_and_merges_are_followed(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, "streaming: &s\n  clock: &c {seconds_per_token: 1}\nx:\n  <<: *c\n  y: 2\n"
    )
    assert loaded.flat == {"x": {"seconds_per_token": 1, "y": 2}}


def test_trls_grpo_fields_are_checked_and_converted(tmp_path: Path) -> None:
    from trl import GRPOConfig

    base = "output_dir: out\nuse_cpu: true\nbf16: false\nreport_to: none\n"
    config = parse_trl(
        load(
            tmp_path,
            base
            + "learning_rate: 1e-5\nmax_steps: 7\nreward_weights: [1, 0.5]\nper_device_train_batch_size: 8\n"
            "model_init_kwargs: {dtype: float32}\nlr_scheduler_kwargs: {num_cycles: 2}\nsave_strategy: no\n",
            *("--learning_rate", "1e-4"),
            *("--gradient_checkpointing_kwargs", "{use_reentrant: false}"),
            *("--label_names", "[a, b]"),
        ),
        GRPOConfig,
    )
    assert (config.learning_rate, config.max_steps) == (1e-4, 7)
    assert config.reward_weights == [1.0, 0.5]
    assert config.model_init_kwargs == {"dtype": "float32"}
    assert config.lr_scheduler_kwargs == {"num_cycles": 2}
    assert config.gradient_checkpointing_kwargs == {"use_reentrant": False}
    assert config.label_names == ["a", "b"]
    assert config.save_strategy == "no"

    def message(text: str, *overrides: str) -> str:
        with pytest.raises(ConfigError) as caught:
            parse_trl(load(tmp_path, base + text, *overrides), GRPOConfig)
        return str(caught.value).replace(f"{tmp_path}/", "")

    assert (
        message('learning_rate: "abc"')
        == "run.yaml:5: learning_rate: got 'abc'; expected a number."
    )
    assert message("max_steps: 1.5") == "run.yaml:5: max_steps: got 1.5; expected a whole number."
    assert message("lerning_rate: 1") == (
        "run.yaml:5: unknown key lerning_rate; did you mean learning_rate?"
    )
    assert message("", "--lerning_rate=1").startswith("command line --lerning_rate: unknown key")
    assert message("save_strategy: stepz").startswith(
        "run.yaml:5: save_strategy: got 'stepz'; expected no or"
    )
    assert message("per_device_train_batch_size: 4\nnum_generations: 3").startswith("run.yaml:")


def test_trls_sft_fields_are_read_from_the_same_kind_of_file(tmp_path: Path) -> None:
    from trl import SFTConfig

    config = parse_trl(
        load(
            tmp_path,
            "output_dir: out\nuse_cpu: true\nbf16: false\nmax_length: null\neval_steps: 5\npacking: false\n",
            *("--gradient_checkpointing", "false"),
        ),
        SFTConfig,
    )
    assert config.max_length is None
    assert (config.packing, config.gradient_checkpointing) == (False, False)
    assert config.eval_steps == 5


def test_a_file_that_is_not_here_is_taken_from_the_package(tmp_path, monkeypatch, caplog):
    package, here = tmp_path / "package", tmp_path / "here"
    (package / "configs" / "tiny").mkdir(parents=True)
    here.mkdir()
    (package / "configs" / "tiny" / "sft.yaml").write_text("seed: 3\n", encoding="utf-8")
    monkeypatch.setattr("adasr_trl.config.values._SHIPPED", package)
    monkeypatch.chdir(here)
    caplog.set_level("INFO")
    assert load_config("configs/tiny/sft.yaml", (), {}).flat == {"seed": 3}
    assert "configs/tiny/sft.yaml: none here; the package's own is taken" in caplog.text
    with pytest.raises(ConfigError, match=r"no such file; the package has configs/tiny/sft\.yaml"):
        load_config("configs/tiny/hrpo.yaml", (), {})
