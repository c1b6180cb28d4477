"""Kills at random moments of SFT, HRPO, evaluation and building: the same command goes on to the same files.

KILLS=20 pytest -m slow -s tests/training/test_kills.py     # the number of kills, each seeded by its number; -s prints them
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from support import workspace

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Each command with its arguments, its folder, and the file whose appearance starts the time.
ADASR = ("-m", "adasr_trl")
COMMANDS = {
    "sft": ((*ADASR, "sft", "--config", "sft.yaml"), "sft", "sft/run.json"),
    "hrpo": ((*ADASR, "hrpo", "--config", "hrpo.yaml"), "hrpo", "hrpo/run.json"),
    "eval": ((*ADASR, "eval", "--config", "eval.yaml"), "hrpo/eval", "hrpo/eval/run.json"),
    "build": (("-m", "data_builders", "--config", "data.yaml"), "built", ""),
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


def start(name: str, folder: Path, *flags: str) -> subprocess.Popen:
    arguments = [sys.executable, *COMMANDS[name][0], *flags]
    return subprocess.Popen(
        arguments,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=obey_interrupts,
    )


def obey_interrupts() -> None:
    """A test that runs in the background has ignored interrupts, which a child would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def finish(process: subprocess.Popen) -> None:
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error


def wait_for_start(name: str, folder: Path, process: subprocess.Popen) -> None:
    while not (folder / COMMANDS[name][2]).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


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
    if path.name == "verify.safetensors":  # the order of its entries varies
        return {name: tensor.tolist() for name, tensor in load_file(path).items()}
    if path.name == "README.md":  # so does that of TRL's tags
        return sorted(path.read_text().splitlines())
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
    number, fraction = dice.choice(SIGNALS), dice.uniform(0.0, 0.95)
    folder, output = tmp_path / "cut", COMMANDS[name][1]
    shutil.copytree(root, folder)
    shutil.rmtree(folder / output)
    process = start(name, folder)
    wait_for_start(name, folder, process)
    time.sleep(fraction * seconds[name])
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    left = ", ".join(sorted(path.name for path in (folder / output).glob("*")))
    row = (seed, name, number.name, f"{fraction:.0%}", process.returncode, left)
    sys.stdout.write(f"\n| {' | '.join(map(str, row))} |\n")
    assert "Traceback" not in error
    finish(start(name, folder, *(() if name == "build" else ("--resume",))))
    expected, found = contents(root / output), contents(folder / output)
    assert found.keys() == expected.keys()
    assert [each for each in expected if expected[each] != found[each]] == []
