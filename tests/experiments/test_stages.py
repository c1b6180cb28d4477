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
    for said in ("seed-0/a failed with exit status 1: no disk", "seed-0.a.log", "adasr raise"):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        # A warning comes last, and is not the fault.
        ("print('error: no data'); print('warnings.warn(f\"...'); raise SystemExit(2)", "status 2: no data"),
        ("import sys; print('w'); sys.stderr.write('torch.OutOfMemoryError: 2 GiB\\n  warn\\n'); sys.exit(1)",
         "status 1: torch.OutOfMemoryError: 2 GiB"),
        ("print('[rank0]: ValueError: no'); raise SystemExit(1)", "status 1: [rank0]: ValueError: no"),
        ("print('warnings.warn(f'); import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "a was ended by SIGTERM\n"),
        ("import os; os.kill(os.getpid(), 9)", "a was ended by SIGKILL (if the system sent it: out of memory)\n"),
    ],
)  # fmt: skip
def test_a_failure_is_the_last_line_that_names_an_error(scripts, tmp_path, code, words):
    with pytest.raises(UserError) as caught:
        run_all([Stage("a", (code,))], tmp_path, 1)
    assert words in str(caught.value)


def test_a_stage_is_announced_when_it_starts(scripts, tmp_path, caplog):
    with caplog.at_level("INFO"):
        run_all([Stage("seed-0/a", ("pass",))], tmp_path, 1)
    log = tmp_path / "logs" / "seed-0.a.log"
    assert caplog.messages == [f"seed-0/a: started; its output is in {log}"]
