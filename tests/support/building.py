"""Rows of our own in the formats that the builders read, and the builders' command line."""

import json

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main

TOM = {
    "question": "Tom has 5 apples. He buys 3 more. He eats 2 of them. How many are left?",
    "answer": "Tom has 5+3 = <<5+3=8>>8 apples.\nSo he has 8-2 = <<8-2=6>>6 left.\n#### 6",
}
BOAT = {"ask": "Whose is the boat?", "story": "It is Ann's. Bob rows it.", "gold": "Ann"}
COLUMNS = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
ALL_TRAIN = ("--test-share", "0")
CUSTOM = ["custom", *COLUMNS, "--name", "boats", "--licence", "MIT"]


def write_rows(path, rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def gsm8k(path, out, *more):
    return main(["gsm8k", "--input", str(path), "--out", str(out), *more])


def custom(path, out, *more):
    kind = () if "--answer-type" in more else ("--answer-type", "text")
    return main([*CUSTOM, "--input", str(path), "--out", str(out), *kind, *more])


def episodes(out):
    return [e for name in ("train", "test") for e in read_episodes(out / f"{name}.jsonl")]


def manifest(out):
    return json.loads((out / "manifest.json").read_text())


def refused(status, capsys, *words):
    """The one line of error that a refused build prints."""
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    for word in words:
        assert str(word) in error
    return error


def build_source(source, tmp_path, out, rows, *more, suffix="jsonl"):
    path = tmp_path / f"rows.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(rows))
    else:
        write_rows(path, rows)
    assert main([source, "--input", str(path), "--out", str(out), *ALL_TRAIN, *more]) == 0
    return list(read_episodes(out / "train.jsonl"))
