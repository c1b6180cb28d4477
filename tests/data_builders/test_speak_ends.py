"""How a build of spoken episodes ends early: by interrupts, by a kill, by a damaged cache; nothing hangs or stays."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from adasr_trl.core.episode import Episode, write_episodes
from data_builders.__main__ import main
from data_builders.errors import BuildError
from support.building import refused
from support.processes import python
from support.spoken import HENS, SpelledStudio
from support.spoken import run_speak as run

SCRIPT = """
import signal
from pathlib import Path
from adasr_trl.core.interrupts import ignore_interrupts, unwound_ends
from data_builders.tools.listeners import Listeners
from data_builders.tools.spoken import Speaking
from support.spoken import HENS, SleepingStudio
if __name__ == "__main__":
    # Tests in the background of a shell inherit that interrupts are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with unwound_ends(), Listeners(SleepingStudio, Speaking("m", Path("heard")), 2) as listeners:
            list(listeners.all([HENS, HENS, HENS]))
    except KeyboardInterrupt:
        ignore_interrupts()  # as the command line does
        print("interrupted", flush=True)
"""


@pytest.fixture
def typed(tmp_path):
    write_episodes(tmp_path / "typed" / "train.jsonl", [HENS])
    return tmp_path / "typed"


def is_gone(group: int) -> bool:
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("number", "to_all", "statuses", "told"),
    [
        (signal.SIGINT, True, (0,), "interrupted\n"),  # Ctrl-C, sent on by a wrapper
        (signal.SIGINT, False, (0,), "interrupted\n"),
        (signal.SIGTERM, False, (143, -15), ""),  # the second one may come while Python ends
    ],
)
def test_signals_that_come_twice_end_the_workers_and_the_build(
    tmp_path, number, to_all, statuses, told
):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    parent = python(script)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "busy\n"
    for _ in range(2):
        (os.killpg if to_all else os.kill)(parent.pid, number)
    out, errors = parent.communicate(timeout=30)
    assert (out.replace("busy\n", ""), errors) == (told, "")  # of the other worker
    assert parent.returncode in statuses
    assert is_gone(parent.pid)


@pytest.mark.parametrize(
    "damage",
    [{"chunks": "Tom"}, {"chunks": [7]}, {"arrival_seconds": []}, {"ends": None}, {"voice": 1}],
)
def test_what_is_damaged_in_the_cache_is_heard_anew(typed, out, damage):
    run(typed, out)
    written = (out / "train.jsonl").read_bytes()
    (path,) = (out / "heard").rglob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert run(typed, out).cached == 0
    assert (out / "train.jsonl").read_bytes() == written


def test_another_sound_of_a_voice_is_another_voice(typed, out, monkeypatch):
    run(typed, out)
    monkeypatch.setattr(SpelledStudio, "name", "spelled 2 x1")
    assert run(typed, out).cached == 0


def test_what_a_killed_build_left_goes_and_what_a_running_one_writes_stays(typed, out):
    out.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    left = out / f".train.jsonl.{ended.stdout.strip()}.partial"
    running = out / f".test.jsonl.{os.getppid()}.partial"
    for path in (left, running, out / ".x.partial"):
        path.write_text("{}")
    run(typed, out)
    assert sorted(path.name for path in out.glob(".*")) == [running.name]


def test_where_nothing_is_left_the_last_reason_is_told_in_full(typed, out):
    silent = Episode(**vars(HENS) | {"id": "mute", "chunks": ("unspeakable.",)})
    write_episodes(typed / "train.jsonl", [silent])
    with pytest.raises(
        BuildError, match=r"voice_failed: 1; id mute: the voice has no sound for it"
    ):
        run(typed, out)


def test_a_missing_voice_is_refused_before_any_text_is_spoken(typed, out, capsys, tmp_path):
    voice = str(tmp_path / "none.onnx")
    status = main(["speak", str(typed), "--out", str(out), "--voice", voice, "--workers", "2"])
    refused(status, capsys, f"{voice}: no such file; expected a Piper voice")
    assert not out.exists()
