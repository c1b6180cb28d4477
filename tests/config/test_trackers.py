"""Reporters: absent packages are refused; TensorBoard receives the numbers of each step."""

import json
import shutil

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.config import trackers
from support import workspace


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
