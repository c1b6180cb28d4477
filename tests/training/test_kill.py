"""SIGKILL, for real: during SFT, during HRPO, and while a checkpoint is being written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import CHECKPOINT_MARK
from support import workspace
from support.runs import assert_equal, samples

pytestmark = pytest.mark.slow


def command(root: Path, name: str, out: Path, *flags: str) -> list[str]:
    config = str(root / f"{name}.yaml")
    return [
        sys.executable,
        "-m",
        "adasr_trl",
        name,
        "--config",
        config,
        "--output_dir",
        str(out),
        *flags,
    ]


def finish(root: Path, name: str, out: Path, *flags: str) -> None:
    subprocess.run(command(root, name, out, *flags), check=True, capture_output=True, timeout=180)


def kill_when(arguments: list[str], condition) -> None:
    """Start the command and kill it the moment ``condition`` holds."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    try:
        while not condition():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def whole(out: Path, step: int) -> bool:
    return (out / f"checkpoint-{step}" / CHECKPOINT_MARK).is_file()


def being_written(out: Path, step: int) -> bool:
    folder = out / f"checkpoint-{step}"
    return folder.is_dir() and any(folder.iterdir()) and not whole(out, step)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, episodes):
    root = tmp_path_factory.mktemp("killed")
    workspace.make(root, episodes)
    finish(root, "sft", root / "sft")
    finish(root, "hrpo", root / "hrpo")
    return root


@pytest.mark.parametrize(
    ("name", "condition", "step"),
    [("sft", whole, 4), ("hrpo", whole, 2), ("hrpo", being_written, 3)],
)
def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    finished, tmp_path, name, condition, step
):
    out = tmp_path / "run"
    kill_when(command(finished, name, out), lambda: condition(out, step))
    assert not directory.is_complete(out)
    finish(finished, name, out, "--resume")
    assert directory.is_complete(out)
    assert_equal(out, finished / name)
    if name == "hrpo":
        assert samples(out) == samples(finished / name)
