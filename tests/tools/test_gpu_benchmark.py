"""The benchmark for a GPU, run on a CPU with a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import gpu

PAGE = Path(__file__).parents[2] / "docs" / "PERFORMANCE.md"


@pytest.mark.slow
def test_it_writes_a_table_whose_gradients_agree(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    sizes = ("--source", "128", "--written", "64", "--group", "3", "--repeats", "1")
    gpu.main(["--shapes", "tiny", "--page", str(page), *sizes])
    table = page.read_text(encoding="utf-8").partition("<!-- gpu -->")[2]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| tiny")]
    assert [(row[1].split(",")[0], row[3]) for row in rows] == [
        (weights, work)
        for weights in ("all", "LoRA", "QLoRA")
        for work in ("padded", "shared", "rollouts")
    ]
    differences = [float(row[-1].rstrip(" |")) for row in rows if row[3] == "shared"]
    assert all(0.0 < difference < 1e-5 for difference in differences)
