"""The report's pictures: matplotlib's SVG, made to take the page's colours and to do without its fonts.

    >>> pareto(methods)
    Picture(title='Accuracy against answer latency', svg='<svg ...', ...)

A colour never says anything alone: methods differ in marker and dash as well, and every picture has its numbers beside it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.tables import Table, table
from adasr_trl.report.gathering import Method, read_metrics

# Okabe and Ito's palette without its yellow and black: told apart by all kinds of colour vision, on white and on dark.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
LEGEND_LETTERS = 54  # a row of a legend holds so many, 6 of them for each marker
INK = "#123456"  # stands for the page's text colour until the SVG is made
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


@dataclass(frozen=True)
class Picture:
    """An inline SVG and its numbers."""

    title: str  # its heading
    svg: str  # its markup
    numbers: Table  # the table beside it


def pareto(methods: Sequence[Method]) -> Picture:
    """Accuracy with its interval against the median answer latency; a line joins the methods that none beats in both."""
    rows = [((method.name,), method.summary) for method in methods]
    accuracies = [summary.accuracy for _, summary in rows]
    latencies = [summary.latency.answer_latency_seconds.median for _, summary in rows]
    points = [(seconds, share.mean) for seconds, share in zip(latencies, accuracies, strict=True)]
    unbeaten = _unbeaten(points)

    def draw(axes: Any) -> None:
        if len(unbeaten) > 1:
            steps = zip(*sorted(unbeaten), strict=True)
            axes.step(*steps, where="post", color=INK, lw=0.8, ls=":", zorder=0)
        for n, (seconds, accuracy) in enumerate(zip(latencies, accuracies, strict=True)):
            spread = [[accuracy.mean - accuracy.low], [accuracy.high - accuracy.mean]]
            style = {"color": COLOURS[n % 6], "marker": MARKERS[n % 6], "capsize": 3, "ls": ""}
            label = _label(methods[n].name)
            axes.errorbar([seconds], [accuracy.mean], yerr=spread, label=label, **style)
        axes.set_xlabel("median answer latency, s (further left is better)")
        axes.set_ylabel("accuracy (higher is better)")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        _legend(axes)

    numbers = table(("method",), rows, (columns.LATENCY_MEDIAN, columns.ACCURACY))
    beaten = ["no" if point in unbeaten else "yes" for point in points]
    numbers = numbers.with_column("beaten in both by another", beaten)
    return Picture("Accuracy against answer latency", _svg(draw, "pareto"), numbers)


def _unbeaten(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of seconds and accuracy that no other point beats: as good in both, and better in one."""
    return [
        (seconds, accuracy)
        for seconds, accuracy in points
        if not any(
            x <= seconds and y >= accuracy and (x, y) != (seconds, accuracy) for x, y in points
        )
    ]


def lengths(methods: Sequence[Method]) -> Picture:
    """Mean tokens by phase."""
    rows = [((method.name,), method.summary) for method in methods]

    def draw(axes: Any) -> None:
        names = [_label(method.name) for method in methods]
        streaming = [summary.streaming_tokens for _, summary in rows]
        deep = [summary.deep_tokens for _, summary in rows]
        axes.barh(names, streaming, color=COLOURS[4], label="streaming")
        axes.barh(names, deep, left=streaming, color=COLOURS[1], hatch="///", label="deep")
        axes.invert_yaxis()
        axes.set_xlabel("mean tokens a question")
        _legend(axes)

    numbers = table(("method",), rows, (columns.STREAMING_TOKENS, columns.DEEP_TOKENS))
    return Picture("Length of each phase", _svg(draw, "lengths"), numbers)


def curves(methods: Sequence[Method]) -> list[Picture]:
    """One picture for each measure that any run logged while it was trained; means over seeds."""
    logs = {method.trained: [read_metrics(run) for run in method.runs] for method in methods}
    pictures = []
    for key, title in CURVES:
        of_method = {name: _mean_by_step(seeds, key) for name, seeds in logs.items()}
        shown = {name: curve for name, curve in of_method.items() if len(curve) > 1}
        if shown:
            pictures.append(_curve(title, key, shown, list(logs)))
    return pictures


def _curve(
    title: str, key: str, shown: Mapping[str, Mapping[int, float]], names: Sequence[str]
) -> Picture:
    def draw(axes: Any) -> None:
        for name, curve in shown.items():
            n = names.index(name) % 6
            steps, values = list(curve), list(curve.values())
            axes.plot(steps, values, color=COLOURS[n], linestyle=DASHES[n], label=_label(name))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("training step")
        axes.set_ylabel(title)
        low = min(min(curve.values()) for curve in shown.values())
        axes.set_ylim(bottom=min(0.0, low))
        _legend(axes)

    rows = tuple(
        (name, *(f"{value:.3g}" for value in _fifths(list(curve.values()))))
        for name, curve in shown.items()
    )
    header = ("method", *(f"{part} fifth" for part in ("1st", "2nd", "3rd", "4th", "5th")))
    svg = _svg(draw, key.replace("/", "-"))
    return Picture(f"Training: {title.lower()}", svg, Table(header, rows))


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


def _label(name: str) -> str:
    """A name for matplotlib: it hides one that begins with _, and a long one fills the picture."""
    return f" {name if len(name) <= 34 else name[:33] + '…'}"


def _legend(axes: Any) -> None:
    """Above the picture, where it covers nothing; the figure grows by its rows, as wide as the names allow."""
    names = [*axes.get_legend_handles_labels()[1]]
    columns = max(1, min(3, LEGEND_LETTERS // (6 + max(map(len, names)))))
    figure = axes.figure
    figure.set_figheight(figure.get_figheight() + 0.22 * (-(-len(names) // columns) - 1))
    axes.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0
    )


def _svg(draw: Callable[[Any], None], name: str) -> str:
    """Draw on axes whose text and lines are in the page's text colour."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    )
    style = {
        "svg.fonttype": "none",
        "text.parse_math": False,  # a $ in a method's name is a $
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
