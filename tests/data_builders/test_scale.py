"""Large builds: memory, interruption, duplicate ids, and every format of rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main
from data_builders.pipeline import run as build
from support.building import TOM, manifest, write_rows

ROOT = Path(__file__).parents[2]
COLUMNS = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
CUSTOM = [*COLUMNS, "--answer-type", "text", "--name", "n", "--licence", "MIT"]


@pytest.fixture
def rows(tmp_path):
    bad = {**TOM, "answer": "#### many"}
    lines = [bad if i % 50 == 7 else {**TOM, "original_id": i // 3} for i in range(230)]
    lines.insert(100, "")
    return write_rows(tmp_path / "rows.jsonl", lines)


def run(rows, out, *more):
    return main(["gsm8k", "--input", str(rows), "--out", str(out), *more])


def files(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def interrupt(monkeypatch, after):
    """Ctrl-C once so many items have been counted."""
    real, taken = build._take, []

    def take(*arguments, **options):
        taken.append(1)
        if len(taken) > after:
            raise KeyboardInterrupt
        real(*arguments, **options)

    monkeypatch.setattr(build, "_take", take)


def test_rows_are_named_by_their_line_blank_ones_counted(rows, tmp_path):
    assert run(rows, tmp_path / "out") == 0
    assert manifest(tmp_path / "out")["rejected"]["by_reason"] == {"bad_gold": 5}
    ids = [e.id for n in ("train", "test") for e in read_episodes(tmp_path / "out" / f"{n}.jsonl")]
    assert sorted(int(key.split("-")[1]) for key in ids)[-1] == 231


@pytest.mark.parametrize("after", [0, 1, 300])
def test_an_interrupted_build_leaves_nothing_and_the_same_command_starts_anew(
    rows, tmp_path, monkeypatch, capsys, after
):
    assert run(rows, tmp_path / "whole") == 0
    with monkeypatch.context() as patched:
        interrupt(patched, after)
        assert run(rows, tmp_path / "out") == 130
    assert "interrupted; run the same command again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(rows, tmp_path / "out") == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert run(rows, tmp_path / "out") == 0
    assert capsys.readouterr().out.endswith("out: up to date\n")


def test_an_interrupted_build_leaves_the_old_one(rows, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert run(rows, out, "--no-notes") == 0
    old = files(out)
    with monkeypatch.context() as patched:
        interrupt(patched, 300)
        assert run(rows, out, "--refresh") == 130
    assert files(out) == old


def test_a_killed_build_shows_no_half_file_and_the_same_command_starts_anew(rows, tmp_path):
    code = (
        "import os, signal, sys\nfrom data_builders.__main__ import main\n"
        "from data_builders.pipeline import run\n"
        "def kill(*_):\n    print(os.listdir(sys.argv[-1]), flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "run._split_lines = kill\nmain(sys.argv[1:])"
    )
    command = ["gsm8k", "--input", str(rows), "--out", str(tmp_path / "out")]
    killed = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -9
    assert killed.stdout == "[]\n"
    assert main(command) == 0


def test_a_cut_off_last_line_is_counted_and_an_error_under_strict(rows, tmp_path, capsys):
    with rows.open("a") as file:
        file.write("{\n")
    assert run(rows, tmp_path / "out") == 0
    by_reason = manifest(tmp_path / "out")["rejected"]["by_reason"]
    assert by_reason == {"bad_gold": 5, "unreadable": 1}
    assert run(rows, tmp_path / "strict", "--strict") == 2
    assert "drop --strict to leave it out" in capsys.readouterr().err
    assert not (tmp_path / "strict").exists()


def test_an_id_that_occurs_twice_is_counted_once(tmp_path):
    row = {"ask": "Who?", "story": "Tom came.", "gold": "Tom"}
    path = write_rows(tmp_path / "rows.jsonl", [{**row, "key": i % 25} for i in range(50)])
    given = ["custom", "--input", str(path), *CUSTOM, "--id-column", "key", "--test-share", "0"]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    found = manifest(tmp_path / "out")
    assert found["rejected"]["by_reason"] == {"duplicate_id": 25}
    assert found["files"]["train.jsonl"]["episodes"] == 25


def test_json_lists_and_parquet_are_read_in_their_order(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{**TOM, "original_id": str(i)} for i in range(90)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=17)
    for suffix in ("json", "parquet"):
        out = tmp_path / suffix
        assert run(tmp_path / f"rows.{suffix}", out, "--test-share", "0") == 0
        assert [e.id for e in read_episodes(out / "train.jsonl")] == [
            f"gsm8k-{i}" for i in range(90)
        ]


def test_a_broken_parquet_or_json_file_is_named(tmp_path, capsys):
    for name in ("rows.parquet", "rows.json"):
        (tmp_path / name).write_text("no")
        assert run(tmp_path / name, tmp_path / "out") == 2
        assert name in capsys.readouterr().err


@pytest.mark.slow
def test_four_hundred_thousand_rows_fit_in_three_hundred_megabytes(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("w") as out:
        for i in range(400_000):
            row = {"ask": "Who?", "story": f"Tom {i} came. He sat down.", "gold": "Tom"}
            out.write(json.dumps(row) + "\n")
    # getrusage would count the memory of the process that started it.
    code = (
        "import pathlib, sys\nfrom data_builders.__main__ import main\nstatus = main(sys.argv[1:])\n"
        "lines = pathlib.Path('/proc/self/status').read_text().splitlines()\n"
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))\nsys.exit(status)"
    )
    given = ["custom", "--input", str(path), *CUSTOM, "--out", str(tmp_path / "o")]
    command = [sys.executable, "-c", code, *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) // 1024 < 300
