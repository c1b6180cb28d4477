"""The report's pictures: matplotlib's SVG, made to take the page's colours and to do without its fonts.

    >>> pareto(lines)
    Picture(title='Accuracy against wait', svg='<svg ...', ...)

A colour never says anything alone: methods differ in marker and dash as well, and every picture has its numbers beside it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasr_trl.report.gathering import Method
from adasr_trl.report.numbers import Line

# Okabe and Ito's palette without its yellow and black: told apart by all kinds of colour vision, on white and on dark.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
INK = "#123456"  # stands for the page's text colour until the SVG is made
METRICS_FILE = "metrics.jsonl"
CURVES = (  # of training, by the names in metrics.jsonl
    ("accuracy", "Accuracy of the rollouts"),
    ("streaming/tokens", "Tokens of streaming thought"),
    ("deep/tokens", "Tokens of the deep part"),
    ("streaming/skip_rate", "Share of chunks skipped"),
)


@dataclass(frozen=True)
class Picture:
    """An inline SVG and its numbers.

    Attributes:
        title: What it shows.
        svg: Its markup.
        header: Of the table of its numbers.
        rows: The numbers, as text.
    """

    title: str
    svg: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pareto(lines: Sequence[Line]) -> Picture:
    """Accuracy with its interval against the median wait."""

    def draw(axes: Any) -> None:
        for n, line in enumerate(lines):
            mean, wait = line.accuracy.mean, line.summary.latency_median
            spread = [[mean - line.accuracy.low], [line.accuracy.high - mean]]
            style = {"color": COLOURS[n % 6], "marker": MARKERS[n % 6], "capsize": 3}
            axes.errorbar([wait], [mean], yerr=spread, linestyle="", label=line.name, **style)
        axes.set_xlabel("median wait, s (further left is better)")
        axes.set_ylabel("accuracy (higher is better)")
        axes.set_xlim(left=0)
        axes.legend(frameon=False)

    rows = tuple(
        (line.name, f"{line.summary.latency_median:.2f}", f"{line.accuracy.mean:.3f}")
        for line in lines
    )
    title = "Accuracy against wait"
    return Picture(title, _svg(draw, "pareto"), ("method", "median wait, s", "accuracy"), rows)


def lengths(lines: Sequence[Line]) -> Picture:
    """Mean tokens by phase."""

    def draw(axes: Any) -> None:
        names = [line.name for line in lines]
        streaming = [line.summary.streaming_tokens for line in lines]
        deep = [line.summary.deep_tokens for line in lines]
        axes.barh(names, streaming, color=COLOURS[4], label="streaming")
        axes.barh(names, deep, left=streaming, color=COLOURS[1], hatch="///", label="deep")
        axes.invert_yaxis()
        axes.set_xlabel("mean tokens a question")
        axes.legend(frameon=False)

    rows = tuple(
        (line.name, f"{line.summary.streaming_tokens:.1f}", f"{line.summary.deep_tokens:.1f}")
        for line in lines
    )
    header = ("method", "streaming tokens", "deep tokens")
    return Picture("Length of each phase", _svg(draw, "lengths"), header, rows)


def curves(methods: Sequence[Method]) -> list[Picture]:
    """One picture for each measure that any run logged while it was trained; means over seeds."""
    logged = {method.name: [_metrics(run) for run in method.runs] for method in methods}
    found = []
    for key, title in CURVES:
        of_method = {name: _mean_by_step(seeds, key) for name, seeds in logged.items()}
        shown = {name: curve for name, curve in of_method.items() if len(curve) > 1}
        if shown:
            found.append(_curve(title, key, shown, list(logged)))
    return found


def _curve(
    title: str, key: str, shown: Mapping[str, Mapping[int, float]], names: Sequence[str]
) -> Picture:
    def draw(axes: Any) -> None:
        for name, curve in shown.items():
            n = names.index(name) % 6
            steps, values = list(curve), list(curve.values())
            axes.plot(steps, values, color=COLOURS[n], linestyle=DASHES[n], label=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("training step")
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)

    rows = tuple(
        (name, *(f"{value:.3g}" for value in _fifths(list(curve.values()))))
        for name, curve in shown.items()
    )
    header = ("method", *(f"{part} fifth" for part in ("1st", "2nd", "3rd", "4th", "5th")))
    return Picture(f"Training: {title.lower()}", _svg(draw, key.replace("/", "-")), header, rows)


def _fifths(values: Sequence[float]) -> list[float]:
    """Means of five parts of equal length, fewer where there are not so many values."""
    size = max(1, -(-len(values) // 5))
    parts = [values[n : n + size] for n in range(0, len(values), size)]
    return [sum(part) / len(part) for part in parts]


def _metrics(run: Path) -> list[dict[str, float]]:
    file = run / METRICS_FILE
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _mean_by_step(seeds: Sequence[Sequence[Mapping[str, float]]], key: str) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for log in seeds:
        for line in log:
            if key in line:
                values.setdefault(int(line["step"]), []).append(line[key])
    return {step: sum(each) / len(each) for step, each in sorted(values.items())}


def _svg(draw: Callable[[Any], None], name: str) -> str:
    """Draw on axes whose text and lines are in the page's text colour."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    )
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "hatch.color": INK,
        **ink,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(5.4, 3.4), layout="constrained")
        draw(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue(), name)


def _inline(svg: str, name: str) -> str:
    """Markup that can stand in a page: no document header or metadata, ids of its own, sized by the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1sans-serif", svg)
    return svg.replace(INK, "currentColor").replace("<svg", '<svg aria-hidden="true"', 1)
