"""Large builds: parts, several processes, an interrupted build that goes on, and formats that are read in parts."""

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


@pytest.fixture
def rows(tmp_path):
    bad = {**TOM, "answer": "#### many"}
    lines = [bad if i % 50 == 7 else {**TOM, "original_id": i // 3} for i in range(230)]
    lines.insert(100, "")
    return write_rows(tmp_path / "rows.jsonl", lines)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(build, "PART_ROWS", 20)


def run(rows, out, *more):
    return main(["gsm8k", "--input", str(rows), "--out", str(out), *more])


def files(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_parts_and_processes_change_nothing(rows, tmp_path, monkeypatch):
    assert run(rows, tmp_path / "one") == 0
    monkeypatch.setattr(build, "PART_ROWS", 20)
    assert run(rows, tmp_path / "parts") == 0
    assert run(rows, tmp_path / "two", "--processes", "2") == 0
    assert files(tmp_path / "one") == files(tmp_path / "parts") == files(tmp_path / "two")
    assert manifest(tmp_path / "one")["rejected"]["by_reason"] == {"bad_gold": 5}
    ids = [e.id for n in ("train", "test") for e in read_episodes(tmp_path / "two" / f"{n}.jsonl")]
    assert sorted(int(key.split("-")[1]) for key in ids)[-1] == 231  # the line, a blank one counted


@pytest.mark.parametrize("kept", [0, 1, 7])
def test_an_interrupted_build_goes_on_with_the_parts_that_it_has(
    rows, tmp_path, small_parts, monkeypatch, capsys, kept
):
    assert run(rows, tmp_path / "whole") == 0
    built, real = [], build.build_part

    def interrupted(job):
        if len(built) == kept:
            raise KeyboardInterrupt
        built.append(job)
        return real(job)

    monkeypatch.setattr(build, "build_part", interrupted)
    assert run(rows, tmp_path / "out") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/.build-*/*.json")}
    assert len(times) == kept
    monkeypatch.setattr(build, "build_part", real)
    monkeypatch.setattr(build, "_clean", lambda *_: None)
    assert run(rows, tmp_path / "out") == 0
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    monkeypatch.undo()
    names = ("train.jsonl", "test.jsonl", "manifest.json")
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_part_that_was_cut_short_is_built_again(rows, tmp_path, small_parts, monkeypatch):
    assert run(rows, tmp_path / "whole") == 0
    real = build._add_up
    monkeypatch.setattr(build, "_add_up", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(rows, tmp_path / "out") == 130
    monkeypatch.setattr(build, "_add_up", real)
    first, second, third = sorted(tmp_path.glob("out/.build-*/0000*.json"))[:3]
    first.write_text("{")
    second.with_suffix(".jsonl").write_text("")
    third.unlink()
    assert run(rows, tmp_path / "out") == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_other_options_use_no_part_of_an_interrupted_build(
    rows, tmp_path, small_parts, monkeypatch
):
    real = build._add_up
    monkeypatch.setattr(build, "_add_up", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(rows, tmp_path / "out", "--no-notes") == 130
    monkeypatch.setattr(build, "_add_up", real)
    assert run(rows, tmp_path / "out") == 0
    assert run(rows, tmp_path / "whole") == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_an_error_in_a_worker_is_told_and_nothing_is_left(rows, tmp_path, small_parts, capsys):
    with rows.open("a") as file:
        file.write("{\n")
    assert run(rows, tmp_path / "out", "--processes", "2") == 2
    assert "rows.jsonl:232: invalid JSON" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_id_that_occurs_in_two_parts_is_counted_once(tmp_path, small_parts):
    row = {"ask": "Who?", "story": "Tom came.", "gold": "Tom"}
    path = write_rows(tmp_path / "rows.jsonl", [{**row, "key": i % 25} for i in range(50)])
    columns = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
    more = ["--answer-type", "text", "--name", "n", "--licence", "MIT", "--id-column", "key"]
    given = ["custom", "--input", str(path), *columns, *more, "--test-share", "0"]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    found = manifest(tmp_path / "out")
    assert found["rejected"]["by_reason"] == {"duplicate_id": 25}
    assert found["files"]["train.jsonl"]["episodes"] == found["statistics"]["groups"] == 25


def test_json_lists_and_parquet_are_read_in_parts(tmp_path, small_parts):
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


def test_processes_below_1_are_refused(rows, tmp_path, capsys):
    assert run(rows, tmp_path / "out", "--processes", "0") == 2
    assert "--processes" in capsys.readouterr().err


@pytest.mark.slow
def test_four_hundred_thousand_rows_fit_in_six_hundred_megabytes(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("w") as out:
        for i in range(400_000):
            row = {"ask": "Who?", "story": f"Tom {i} came. He sat down.", "gold": "Tom"}
            out.write(json.dumps(row) + "\n")
    code = (
        "import resource, sys\nfrom data_builders.__main__ import main\nstatus = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\nsys.exit(status)"
    )
    columns = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
    more = [
        "--answer-type",
        "text",
        "--name",
        "n",
        "--licence",
        "MIT",
        "--out",
        str(tmp_path / "o"),
    ]
    command = [sys.executable, "-c", code, "custom", "--input", str(path), *columns, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 600
