"""The report's charts as numbers: places in percent of a plot, which the page's template draws.

    >>> latency_chart(methods)
    Scatter(title='Accuracy against answer latency', ...)

The page positions its text itself, so letters keep their size on a phone. A colour never says anything alone:
methods differ in marker and dash, and every chart has its numbers beside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.tables import Table, table
from adasr_trl.report.gathering import Method, read_metrics

STYLES = 6  # markers and dashes that the style sheet knows
CURVES = (  # of training, by the names in metrics.jsonl
    ("eval_mean_token_accuracy", "Tokens of held-out traces predicted"),  # supervised fine-tuning
    ("accuracy", "Accuracy of the rollouts"),
    ("eval_accuracy", "Accuracy on held-out questions"),
    ("reward/streaming", "Reward of the streaming thoughts"),
    ("reward/deep", "Reward of the deep part"),
    ("streaming/tokens", "Tokens of streaming thought"),
    ("deep/tokens", "Tokens of the deep part"),
    ("streaming/skip_rate", "Share of chunks skipped"),
)
LABEL_GAP = 9.0  # percent of the plot's height between two labels
FEW_POINTS = 25  # a curve of no more points is drawn as it is


@dataclass(frozen=True)
class Axis:
    """A scale from its first tick to its last."""

    title: str  # its words
    ticks: tuple[tuple[float, str], ...]  # place in percent, and number as text
    low: float  # value at 0 %
    high: float  # value at 100 %

    def at(self, value: float) -> float:
        """Place of a value in percent."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


@dataclass(frozen=True)
class Dot:
    """A method of the scatter plot."""

    name: str  # "" for a dot without a label
    style: int  # 0: the accent
    x: float  # percent from the left
    y: float  # percent from the bottom, as the next three
    low: float  # lower end of its interval
    high: float
    label: float


@dataclass(frozen=True)
class Scatter:
    """Two measures of each method."""

    title: str
    x: Axis
    y: Axis
    dots: tuple[Dot, ...]
    front: str  # points of the line through the methods that none beats; empty for one
    numbers: Table
    lines: tuple[tuple[int, str], ...] = ()  # style and points of a line through dots of one method


@dataclass(frozen=True)
class Bars:
    """Lengths of two phases, a bar a method."""

    title: str
    axis: Axis
    rows: tuple[tuple[str, float, float, str], ...]  # name, streaming %, deep %, total as text
    numbers: Table


@dataclass(frozen=True)
class Line:
    """A curve of one method."""

    name: str
    style: int
    label: float  # percent from the bottom
    points: str  # of an SVG polyline in 0 to 100, smoothed
    raw: str  # the same before smoothing; empty where nothing was smoothed


@dataclass(frozen=True)
class Lines:
    """A measure over training steps."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    window: int  # steps that each point is a mean of, at most
    numbers: Table


def style_of(methods: Sequence[Method], name: str) -> int:
    """Number of a trained method's marker and dash; the last method has the accent."""
    trained = list(dict.fromkeys(method.trained for method in reversed(methods)))
    return trained.index(name) % STYLES


def latency_chart(methods: Sequence[Method]) -> Scatter:
    """Accuracy with its interval against the mean answer latency."""
    rows = [((method.name,), method.summary) for method in methods]
    accuracies = [summary.accuracy for _, summary in rows]
    latencies = [summary.latency.answer_latency_seconds.mean for _, summary in rows]
    points = [(seconds, share.mean) for seconds, share in zip(latencies, accuracies, strict=True)]
    x = axis("answer latency, s (further left is better)", [0.0, *latencies])
    y = axis("accuracy", [0.0, *(share.high for share in accuracies)])
    labels = spread([y.at(share.mean) for share in accuracies])
    dots = tuple(
        Dot(
            method.name, (len(methods) - 1 - n) % STYLES,
            x.at(seconds), y.at(share.mean), y.at(share.low), y.at(share.high), labels[n],
        )
        for n, (method, seconds, share) in enumerate(
            zip(methods, latencies, accuracies, strict=True)
        )
    )  # fmt: skip
    unbeaten = sorted(set(_unbeaten(points)))
    corners = [(b[0], a[1]) for a, b in itertools.pairwise(unbeaten)]
    stairs = sorted([*unbeaten, *corners], key=lambda point: (point[0], point[1]))
    front = polyline(x, y, stairs) if len(unbeaten) > 1 else ""
    numbers = table(("method",), rows, (columns.LATENCY, columns.ACCURACY))
    beaten = ["no" if point in unbeaten else "yes" for point in points]
    numbers = numbers.with_column("beaten in both by another", beaten)
    return Scatter("Accuracy against answer latency", x, y, dots, front, numbers)


def length_chart(methods: Sequence[Method]) -> Bars:
    """Mean tokens by phase."""
    rows = [((method.name,), method.summary) for method in methods]
    scale = axis("mean tokens a question", [0.0, *(summary.total_tokens for _, summary in rows)])
    bars = tuple(
        (name, scale.at(s.streaming_tokens), scale.at(s.deep_tokens), f"{s.total_tokens:.1f}")
        for (name,), s in rows
    )
    numbers = table(("method",), rows, (columns.STREAMING_TOKENS, columns.DEEP_TOKENS))
    return Bars("Length of each phase", scale, bars, numbers)


def training_charts(methods: Sequence[Method]) -> list[Lines]:
    """A chart for each measure that any run logged while it was trained; means over seeds."""
    logs = {method.trained: [read_metrics(run) for run in method.runs] for method in methods}
    charts = []
    for key, title in CURVES:
        of_method = {name: _mean_by_step(seeds, key) for name, seeds in logs.items()}
        shown = {name: curve for name, curve in of_method.items() if len(curve) > 1}
        if shown:
            charts.append(_lines(title, shown, {n: style_of(methods, n) for n in shown}))
    return charts


def _lines(
    title: str, curves: Mapping[str, Mapping[int, float]], styles: Mapping[str, int]
) -> Lines:
    x = axis("training step", [0.0, *(float(max(curve)) for curve in curves.values())])
    y = axis(title, [0.0, *(value for curve in curves.values() for value in curve.values())])
    windows = {name: _window(len(curve)) for name, curve in curves.items()}
    smooth = {name: _smoothed([*curve.values()], windows[name]) for name, curve in curves.items()}
    labels = spread([y.at(values[-1]) for values in smooth.values()])
    lines = tuple(
        Line(
            name, styles[name], label,
            polyline(x, y, zip(map(float, curve), smooth[name], strict=True)),
            polyline(x, y, [(float(step), value) for step, value in curve.items()])
            if windows[name] > 1 else "",
        )
        for (name, curve), label in zip(curves.items(), labels, strict=True)
    )  # fmt: skip
    rows = tuple(
        (name, *(f"{value:.3g}" for value in _fifths([*curve.values()])))
        for name, curve in curves.items()
    )
    header = ("method", *(f"{part} fifth" for part in ("1st", "2nd", "3rd", "4th", "5th")))
    return Lines(title, x, y, lines, max(windows.values()), Table(header, rows))


def axis(title: str, values: Sequence[float]) -> Axis:
    """The scale that holds all values, with three to six round ticks (Heckbert 1990, "Nice Numbers for Graph Labels")."""
    low, high = min(values), max(values)
    rough = (high - low or 1.0) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), max(1, math.ceil(high / step - 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    scale = Axis(title, (), first * step, last * step)
    ticks = [(scale.at(n * step), f"{n * step:.{digits}f}") for n in range(first, last + 1)]
    return Axis(title, tuple(ticks), scale.low, scale.high)


def _unbeaten(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of seconds and accuracy that no other point beats: as good in both, and better in one."""
    return [
        (seconds, accuracy)
        for seconds, accuracy in points
        if not any(
            x <= seconds and y >= accuracy and (x, y) != (seconds, accuracy) for x, y in points
        )
    ]


def spread(places: Sequence[float]) -> list[float]:
    """Places of labels in percent, moved up where two would cover each other, and all down where they leave the plot."""
    order = sorted(range(len(places)), key=places.__getitem__)
    spread, below = [0.0] * len(places), -math.inf
    for n in order:
        below = spread[n] = max(places[n], below + LABEL_GAP)
    too_high = max(0.0, below - 100.0)
    return [round(place - too_high, 2) for place in spread]


def _window(points: int) -> int:
    """Points of a moving average: one for a short curve, else a tenth, and odd."""
    return 1 if points <= FEW_POINTS else points // 20 * 2 + 1


def _smoothed(values: Sequence[float], window: int) -> list[float]:
    """Centred moving averages, over fewer values at both ends."""
    half = window // 2
    parts = [values[max(0, n - half) : n + half + 1] for n in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def polyline(x: Axis, y: Axis, points: Iterable[tuple[float, float]]) -> str:
    """Points of an SVG polyline whose origin is the upper left corner."""
    return " ".join(f"{x.at(a):g},{100 - y.at(b):g}" for a, b in points)


def _fifths(values: Sequence[float]) -> list[float]:
    """Means of five parts of equal length, fewer where there are not so many values."""
    size = max(1, -(-len(values) // 5))
    parts = [values[n : n + size] for n in range(0, len(values), size)]
    return [sum(part) / len(part) for part in parts]


def _mean_by_step(seeds: Sequence[Sequence[Mapping[str, float]]], key: str) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for log in seeds:
        for line in log:
            if key in line:
                values.setdefault(int(line["step"]), []).append(line[key])
    return {step: sum(seen) / len(seen) for step, seen in sorted(values.items())}
