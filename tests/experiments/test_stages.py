"""Stages: what runs after what, and what a failure leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.experiments import stages
from adasr_trl.experiments.stages import Stage, run_all
from support.processes import alive


@pytest.fixture
def scripts(monkeypatch):
    """Stages whose arguments are Python code."""
    monkeypatch.setattr(stages, "COMMAND", (sys.executable, "-c"))


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
    for said in (
        "seed-0/a failed with exit status 1: no disk",
        "seed-0.a.log",
        "adasr 'raise SystemExit(",
    ):
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


def test_the_line_that_runs_a_failed_stage_alone_survives_spaces(scripts, tmp_path):
    with pytest.raises(UserError) as caught:
        run_all([Stage("a", ("raise SystemExit(3)", "--output_dir", "my runs/x"))], tmp_path, 1)
    assert str(caught.value).endswith("adasr 'raise SystemExit(3)' --output_dir 'my runs/x'")


def test_bytes_that_are_no_text_and_letters_of_any_language_reach_the_log(scripts, tmp_path):
    code = "import sys; print('größer'); sys.stdout.flush(); sys.stdout.buffer.write(b'\\xff\\n')"
    run_all([Stage("a", (code,))], tmp_path, 1)
    assert (tmp_path / "logs" / "a.log").read_text(encoding="utf-8") == "größer\n\ufffd\n"


GRID = """
import sys
from pathlib import Path
from adasr_trl.experiments import stages
code = "from adasr_trl.core.startup import end_with_parent; end_with_parent(); import os, time; " \\
       "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
stages.COMMAND = (sys.executable, "-c", "import sys; " + code)
stages.run_all([stages.Stage("a", (sys.argv[1],))], Path(sys.argv[2]), 1)
"""


def wait_until(is_so) -> bool:
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(is_so())


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
@pytest.mark.parametrize("end", [signal.SIGHUP, signal.SIGKILL, signal.SIGTERM])
def test_no_stage_outlives_its_grid(tmp_path, end):
    mark = tmp_path / "pid"
    before = signal.signal(
        signal.SIGHUP, signal.SIG_DFL
    )  # the grid heeds it, even if nohup runs the tests
    grid = subprocess.Popen(
        [sys.executable, "-c", GRID, str(mark), str(tmp_path)], stderr=subprocess.DEVNULL
    )
    signal.signal(signal.SIGHUP, before)
    try:
        assert wait_until(lambda: mark.is_file() and mark.read_text())
        stage = int(mark.read_text())
        grid.send_signal(end)
        assert wait_until(lambda: not alive(stage))
    finally:
        grid.kill()
        grid.wait()


def test_an_ignored_hangup_stays_ignored(scripts, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        run_all(
            [Stage("a", (f"import os; os.kill({os.getpid()}, {int(signal.SIGHUP)})",))], tmp_path, 1
        )
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
