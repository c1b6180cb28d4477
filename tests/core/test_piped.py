"""Output that nobody reads any more, or that was closed from the start, gives no traceback."""

import json
import os
import subprocess
import sys

import pytest

from adasr_trl.artifacts.names import SAMPLES_FILE
from adasr_trl.artifacts.samples import to_sample
from adasr_trl.artifacts.step_log import StepLines
from data_builders.__main__ import main
from support.example_rollout import EPISODE, ROLLOUT


def ended(arguments, stdout=None):
    """Exit status and error output of a command whose reader goes away at once, or that has no stdout."""
    reader, writer = os.pipe()
    if stdout is None:
        os.close(reader)
    found = subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=(lambda: os.close(1)) if stdout == "closed" else None,
    )
    os.close(writer)
    if stdout is not None:
        os.close(reader)
    return found.returncode, found.stderr


def build(tmp_path):
    counts = ("--train-count", "4", "--test-count", "2")
    return ["data_builders", "ledger", "--out", str(tmp_path / "out"), *counts, "--refresh"]


def test_a_build_whose_reader_went_away_is_whole_and_says_nothing_of_it(tmp_path, capsys):
    assert ended(build(tmp_path)) == (141, f"ledger: episodes for {tmp_path / 'out'}\n")
    assert main(build(tmp_path)[1:]) == 0
    assert "up to date" in capsys.readouterr().out


def test_a_build_without_an_output_to_write_to_is_whole(tmp_path):
    assert ended(build(tmp_path), "closed") == (0, f"ledger: episodes for {tmp_path / 'out'}\n")
    assert (tmp_path / "out" / "manifest.json").is_file()


@pytest.mark.parametrize(("program", "status"), [("adasr_trl", 0), ("data_builders", 141)])
def test_help_whose_reader_went_away_says_nothing(program, status):
    assert ended([program, "--help"]) == (
        status,
        "",
    )  # argparse prints the first and takes no notice


def test_rollouts_whose_reader_went_away_say_nothing(tmp_path):
    identity = {"config": {"streaming": {"clock": {}}}}
    (tmp_path / "run.json").write_text(json.dumps({"complete": False, "identity": identity}))
    StepLines(tmp_path / SAMPLES_FILE).append(1, to_sample(ROLLOUT, EPISODE, {}))
    command = ["adasr_trl", "show", str(tmp_path), "--samples"]
    assert ended(command)[0] in (1, 141)  # rich ends by itself, with 1
    assert ended(command)[1] == ""
    assert ended(command, "closed") == (0, "")
