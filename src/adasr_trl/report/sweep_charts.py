"""The report's charts of a sweep: accuracy over answer latency, a chart for each arrival speed.

    >>> [chart.title for chart in sweep_charts(methods)][-1]
    'Instant input'

A line is a method; along it the deep part's budget grows. All charts have the same axes, so that they compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from adasr_trl.evaluation.intervals import percentile
from adasr_trl.evaluation.tables import Column, table
from adasr_trl.report.charts import STYLES, Axis, Dot, Scatter, axis, polyline, spread
from adasr_trl.report.gathering import Method
from adasr_trl.report.sweep import POINT_COLUMNS, SPEEDS, Point, sweep

QUARTERS = (25, 50, 75)  # percentiles of the recorded deep parts that are budgets
_ROOM = 1.6  # for labels to the right of a curve, whose smaller budgets are to the left
BUDGET = Column[Point](
    "deep budget", lambda p: "no cap" if p.deep_budget is None else str(p.deep_budget)
)


def sweep_charts(methods: Sequence[Method]) -> list[Scatter]:
    """A chart for each speed, from the records."""
    points = [p for method in methods for p in sweep([method], SPEEDS, (*_budgets(method), None))]
    latest = max(point.answer_seconds.mean for point in points)
    x = axis("answer latency, s", [0.0, _ROOM * latest])
    y = axis("accuracy", [0.0, *(point.accuracy.high for point in points)])
    names = [method.name for method in methods]
    return [
        _chart(speed, [p for p in points if p.words_per_minute == speed], names, (x, y))
        for speed in SPEEDS
    ]


def _budgets(method: Method) -> list[int]:
    """Quartiles of the deep parts' lengths, below the longest one; none where the answer is the deep part."""
    if method.setting.mode.answers_at_once:
        return []
    lengths = [outcome.deep_tokens for run in method.outcomes for outcome in run]
    budgets = {max(1, round(percentile(lengths, quarter))) for quarter in QUARTERS}
    return sorted(budget for budget in budgets if budget < max(lengths))


def _chart(
    speed: float, points: Sequence[Point], names: Sequence[str], axes: tuple[Axis, Axis]
) -> Scatter:
    """Points of one speed, method by method."""
    x, y = axes
    dots, lines = [], []
    labels = spread([y.at(p.accuracy.mean) for p in points if p.deep_budget is None])
    by_method = groupby(points, key=lambda point: point.method)
    for (name, group), label in zip(by_method, labels, strict=True):
        curve, style = list(group), (len(names) - 1 - names.index(name)) % STYLES
        places = [(p.answer_seconds.mean, p.accuracy.mean) for p in curve]
        lines.append((style, polyline(x, y, places)))
        dots += [
            Dot(
                "" if point.deep_budget else name, style,
                x.at(seconds), y.at(share), y.at(point.accuracy.low), y.at(point.accuracy.high), label,
            )
            for point, (seconds, share) in zip(curve, places, strict=True)
        ]  # fmt: skip
    numbers = table(("method",), [((p.method,), p) for p in points], (BUDGET, *POINT_COLUMNS))
    title = "Instant input" if math.isinf(speed) else f"Input at {speed:g} words a minute"
    return Scatter(title, x, y, tuple(dots), "", numbers, tuple(lines))
