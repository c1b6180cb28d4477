"""The report's charts by arrival speed: the points of a sweep, on axes that compare."""

from __future__ import annotations

import dataclasses

import pytest

from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.settings import Setting
from adasr_trl.report.gathering import Wanted, gather
from adasr_trl.report.sweep import SPEEDS, sweep
from adasr_trl.report.sweep_charts import sweep_charts
from support.reported import comparison


@pytest.fixture(scope="module")
def methods(tmp_path_factory):
    return gather([str(comparison(tmp_path_factory.mktemp("runs"), 12))], Wanted())


@pytest.fixture(scope="module")
def charts(methods):
    return sweep_charts(methods)


def test_there_is_a_chart_for_each_speed_and_all_have_the_same_axes(charts):
    assert [chart.title for chart in charts] == [
        *(f"Input at {speed} words a minute" for speed in (75, 150, 300, 600)),
        "Instant input",
    ]
    assert len({(chart.x, chart.y) for chart in charts}) == 1


def test_only_the_point_without_a_cap_is_labelled_and_it_is_that_of_the_sweep(methods, charts):
    for speed, chart in zip(SPEEDS, charts, strict=True):
        named = {dot.name: dot for dot in chart.dots if dot.name}
        assert set(named) == {"sft", "hrpo"}
        for point in sweep(methods, [speed], [None]):
            dot = named[point.method]
            assert dot.x == chart.x.at(point.answer_seconds.mean)
            assert (dot.low, dot.y, dot.high) == tuple(
                chart.y.at(getattr(point.accuracy, end)) for end in ("low", "mean", "high")
            )


def test_a_line_goes_up_and_right_with_the_budget(charts):
    for chart in charts:
        assert len(chart.lines) == 2
        for _, points in chart.lines:
            places = [tuple(map(float, point.split(","))) for point in points.split()]
            assert len(places) >= 3
            assert [x for x, _ in places] == sorted(x for x, _ in places)
            assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)


def test_budgets_are_quarters_of_each_methods_own_deep_parts(methods, charts):
    lengths = sorted(o.deep_tokens for run in methods[0].outcomes for o in run)
    middle = round((lengths[11] + lengths[12]) / 2)  # of two seeds of 12
    rows = [row for row in charts[0].numbers.rows if row[0] == methods[0].name]
    assert str(middle) in [row[1] for row in rows]
    assert rows[-1][1] == "no cap"


def test_an_answer_without_reasoning_has_no_budget(methods):
    setting = Setting(Mode.PREFILL_ONLY, 0.0)
    (method,) = (dataclasses.replace(m, setting=setting) for m in methods[:1])
    for run in method.runs:
        records = run / method.folder
        text = (records / "streaming-temperature-0.jsonl").read_text()
        (records / setting.file).write_text(text)
    assert all(len(chart.dots) == 1 for chart in sweep_charts([method]))
