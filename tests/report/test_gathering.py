"""Methods of a report: the same questions, and the seeds that are paired."""

from __future__ import annotations

import shutil

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
