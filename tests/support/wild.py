"""Rows in the forms of others, and the command that builds them."""

from __future__ import annotations

import json

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main

COLUMNS = ("--question-column", "q", "--context-column", "c", "--answer-column", "a")
COMMON = ("--name", "x", "--licence", "MIT")


def build(path, out, *flags):
    given = ["custom", "--input", str(path), *COMMON, *flags, "--out", str(out)]
    if "--answer-type" not in flags:
        given += ["--answer-type", "number"]
    return main(given)


def built(out):
    paths = [out / f"{split}.jsonl" for split in ("train", "test")]
    return [list(read_episodes(path)) if path.is_file() else [] for path in paths]


def refusal(capsys, path, out, *flags):
    assert build(path, out, *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def row(number, **more):
    return {"q": f"How many {number}?", "c": f"Tom has {number}. He naps.", "a": number, **more}


def lines(*rows):
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()
