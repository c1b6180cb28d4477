"""The report's charts: ticks, and curves with and without smoothing."""

from __future__ import annotations

import json

import pytest

from adasr_trl.report import Wanted
from adasr_trl.report.charts import axis, training_charts
from adasr_trl.report.gathering import gather
from support import reported


def test_an_axis_has_round_ticks_and_holds_its_values():
    for values, ticks in (
        ([0.0, 0.83], ["0.0", "0.5", "1.0"]),
        ([0.0, 2.4], ["0", "1", "2", "3"]),
        ([0.0, 0.0], ["0.0", "0.5"]),
        ([-0.31, 0.2], ["-0.4", "-0.2", "0.0", "0.2"]),
        ([0.0, 190.0], ["0", "50", "100", "150", "200"]),
    ):
        scale = axis("", values)
        assert [text for _, text in scale.ticks] == ticks
        assert all(-0.01 <= scale.at(value) <= 100.01 for value in values)


def test_a_long_curve_is_smoothed_and_a_short_one_drawn_as_it_is(tmp_path):
    root = reported.comparison(tmp_path)
    run = root / "seed-0" / "sft"
    lines = [{"step": step, "accuracy": step % 2} for step in range(1, 101)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (long,) = training_charts(gather([str(run)], Wanted()))
    (short,) = [
        c
        for c in training_charts(gather([f"{root}/seed-0/hrpo"], Wanted()))
        if "Accuracy" in c.title
    ]
    assert (long.window, short.window) == (11, 1)
    assert short.lines[0].raw == ""
    heights = [float(point.split(",")[1]) for point in long.lines[0].points.split()]
    assert max(heights[5:-5]) - min(heights[5:-5]) == pytest.approx(100 / 11, abs=0.1)
    assert long.lines[0].raw.split()[:2] == ["1,0", "2,100"]
