"""What the builders refuse, in one line and with nothing left behind, and which outputs they replace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_builders.__main__ import main
from support.building import TOM, custom, gsm8k, manifest, refused, write_rows


@pytest.fixture
def toms(tmp_path):
    return write_rows(tmp_path / "toms.jsonl", [TOM] * 20)


# ---- output directories


def test_a_current_build_is_left_alone(toms, out, capsys):
    assert gsm8k(toms, out) == 0
    before = (out / "train.jsonl").stat().st_mtime_ns
    assert gsm8k(toms, out) == 0
    assert (out / "train.jsonl").stat().st_mtime_ns == before
    assert capsys.readouterr().out.endswith("out: up to date\n")


def test_a_moved_input_with_the_same_content_is_current(toms, tmp_path, out, capsys):
    assert gsm8k(toms, out) == 0
    moved = toms.rename(tmp_path / "sub.jsonl").rename(tmp_path / "toms.jsonl")
    assert gsm8k(moved, out) == 0
    assert "up to date" in capsys.readouterr().out


def test_another_build_is_refused_then_refreshed_or_overwritten(toms, out, capsys):
    assert gsm8k(toms, out) == 0
    refused(gsm8k(toms, out, "--seed", "1"), capsys, "--overwrite", out)
    assert manifest(out)["options"]["seed"] == 0
    assert gsm8k(toms, out, "--seed", "1", "--refresh") == 0
    assert manifest(out)["options"]["seed"] == 1
    write_rows(toms, [TOM] * 30)
    assert gsm8k(toms, out, "--overwrite") == 0
    assert manifest(out)["statistics"]["groups"] == 30


def test_a_refresh_does_not_replace_the_build_of_another_source(toms, out, capsys):
    assert main(["ledger", "--train-count", "2", "--test-count", "1", "--out", str(out)]) == 0
    refused(gsm8k(toms, out, "--refresh"), capsys, "ledger", "--overwrite")


def test_a_directory_with_other_files_is_refused(toms, out, capsys):
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    refused(gsm8k(toms, out, "--refresh"), capsys, "thesis.txt", "--overwrite")
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_an_output_that_is_a_file_is_refused(toms, out, capsys):
    out.write_text("mine")
    refused(gsm8k(toms, out, "--overwrite"), capsys, "is a file")


def test_a_damaged_file_is_built_again(toms, out):
    assert gsm8k(toms, out) == 0
    whole = (out / "train.jsonl").read_text()
    (out / "train.jsonl").write_text(whole[:100])
    assert gsm8k(toms, out, "--refresh") == 0
    assert (out / "train.jsonl").read_text() == whole


def test_what_a_killed_build_left_is_no_obstacle_and_goes_away(toms, out):
    out.mkdir()
    (out / ".train.jsonl.123.partial").write_text("{")
    assert gsm8k(toms, out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "test.jsonl", "train.jsonl"]


def test_a_split_that_is_not_written_any_more_goes_away(toms, out):
    assert gsm8k(toms, out) == 0
    assert gsm8k(toms, out, "--test-share", "0", "--refresh") == 0
    assert not (out / "test.jsonl").exists()


def test_a_full_disk_leaves_nothing(toms, out, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(gsm8k(toms, out), capsys, out, "No space left on device")
    assert not out.exists()


def test_a_full_disk_leaves_the_old_build(toms, out, capsys, monkeypatch):
    assert gsm8k(toms, out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    synced = []

    def full_at_the_third(descriptor):
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_third)
    refused(gsm8k(toms, out, "--seed", "1", "--refresh"), capsys, "No space left")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


# ---- bad input: one line, exit status 2, nothing written


def test_a_missing_file_is_named(tmp_path, out, capsys):
    refused(gsm8k(tmp_path / "no.jsonl", out), capsys, "no.jsonl: no such file")
    assert not out.exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ("rows.jsonl", "empty")),
        (["", " "], ("rows.jsonl", "empty")),
        (['{"question": 1'], ("rows.jsonl:1", "invalid JSON")),
        (["null", "[]", '"x"'], ("rows.jsonl", "expected JSON")),
        ([{"question": "Why?"}], ("rows.jsonl:1", "'answer'", "question")),
        ([{"question": "Why?"}] * 20 + [TOM], ("rows.jsonl:1", "'answer'", "question")),
        ([{**TOM, "question": ["a", "b"]}], ("rows.jsonl:1", "'question'", "a list")),
        ([{**TOM, "question": ""}], ("rows.jsonl:1", "empty_question")),
        ([{**TOM, "answer": "#### soon"}], ("rows.jsonl:1", "bad_gold", "soon")),
    ],
)
def test_a_broken_input_is_refused_with_file_and_line(tmp_path, out, capsys, lines, words):
    path = write_rows(tmp_path / "rows.jsonl", lines)
    refused(gsm8k(path, out), capsys, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        (b'{"', "unreadable", "invalid JSON"),
        (b"[1]", "missing_column", "no column 'question'; the row has 0"),
        (b"null", "unreadable", "got null"),
        (b'{"ask": "Why?"}', "missing_column", "no column 'question'; the row has ask"),
        (b"[" * 100_000, "unreadable", "nested too deep"),
        (b'{"question": "\xff"}', "unreadable", "not UTF-8 text (byte 15)"),
        (b'{"question": ' + b"9" * 5000 + b"}", "unreadable", "invalid JSON"),
    ],
)
def test_an_odd_line_is_rejected_with_its_number_and_counted(tmp_path, out, line, reason, words):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(line + b"\n" + json.dumps(TOM).encode() + b"\n" + line)
    assert gsm8k(path, out) == 0
    rejected = manifest(out)["rejected"]
    assert rejected["by_reason"] == {reason: 2}
    assert rejected["rows"][1]["row"] == f"{path}:3"
    assert words in rejected["rows"][1]["detail"]
    assert manifest(out)["files"]["train.jsonl"]["episodes"] == 1


def test_a_missing_column_is_named_with_those_that_exist(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [{"ask": "?", "story": "x"}] * 2)
    refused(custom(path, out), capsys, "rows.jsonl:1", "'gold'", "ask, story")


def test_strict_makes_a_rejected_row_an_error(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [TOM, TOM, {**TOM, "answer": "#### soon"}])
    refused(gsm8k(path, out, "--strict"), capsys, "rows.jsonl:3", "bad_gold", "--strict")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["poems", "--out", "x"], ("unknown source", "poems", "gsm8k")),
        (["gsm8k", "--out", "x"], ("--input", "--hub", "required")),
        (["gsm8k", "--input", "x.jsonl"], ("--out", "required")),
        (["gsm8k", "--input", "a", "--out", "x", "--sed", "1"], ("--sed", "--seed")),
        (["gsm8k", "--input", "a", "--out", "x", "--seed", "one"], ("--seed", "one")),
        (["gsm8k", "--input", "a", "--out", "x", "--chunk", "page"], ("--chunk", "page")),
        (["gsm8k", "--input", "a", "--out", "x", "--test-share", "2"], ("--test-share", "2")),
        (["gsm8k", "--input", "a", "--out", "x", "--test-count", "0"], ("--test-count", "0")),
        (["--out", "x"], ("--config",)),
    ],
)
def test_a_bad_argument_is_named(arguments, words, capsys):
    refused(main(arguments), capsys, *words)


def test_without_arguments_the_sources_are_listed(capsys):
    assert main([]) == 2
    assert "gsm8k" in capsys.readouterr().out


# ---- configuration files


def config(tmp_path, text):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    return path


def test_a_file_gives_the_options_and_the_command_line_wins(toms, tmp_path, out):
    text = f"source: gsm8k\ninput: {toms}\nseed: 4\ntest_share: 0.5\nnotes: false\n"
    path = config(tmp_path, text)
    assert main(["--config", str(path), "--out", str(out), "--seed", "5"]) == 0
    options = manifest(out)["options"]
    assert (options["seed"], options["test_share"], options["notes"]) == (5, 0.5, False)


def test_a_file_refreshes_its_older_build(toms, tmp_path, out):
    for seed in (1, 2):
        text = f"source: gsm8k\ninput: {toms}\nout: {out}\nseed: {seed}\n"
        assert main(["--config", str(config(tmp_path, text))]) == 0
    assert manifest(out)["options"]["seed"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("out: x\n", ("data.yaml", "source is missing")),
        ("source: poems\n", ("data.yaml:1", "unknown source 'poems'", "gsm8k")),
        ("source: gsm8k\ninput: a\nout: x\nsede: 1\n", ("data.yaml:4", "sede", "--seed")),
        ("source: gsm8k\ninput: a\nseed: one\nout: x\n", ("data.yaml:3", "--seed", "one")),
        ("source: gsm8k\ninput: a\nout:\n", ("data.yaml:3", "out", "nothing")),
        ("source: gsm8k\ninput: [a]\nout: x\n", ("data.yaml:2", "input", "a list")),
        ("source: gsm8k\nseed: 1\nseed: 2\n", ("data.yaml:3", "seed", "already")),
        ("source: [\n", ("data.yaml", "YAML")),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, capsys, text, words):
    refused(main(["--config", str(config(tmp_path, text))]), capsys, *words)


@pytest.mark.parametrize("spelled", ["--test_count", "--test-count", "--test-count=x"])
def test_a_fault_of_the_command_line_is_not_one_of_the_file(tmp_path, capsys, spelled):
    path = config(tmp_path, "source: ledger\nout: x\ntest_count: 5\n")
    error = refused(main(["--config", str(path), spelled]), capsys, "argument --test-count: ")
    assert str(path) not in error


def test_the_command_line_wins_over_a_value_that_would_be_refused(tmp_path, out):
    path = config(tmp_path, f"source: ledger\nout: {out}\ntrain_count: x\ntest_count: 1\n")
    assert main(["--config", str(path), "--train_count", "2"]) == 0
    assert manifest(out)["files"]["train.jsonl"]["episodes"] == 2


def test_an_input_of_the_command_line_is_in_place_of_the_file_s(toms, tmp_path, out):
    other = write_rows(tmp_path / "other.jsonl", [TOM] * 30)
    path = config(tmp_path, f"source: gsm8k\ninput: {toms}\nout: {out}\n")
    assert main(["--config", str(path), "--input", str(other)]) == 0
    assert manifest(out)["input"] == "other.jsonl"


def test_a_value_of_a_switch_is_refused_as_one(toms, out, capsys):
    refused(gsm8k(toms, out, "--strict=true"), capsys, "takes no value, got 'true'")
    refused(gsm8k(toms, out, "--test-count", "-x"), capsys, "by =, as in --name=-x")


def test_the_program_prints_no_traceback(tmp_path):
    command = [sys.executable, "-m", "data_builders", "gsm8k", "--input", "no.jsonl", "--out", "x"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    first, error = done.stderr.splitlines()
    assert (done.returncode, first) == (2, "gsm8k: episodes for x")
    assert error == "error: no.jsonl: no such file."
