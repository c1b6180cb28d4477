"""Methods of a report: the same questions, the seeds that are paired, and the file that a page may replace."""

from __future__ import annotations

import shutil

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.report import write_report
from adasr_trl.report.gathering import Wanted, gather
from support import reported


def test_ends_of_lines_make_no_other_questions(tmp_path):
    runs = [reported.run(tmp_path / name, 3, seed, 0.5) for seed, name in enumerate(("a", "b"))]
    file = runs[1] / "eval" / "episodes.jsonl"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert [method.name for method in gather(list(map(str, runs)), Wanted())] == ["a", "b"]


def test_a_difference_of_fewer_seeds_than_there_are_says_so(tmp_path):
    root = reported.comparison(tmp_path / "runs", 8)
    page = tmp_path / "page.html"
    write_report([str(root)], page)
    assert "seeds paired" not in page.read_text(encoding="utf-8")
    shutil.copytree(root / "seed-1" / "hrpo", root / "seed-2" / "hrpo")
    write_report([str(root)], page)
    assert ">hrpo (2 seeds paired)</th>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "mark"),
    [
        ("report", "<p>old</p>\n<footer><p>Made by adasr-trl 0.0.1.</p></footer>"),
        ("sweep", "# Accuracy over latency, by arrival speed and deep budget\n\nold"),
        ("corrections", "# Accuracy lost to late corrections\n\nold"),
    ],
)
def test_a_page_replaces_one_of_its_own_command_alone(tmp_path, capsys, command, mark):
    page = tmp_path / "mine"
    others = ["# My notes\n", "Made by adasr-trl", "# Accuracy", "print(1)\n"]
    for text in [b"\xff\xfe", *map(str.encode, others)]:
        page.write_bytes(text)
        assert adasr([command, "nowhere", "--out", str(page)]) == 2
        assert capsys.readouterr().err == (
            f"error: --out: {page} is no page of this command, and would be replaced; name another file, or --overwrite.\n"
        )
        assert page.read_bytes() == text
        assert adasr([command, "nowhere", "--out", str(page), "--overwrite"]) == 2
        assert "nowhere: neither a run" in capsys.readouterr().err  # the next check
    for text in (mark, ""):
        page.write_text(text, encoding="utf-8")
        assert adasr([command, "nowhere", "--out", str(page)]) == 2
        assert "nowhere: neither a run" in capsys.readouterr().err


def test_a_report_replaces_the_one_before_it_and_with_overwrite_any_file(tmp_path):
    run, page = str(reported.run(tmp_path / "run", 3, 0, 0.5)), tmp_path / "page.html"
    page.write_text("mine", encoding="utf-8")
    for flags in (["--overwrite"], []):
        assert adasr(["report", run, "--out", str(page), *flags]) == 0
        assert "<footer><p>Made by adasr-trl " in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("copy", ["seed-0 (copy)/hrpo", "seed-1.bak/hrpo", "seed-0/hrpo.previous"])
def test_a_copy_in_a_comparison_is_no_further_seed_and_can_be_named(tmp_path, caplog, copy):
    root = reported.comparison(tmp_path, 4)
    shutil.copytree(root / "seed-0" / "hrpo", root / copy)
    methods = gather([str(root)], Wanted())
    assert [(method.name, len(method.runs)) for method in methods] == [("sft", 2), ("hrpo", 2)]
    assert f"{root / copy}: left out, as a copy or moved aside" in caplog.text
    assert gather([f"copy={root / copy}"], Wanted())[0].runs == (root / copy,)
