"""Kills at random moments of SFT, HRPO, evaluation and building: the same command goes on to the same files.

KILLS=20 pytest -m slow -s tests/training/test_kills.py     # number of kills; -s prints them

Each kill has its number as its seed. One that comes behind the end of its command proves nothing: it is repeated at another
moment, with the time that the command took just before.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from adasr_trl.artifacts.names import VERIFY_FILE
from support import forked_commands, workspace

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Each command with its arguments, its folder, and the file whose appearance starts the time.
COMMANDS = {
    "sft": ("adasr", ["sft", "--config", "sft.yaml"], "sft", "sft/run.json"),
    "hrpo": ("adasr", ["hrpo", "--config", "hrpo.yaml"], "hrpo", "hrpo/run.json"),
    "eval": ("adasr", ["eval", "--config", "eval.yaml"], "hrpo/eval", "hrpo/eval/run.json"),
    "build": ("data", ["--config", "data.yaml"], "built", "built"),
}
MEASURED = (
    "runtime",
    "per_second",
    "seconds",
    "step_time",
    "total_flos",
)  # parts of the names of times
STAMPED = ("whole.json",)  # holds the sizes of files with times
TIMED = ("metrics.jsonl", "trainer_state.json")
DATA = {"source": "ledger", "out": "built", "train_count": 4000, "test_count": 100}


def start(name: str, folder: Path, *flags: str) -> BaseProcess:
    program, arguments, *_ = COMMANDS[name]
    log = folder.parent / "temporary" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    return forked_commands.start(program, [*arguments, *flags], folder, log)


def finish(process: BaseProcess) -> None:
    process.join(timeout=600)
    assert process.exitcode == 0


def wait_for_start(name: str, folder: Path, process: BaseProcess) -> None:
    while not (folder / COMMANDS[name][3]).exists():
        assert process.is_alive()
        time.sleep(0.002)


def kill(name: str, folder: Path, number: int, delay: float) -> tuple[int | None, float]:
    """The exit code of a command that got a signal, and its seconds behind its start."""
    process = start(name, folder)
    wait_for_start(name, folder, process)
    started = time.monotonic()
    process.join(timeout=delay)
    if process.is_alive():
        os.kill(process.pid, number)
    process.join(timeout=600)
    return process.exitcode, time.monotonic() - started


@pytest.fixture(scope="module")
def whole(tmp_path_factory, episodes):
    """All four commands uninterrupted, and the seconds that each took behind its start."""
    root = tmp_path_factory.mktemp("kills") / "whole"
    root.mkdir()
    with contextlib.chdir(root):  # relative paths, so that every folder has the same identity
        workspace.make(Path(), episodes)
        long = {"sft": {"max_steps": 24}, "hrpo": {"max_steps": 8}}
        for name, steps in long.items():
            workspace.save(Path(), name, {**workspace.load(Path(), name), **steps})
    (root / "data.yaml").write_text(yaml.safe_dump(DATA))
    seconds = {}
    for name in COMMANDS:
        process = start(name, root)
        wait_for_start(name, root, process)
        started = time.monotonic()
        finish(process)
        seconds[name] = time.monotonic() - started
    return root, seconds


def read(path: Path) -> object:
    """The content of a file that a repetition must give again: times are left out."""
    if path.name in STAMPED:
        return sorted(json.loads(path.read_text()))
    if path.name == VERIFY_FILE:  # the order of its entries varies
        return {name: tensor.tolist() for name, tensor in load_file(path).items()}
    if path.name not in TIMED:
        return path.read_bytes()
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [without_times(json.loads(line)) for line in lines]


def without_times(value: object) -> object:
    if isinstance(value, list):
        return [without_times(each) for each in value]
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not any(part in k for part in MEASURED)}
        return {key: without_times(each) for key, each in kept.items()}
    return value


def contents(folder: Path) -> dict[str, object]:
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: read(path) for name, path in named.items() if not name.startswith("eval/")}


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_command_killed_at_any_moment_goes_on_to_the_same_files(whole, tmp_path, seed):
    root, seconds = whole
    dice, name = random.Random(seed), list(COMMANDS)[seed % len(COMMANDS)]
    number = SIGNALS[(seed + seed // len(COMMANDS)) % len(SIGNALS)]
    folder, output = tmp_path / "cut", COMMANDS[name][2]
    code: int | None = 0
    while code == 0:  # it came too late
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(root, folder)
        shutil.rmtree(folder / output)
        fraction = dice.uniform(0.0, 0.95)
        code, took = kill(name, folder, number, fraction * seconds[name])
        seconds[name] = took if code == 0 else seconds[name]
    left = ", ".join(sorted(path.name for path in (folder / output).glob("*"))) or "nothing"
    row = (seed, name, number.name, f"{fraction:.0%}", code, left)
    sys.stdout.write(f"\n| {' | '.join(map(str, row))} |\n")
    finish(start(name, folder, *(() if name == "build" else ("--resume",))))
    log = tmp_path / "temporary" / f"{name}.log"
    assert "Traceback" not in log.read_text()
    assert list(log.parent.iterdir()) == [log]  # nothing in the folder for temporary files
    expected, found = contents(root / output), contents(folder / output)
    assert found.keys() == expected.keys()
    assert [each for each in expected if expected[each] != found[each]] == []
    assert {path.name for path in folder.iterdir()} == {path.name for path in root.iterdir()}
