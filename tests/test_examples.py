"""The scripts of examples/ run, with a few steps, from any folder."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(monkeypatch, name, *flags):
    monkeypatch.setattr(sys, "argv", [name, *flags])
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_sft_then_hrpo_on_own_rows_with_own_rewards(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "sft.py", "--steps", "3")
    sft = capsys.readouterr().out
    run(monkeypatch, "hrpo.py", "--steps", "1", "--questions", "2")
    hrpo = capsys.readouterr().out
    for shown in (sft, hrpo):
        assert "read Tom has 6 eggs." in shown
        assert "\nanswer" in shown
    assert sorted(path.name for path in Path("runs/examples").iterdir()) == ["hrpo", "sft"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_stories_traces_count_right(seed, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    rows = runpy.run_path(str(EXAMPLES / "stories.py"))["rows"](50, seed)
    for row in rows:
        counts = [thought.split()[-1] for thought in row["thoughts"] if thought]
        assert counts[-1] == str(row["answer"])
        assert len(row["chunks"]) == len(row["thoughts"])
