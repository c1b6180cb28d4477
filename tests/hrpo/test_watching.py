"""A training that is watched: its line on the terminal, its sample rollouts, and the reporters."""

import json
import shutil

import pytest

from adasr_trl.artifacts.names import SAMPLES_FILE
from adasr_trl.artifacts.samples import read_samples, to_sample
from adasr_trl.artifacts.step_log import StepLines
from adasr_trl.cli.main import main as adasr
from adasr_trl.config import trackers
from adasr_trl.core.errors import UserError
from adasr_trl.hrpo import HRPOConfig
from adasr_trl.hrpo.sample_callback import spread
from adasr_trl.training.callbacks import spell
from support import workspace
from support.example_rollout import EPISODE, ROLLOUT

LOGS = {
    "loss": 0.0123,
    "reward/global": 0.5,
    "reward/streaming": -0.125,
    "reward/deep": 1.0,
    "accuracy": 0.5,
    "streaming/skip_rate": 0.25,
    "streaming/tokens": 12345.678,
    "deep/tokens": 98765.432,
    "groups/no_signal": 1.0,
    "grad_norm": 1.5,
}


def test_the_line_of_a_rollout_step_has_reward_by_scope_accuracy_skips_and_tokens_by_phase():
    line = spell(LOGS)
    assert line == (
        "reward global 0.50 streaming -0.12 deep 1.00, accuracy 0.50, skips 0.25, "
        "tokens streaming 12345.7 deep 98765.4, no signal 1.00"
    )
    assert (
        len(f"step 100000/100000, 1000.00 s a step, 10 days, 10:00:00 left: held out: {line}") < 200
    )


def test_flat_rewards_and_held_out_questions_are_named_and_unknown_numbers_left_out():
    logs = {
        "eval_reward": 0.5,
        "eval_accuracy": 0.25,
        "eval_deep/tokens": None,
        "eval_groups/no_signal": 1.0,
    }
    assert spell(logs) == "held out: reward 0.50, accuracy 0.25"


def test_the_line_of_a_supervised_step_is_its_loss_and_other_logs_have_none():
    assert spell({"loss": 1.23456, "grad_norm": 1.0}) == "loss 1.23"
    assert spell({"train_runtime": 3.0}) == ""


def test_places_to_sample_are_far_apart_and_never_doubled():
    assert spread(2, 16) == [0, 8]
    assert spread(3, 2) == [0, 1]


def test_a_resumed_run_keeps_whole_records_up_to_its_step(tmp_path):
    lines = StepLines(tmp_path / "x.jsonl")
    for step in (1, 2, 3):
        lines.append(step, {"a": step * 10})
    with lines.path.open("a") as out:
        out.write('{"step": 2, "a":')  # a kill
    lines.rewind(2)
    assert lines.path.read_text() == '{"step": 1, "a": 10}\n{"step": 2, "a": 20}\n'
    lines.rewind(0)
    assert lines.path.read_text() == ""


def kept_run(folder, sample):
    streaming = {"clock": {"words_per_minute": 150.0}}
    record = {"complete": False, "identity": {"config": {"streaming": streaming}}}
    (folder / "run.json").write_text(json.dumps(record))
    for step in (1, 2):
        StepLines(folder / SAMPLES_FILE).append(step, sample)


def test_samples_of_a_run_that_is_going_on_are_shown_and_cannot_act_on_the_terminal(
    tmp_path, capsys
):
    kept_run(
        tmp_path, to_sample(ROLLOUT, EPISODE, {"\x1b[2Jglobal accuracy": 1.0, "deep format": None})
    )
    assert adasr(["show", str(tmp_path), "--samples", "--count", "1"]) == 0
    shown = capsys.readouterr().out
    assert "step 2, ledger-7" in shown
    assert "step 1" not in shown
    assert "global accuracy 1.00, deep format unscored" in shown
    assert "\x1b" not in shown
    assert adasr(["show", str(tmp_path), "--samples", "--filter", "wrong"]) == 0
    assert capsys.readouterr().out == ""


def test_samples_that_are_none_are_refused_with_the_file(tmp_path):
    (tmp_path / SAMPLES_FILE).write_text('{"step": 1}\n')
    with pytest.raises(UserError, match=r"samples\.jsonl: holds something else"):
        list(read_samples(tmp_path))
    with pytest.raises(UserError, match="no such file"):
        list(read_samples(tmp_path / "empty"))


def test_trls_table_of_completions_is_refused_with_what_to_use_instead(tmp_path):
    with pytest.raises(ValueError, match=r"log_completions: got true.*--samples"):
        HRPOConfig(str(tmp_path), log_completions=True, use_cpu=True, bf16=False)
    with pytest.raises(ValueError, match="sample_rollouts: got 0; expected 1 or more"):
        HRPOConfig(str(tmp_path), sample_rollouts=0, use_cpu=True, bf16=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, episodes):
    """A workspace whose SFT run is complete."""
    root = tmp_path_factory.mktemp("watched")
    workspace.make(root, episodes)
    assert adasr(["sft", "--config", str(root / "sft.yaml"), "--max_steps", "1"]) == 0
    return root


def hrpo(root, *flags):
    return adasr(["hrpo", "--config", str(root / "hrpo.yaml"), "--max_steps", "1", *flags])


@pytest.mark.parametrize(
    ("reporter", "said"),
    [
        (
            "wandb",
            "report_to: got wandb, but the package wandb is not installed; pip install wandb",
        ),
        (
            "[trackio, tensorboard]",
            "report_to: got trackio, but the package trackio is not installed",
        ),
        ("tensorbord", "report_to: got 'tensorbord'; expected none, tensorboard, trackio, wandb"),
    ],
)
def test_a_reporter_that_cannot_report_is_refused_before_anything_is_loaded(
    trained, monkeypatch, capsys, reporter, said
):
    real = trackers.find_spec
    absent = ("wandb", "trackio")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name in absent else real(name))
    monkeypatch.setattr(
        "adasr_trl.training.data.load_data", lambda _config: pytest.fail("was loaded")
    )
    assert hrpo(trained, "--report_to", reporter) == 2
    assert said in capsys.readouterr().err
    assert not (trained / "hrpo").exists()


def test_tensorboard_receives_the_numbers_of_both_phases(trained):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert hrpo(trained, "--report_to", "tensorboard") == 0
    (folder,) = (trained / "hrpo" / "runs").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    logged = json.loads((trained / "hrpo" / "metrics.jsonl").read_text().splitlines()[0])
    for key in (
        "streaming/tokens",
        "deep/tokens",
        "streaming/skip_rate",
        "reward/global",
        "accuracy",
    ):
        (event,) = events.Scalars(f"train/{key}")
        assert event.value == pytest.approx(logged[key], rel=1e-6)
    shutil.rmtree(trained / "hrpo")
