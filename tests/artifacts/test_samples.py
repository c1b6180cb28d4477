"""Sample rollouts on disk: their lines after an interruption, and their reading."""

import json

import pytest

from adasr_trl.artifacts.names import SAMPLES_FILE
from adasr_trl.artifacts.samples import read_samples, to_sample
from adasr_trl.artifacts.step_log import StepLines
from adasr_trl.cli.main import main as adasr
from adasr_trl.core.errors import UserError
from support.example_rollout import EPISODE, ROLLOUT


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
    with pytest.raises(UserError, match=r"samples\.jsonl: not a file of samples"):
        list(read_samples(tmp_path))
    with pytest.raises(UserError, match="no such file"):
        list(read_samples(tmp_path / "empty"))
