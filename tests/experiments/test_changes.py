"""Runs that are shown under a configuration that has changed since."""

from __future__ import annotations

import logging

import pytest

from adasr_trl.artifacts import directory
from adasr_trl.experiments.changes import changes, warn_of_changes
from adasr_trl.experiments.stages import eval_stage, train_stage

FILE = "learning_rate: 1e-4\nstreaming: {max_thought_tokens: 32}\nrewards: [{name: accuracy}]\n"
RECORDED = {
    "learning_rate": 1e-4,
    "local_weight": 0.25,
    "output_dir": "elsewhere/half",
    "streaming": {"max_thought_tokens": 32, "max_deep_tokens": 64},
    "rewards": [{"name": "accuracy", "weight": 1.0}],
    "lora": None,
    "advantages": "hierarchical",  # by the command
    "model": {"path": "runs/sft", "dtype": "bfloat16"},
}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "hrpo.yaml"
    file.write_text(FILE, encoding="utf-8")
    directory.write_record(tmp_path / "seed-0" / "half", {"command": "hrpo", "config": RECORDED})
    return file


def differing(config, settings):
    run = config.parent / "seed-0"
    stage = train_stage(run, "half", ("hrpo", str(config)), settings)
    return changes(run / "half", str(config), stage.overrides)


@pytest.mark.parametrize(
    ("settings", "old", "new", "found"),
    [
        ({"local_weight": 0.25}, "", "", []),
        ({"local_weight": 0.25, "model.dtype": "auto"}, "", "", []),
        ({"local_weight": 0.25, "streaming.decode_batch": 8}, "", "", []),  # memory alone
        (
            {"local_weight": 0.25, "model.dtype": "float32"},
            "",
            "",
            ["model.dtype is bfloat16 in the run, and now float32"],
        ),
        ({"local_weight": 0.5}, "", "", ["local_weight is 0.25 in the run, and now 0.5"]),
        ({}, "", "", ["local_weight is 0.25 in the run, and now not set"]),
        (
            {"local_weight": 0.25, "beta": 0.1},
            "",
            "",
            ["beta is None in the run, and now 0.1"],
        ),
        (
            {"local_weight": 0.25},
            "tokens: 32",
            "tokens: 48",
            ["streaming.max_thought_tokens is 32 in the run, and now 48"],
        ),
        (
            {"local_weight": 0.25},
            "accuracy",
            "format",
            ["rewards.0.name is accuracy in the run, and now format"],
        ),
    ],
)
def test_a_setting_that_a_run_was_not_trained_with_is_named(config, settings, old, new, found):
    config.write_text(FILE.replace(old, new) if old else FILE, encoding="utf-8")
    assert differing(config, settings) == found


def test_each_changed_run_is_one_line_and_evaluations_none(config, caplog):
    root = config.parent
    stages = [
        train_stage(root / "seed-0", "half", ("hrpo", str(config)), {"local_weight": 0.5}),
        train_stage(root / "seed-0", "unmade", ("hrpo", str(config)), {}),
        train_stage(root / "seed-0", "half", ("hrpo", "nowhere.yaml"), {}),
        eval_stage(root / "seed-0", "half", "nowhere.yaml", {}),
    ]
    with caplog.at_level(logging.WARNING):
        warn_of_changes(stages, root)
    first, second = caplog.messages
    assert first == (
        "seed-0/half: local_weight is 0.25 in the run, and now 0.5; the table shows the run as it is. Without "
        "--tables-only it is trained anew."
    )
    assert second.startswith(
        "seed-0/half: its configuration cannot be read (nowhere.yaml: no such file)"
    )
