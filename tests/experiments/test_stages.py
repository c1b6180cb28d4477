"""Stages: what runs after what, and what a failure leaves behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.experiments import stages
from adasr_trl.experiments.stages import Stage, run_all


@pytest.fixture
def scripts(monkeypatch):
    """Stages whose arguments are Python code."""

    def start(stage: Stage) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", *stage.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    monkeypatch.setattr(stages, "_start", start)


def test_a_stage_runs_only_after_those_it_needs(scripts, tmp_path):
    mark = f"open(r'{tmp_path / 'first'}', 'w').close()"
    check = f"import os; assert os.path.exists(r'{tmp_path / 'first'}')"
    made = [Stage("b", (check,), ("a",)), Stage("a", (f"import time; time.sleep(.3); {mark}",))]
    run_all(made, tmp_path, 2)


def test_a_failure_names_the_stage_its_last_line_and_its_log_and_stops_the_others(
    scripts, tmp_path
):
    made = [
        Stage("seed-0/a", ("raise SystemExit('error: no disk')",)),
        Stage("b", ("import time; time.sleep(60)",)),
    ]
    with pytest.raises(UserError) as caught:
        run_all(made, tmp_path, 2)
    for said in ("seed-0/a failed", "error: no disk", "seed-0.a.log", "adasr raise"):
        assert said in str(caught.value)
