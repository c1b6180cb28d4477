"""The commands as a user runs them: a whole small run, interruptions, and bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from trl import GRPOTrainer

from adasr_trl.artifacts import checkpoints, directory
from adasr_trl.artifacts.names import CHECKPOINT_MARK
from adasr_trl.artifacts.samples import read_samples
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation import records
from adasr_trl.evaluation.records import load_outcomes, load_rollouts
from adasr_trl.evaluation.settings import Setting
from adasr_trl.training import data
from support import workspace
from support.json_lines import json_lines
from support.runs import assert_equal, kill_at, run, samples


@pytest.fixture(scope="module")
def finished(tmp_path_factory, episodes):
    """One SFT run and one HRPO run, complete and uninterrupted."""
    root = tmp_path_factory.mktemp("finished")
    workspace.make(root, episodes)
    assert run("sft", root) == 0
    assert run("hrpo", root) == 0
    return root


@pytest.fixture
def root(tmp_path, episodes, finished):
    """A fresh workspace whose SFT run is the finished one."""
    workspace.make(tmp_path, episodes)
    shutil.copytree(finished / "sft", tmp_path / "sft")
    for folder in (tmp_path / "sft").glob("checkpoint-*"):
        shutil.rmtree(folder)
    identity = json.loads((tmp_path / "sft" / "run.json").read_text())
    assert identity["complete"]
    return tmp_path


def test_a_run_directory_holds_all_to_reload_it(finished):
    names = {path.name for path in (finished / "hrpo").iterdir()}
    assert {
        "model.safetensors",
        "tokenizer.json",
        "config.yaml",
        "streaming.json",
        "metrics.jsonl",
        "run.json",
    } <= names


def test_each_step_is_logged_once_with_its_phases(finished):
    lines = json_lines(finished / "hrpo" / "metrics.jsonl")
    steps = [line["step"] for line in lines if "streaming/tokens" in line]
    assert steps == [1, 2, 3, 4]
    logged = next(line for line in lines if "streaming/tokens" in line)
    for key in (
        "reward/global", "zero_std_groups/deep", "deep/tokens", "streaming/skip_rate",
        "ending/answered", "ending/out_of_tokens", "ending/malformed", "answer_latency_seconds",
    ):  # fmt: skip
        assert key in logged
    assert logged["reward"] == pytest.approx(
        sum(logged[f"reward/{scope}"] for scope in ("global", "streaming", "deep"))
    )


def test_sft_that_was_interrupted_resumes_to_the_same_weights(
    tmp_path, episodes, finished, monkeypatch, capsys
):
    workspace.make(tmp_path, episodes)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        assert run("sft", tmp_path) == 130
    assert "--resume" in capsys.readouterr().err
    assert run("sft", tmp_path, "--resume") == 0
    assert_equal(tmp_path / "sft", finished / "sft")


def test_hrpo_that_was_interrupted_resumes_to_the_same_weights(root, finished, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        assert run("hrpo", root) == 130
    assert run("hrpo", root, "--resume") == 0
    assert_equal(root / "hrpo", finished / "hrpo")
    assert samples(root / "hrpo") == samples(finished / "hrpo")


def test_samples_are_of_the_first_step_and_of_every_nth_one_and_of_different_questions(finished):
    kept = list(read_samples(finished / "hrpo"))
    assert [sample.step for sample in kept] == [1, 1, 2, 2, 4, 4]
    assert kept[0].episode.id != kept[1].episode.id  # two groups a step
    assert kept[0].rollout.episode_id == kept[0].episode.id
    assert all(next(iter(sample.rewards)) == "global accuracy" for sample in kept)


FORM = (
    "--granularity",
    "sentence",
    "--local_weight_end",
    "0.1",
    "--group_filter.max_resamples",
    "2",
)


def test_every_form_resumes_to_the_same_weights(root, monkeypatch):
    assert run("hrpo", root, *FORM, "--output_dir", str(root / "whole")) == 0
    with monkeypatch.context() as patch:
        kill_at(patch, 2)
        assert run("hrpo", root, *FORM) == 130
    assert run("hrpo", root, *FORM, "--resume") == 0
    assert_equal(root / "hrpo", root / "whole")
    lines = [json.loads(x) for x in (root / "hrpo" / "metrics.jsonl").read_text().splitlines()]
    assert any(line.get("groups/redrawn", 0) > 0 for line in lines)


def test_an_alarm_that_ends_the_training_leaves_the_run_unfinished_and_says_why(root, capsys):
    """The model has hardly learnt anything, so its thoughts run into the cap and no answer is right."""
    assert run("hrpo", root, "--alarms.patience", "2", "--alarms.stop", "true") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert "stopped: alarm: " in said
    assert "--overwrite" in said
    assert not directory.is_complete(root / "hrpo")


def test_filtering_on_the_shaped_reward_warns_and_says_why(root, caplog):
    assert run("hrpo", root, "--group_filter.criterion", "reward") == 0
    assert "keeps all-wrong groups" in caplog.text


def test_read_then_think_can_be_trained_as_a_baseline(root):
    rewards = "[{name: accuracy, scope: global}, {name: format, scope: deep, weight: 0.25}]"
    assert run("hrpo", root, "--mode", "read_then_think", "--rewards", rewards) == 0
    lines = [json.loads(x) for x in (root / "hrpo" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["streaming/tokens"] == 0.0
    assert "streaming/skip_rate" not in lines[0]


def test_a_checkpoint_that_was_cut_short_is_not_resumed_from(root, finished, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        run("hrpo", root)
    newest = checkpoints.latest_checkpoint(root / "hrpo")
    (newest / CHECKPOINT_MARK).unlink()
    (newest / "optimizer.pt").write_bytes(b"half")
    assert run("hrpo", root, "--resume") == 0
    assert not newest.exists() or (newest / CHECKPOINT_MARK).is_file()
    assert_equal(root / "hrpo", finished / "hrpo")


def test_a_checkpoint_that_lost_a_file_is_not_resumed_from(root, finished, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        run("hrpo", root)
    newest = checkpoints.latest_checkpoint(root / "hrpo")
    (newest / "optimizer.pt").unlink()  # as a deletion does that a kill cut short
    assert checkpoints.latest_checkpoint(root / "hrpo") != newest
    assert not newest.exists()
    assert run("hrpo", root, "--resume") == 0
    assert_equal(root / "hrpo", finished / "hrpo")


def test_a_run_killed_behind_its_last_step_only_saves_on_resume(root, finished, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(directory, "finish", lambda _path: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run("hrpo", root) == 130
    directory._unlock(root / "hrpo")
    with monkeypatch.context() as patch:
        patch.setattr(
            GRPOTrainer, "train", lambda *_a, **_k: pytest.fail("trained a step too many")
        )
        assert run("hrpo", root, "--resume") == 0
    assert_equal(root / "hrpo", finished / "hrpo")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("sft", ("--train_sampling_strategy", "group_by_length")),
        ("hrpo", ("--data.max_train_episodes", "4")),
    ],
)
def test_a_run_interrupted_in_its_second_epoch_resumes_to_the_same_weights(
    root, monkeypatch, command, flags
):
    # 40 episodes in batches of 4, and 4 episodes in batches of 2 groups
    steps = {"sft": ("--max_steps", "16", "--save_steps", "1"), "hrpo": ("--max_steps", "5")}[
        command
    ]
    flags = (
        *flags,
        *steps,
        "--eval_strategy",
        "no",
        "--data.held_out",
        "0",
        "--shuffle_dataset",
        "true",
    )
    flags = flags if command == "hrpo" else flags[:-2]
    assert run(command, root, *flags, "--output_dir", str(root / "whole")) == 0
    with monkeypatch.context() as patch:
        kill_at(patch, {"sft": 15, "hrpo": 4}[command])
        assert run(command, root, *flags, "--output_dir", str(root / "cut")) == 130
    directory._unlock(root / "cut")
    assert run(command, root, *flags, "--output_dir", str(root / "cut"), "--resume") == 0
    assert_equal(root / "cut", root / "whole")


def test_a_log_line_that_was_cut_short_does_not_stop_a_resume(root, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        run("hrpo", root)
    with (root / "hrpo" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 2, "lo')
    assert run("hrpo", root, "--resume") == 0
    steps = [line["step"] for line in json_lines(root / "hrpo" / "metrics.jsonl")]
    assert sorted(set(steps)) == [1, 2, 3, 4]


def test_a_second_process_may_not_work_on_the_same_run(root, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 2)
        run("hrpo", root)
    code = (
        "import sys; from pathlib import Path; from adasr_trl.artifacts import directory; import json;"
        "p = Path(sys.argv[1]); i = json.loads((p / 'run.json').read_text())['identity'];"
        "directory.take(p, i, directory.Existing.RESUME)"
    )
    held = subprocess.run(
        [sys.executable, "-c", code, str(root / "hrpo")], capture_output=True, text=True
    )
    assert "another process is working on this run" in held.stderr
    directory._unlock(root / "hrpo")
    subprocess.run([sys.executable, "-c", code, str(root / "hrpo")], check=True)


def test_a_complete_run_is_not_repeated(root, finished, monkeypatch):
    monkeypatch.setattr(data, "load_data", lambda _config: pytest.fail("was repeated"))
    assert run("sft", finished, "--resume") == 0


def test_evaluation_records_every_token_and_goes_on_where_it_stopped(finished, monkeypatch):
    monkeypatch.setattr(records, "BATCH", 2)
    assert run("eval", finished) == 0
    folder = finished / "hrpo" / "eval"
    setting = Setting(Mode.STREAMING, 1.0)
    first = (folder / setting.file).read_bytes()
    tokens = [rollout.token_ids for rollout, _ in load_rollouts(folder, setting)]
    rollouts = [rollout for rollout, _ in load_rollouts(folder, setting)]
    assert len(rollouts) == 6
    assert all(len(r.token_ids) == len(r.phases) == len(r.logprobs) for r in rollouts)
    assert len(load_outcomes(folder, Setting(Mode.READ_THEN_THINK, 0.0))) == 6

    (folder / setting.file).rename((folder / setting.file).with_suffix(".partial"))
    partial = (folder / setting.file).with_suffix(".partial")
    partial.write_bytes(first[: int(len(first) * 0.6)])  # cut inside a line
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "complete": False}))
    assert run("eval", finished, "--resume") == 0
    assert [rollout.token_ids for rollout, _ in load_rollouts(folder, setting)] == tokens


def test_records_of_a_full_disk_are_never_taken_for_whole(finished, monkeypatch, capsys):
    folder = finished / "hrpo" / "eval"
    if folder.exists():
        shutil.rmtree(folder)

    def full(_rollout):
        raise OSError(28, "No space left on device", "records")

    with monkeypatch.context() as patch:
        patch.setattr(records, "to_record", full)
        assert run("eval", finished) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list(folder.glob("*temperature*.jsonl"))
    assert not directory.is_complete(folder)
    assert run("eval", finished, "--resume") == 0
