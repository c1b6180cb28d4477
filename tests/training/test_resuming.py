"""Runs that go on: with more steps, with rows removed; checkpoints that are evaluated."""

from __future__ import annotations

import pytest

from adasr_trl.artifacts import directory
from adasr_trl.cli.main import main as adasr
from support import workspace
from support.json_lines import json_lines
from support.runs import assert_equal, kill_at, run


@pytest.fixture
def root(tmp_path, episodes):
    workspace.make(tmp_path, episodes)
    return tmp_path


CONSTANT = ("--lr_scheduler_type", "constant")


def test_a_complete_run_trains_on_when_more_steps_are_asked_for(root, capsys):
    assert run("sft", root, *CONSTANT, "--max_steps", "8", "--output_dir", str(root / "eight")) == 0
    assert run("sft", root, *CONSTANT, "--max_steps", "4") == 0
    assert run("sft", root, *CONSTANT, "--max_steps", "8", "--resume") == 0
    assert_equal(root / "sft", root / "eight")
    seen = [
        [
            line["num_tokens"]
            for line in json_lines(root / name / "metrics.jsonl")
            if "num_tokens" in line
        ]
        for name in ("sft", "eight")
    ]
    assert seen[0][-1] == seen[1][-1] > 0
    assert run("sft", root, *CONSTANT, "--max_steps", "6", "--resume") == 2
    assert "config.max_steps differs" in capsys.readouterr().err
    assert run("sft", root, *CONSTANT, "--max_steps", "8", "--resume") == 0  # does nothing


def test_a_run_whose_data_lost_a_row_goes_on_by_a_named_option(root, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        kill_at(patch, 4)
        assert run("sft", root) == 130
    lines = (root / "train.jsonl").read_text().splitlines(keepends=True)
    (root / "train.jsonl").write_text("".join(lines[1:]))
    assert run("sft", root, "--resume") == 2
    assert "--resume-changed-data" in capsys.readouterr().err
    assert run("sft", root, "--resume-changed-data") == 0
    assert directory.is_complete(root / "sft")
    assert run("sft", root, "--resume") == 0


def test_a_whole_checkpoint_can_be_evaluated(root, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        assert run("sft", root) == 130
    checkpoint = root / "sft" / "checkpoint-4"
    out = ["--eval.output_dir", str(root / "table")]
    flags = ["--config", str(root / "eval.yaml"), *out]
    assert adasr(["eval", *flags, "--model.path", str(checkpoint)]) == 0
    assert (checkpoint / "eval" / "episodes.jsonl").is_file()
    (checkpoint / "model.safetensors").unlink()
    assert adasr(["eval", *flags, "--model.path", str(checkpoint), "--overwrite"]) == 2
    assert "nor a whole checkpoint" in capsys.readouterr().err


def test_the_temporary_files_of_a_killed_run_go_and_are_no_run_of_others(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / ".run.json.123.partial").write_text("{")
    (path / ".lock").touch()
    assert directory.take(path, {"a": 1}, directory.Existing.RESUME) is directory.State.FRESH
    assert sorted(file.name for file in path.iterdir()) == [".lock", "run.json"]
    directory.finish(path)


@pytest.mark.parametrize("step", [3, 5])  # behind a checkpoint with its evaluation, and without
def test_a_resumed_run_logs_what_an_uninterrupted_one_does(root, monkeypatch, step):
    flags = ("--eval_on_start", "true", "--eval_steps", "4")
    assert run("sft", root, *flags, "--output_dir", str(root / "whole")) == 0
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        assert run("sft", root, *flags) == 130
    assert run("sft", root, *flags, "--resume") == 0
    logs = [json_lines(root / name / "metrics.jsonl") for name in ("sft", "whole")]
    timeless = [
        [{k: v for k, v in x.items() if not k.endswith(("runtime", "per_second"))} for x in log]
        for log in logs
    ]
    assert timeless[0] == timeless[1]
    assert [x["step"] for x in logs[0] if "eval_loss" in x] == [0, 4, 6]
