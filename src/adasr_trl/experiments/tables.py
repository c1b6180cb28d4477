"""The tables of a grid of runs, made from the records of their evaluations and the logs of their training.

    >>> print(write_grid(tables, Grid(Path("runs/ablate"), (0, 1, 2), "adasr ablate ..."), page=None))

Each table stands with what made it: command, seeds, questions, machine, date, hours. A method is compared with the table's
reference on the same questions, question by question; seeds are pooled with questions within seeds.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from adasr_trl.artifacts.names import METRICS_FILE, RUN_FILE, eval_folder
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import put_between, write_text
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.outcome import Interval, Outcome, clustered_bootstrap, mcnemar, summarise
from adasr_trl.evaluation.records import Setting, load_outcomes, recorded_settings
from adasr_trl.evaluation.tables import BASELINE, Seeds, accuracy_of, decoding, markdown, tag_table

BINS = 5  # of a curve
HELD_OUT = "eval_rewards/accuracy_global/mean"
CURVES = (
    ("accuracy", "accuracy", ".3f"),
    ("streaming tokens", "streaming/tokens", ".1f"),
    ("deep tokens", "deep/tokens", ".1f"),
    ("flat against streaming", "credit/flat_against_streaming", ".2f"),
    ("flat against deep", "credit/flat_against_deep", ".2f"),
)


@dataclass(frozen=True)
class Table:
    """What one table compares.

    Attributes:
        name: Its place in a page, and in ``--tables``.
        title: Its heading.
        methods: Run names, in the order of the rows.
        reference: The run that the others are compared with.
        against: What a run is compared with instead, by its name.
        test: Which further test file it is of; "" for the configuration's own.
        phases: Whether it follows which phase went right.
        tags: Whether rows by the episodes' tags follow.
        held_out: Whether each run's best sampled accuracy on held-out training episodes follows, which chooses among
            settings without a test question.
        curves: Whether means over training steps follow.
    """

    name: str
    title: str
    methods: tuple[str, ...]
    reference: str = "grpo"
    against: dict[str, str] = field(default_factory=dict)
    test: str = ""
    phases: bool = False
    tags: bool = False
    held_out: bool = False
    curves: bool = False

    def __post_init__(self) -> None:
        """Refuse a comparison of a run that has no row."""
        for name in set(self.against) - set(self.methods):
            raise ValueError(
                f"against: {name!r} has no row; expected one of {', '.join(self.methods)}."
            )

    @property
    def runs(self) -> tuple[str, ...]:
        """All that it needs, rows first."""
        return tuple(dict.fromkeys((*self.methods, self.reference, *self.against.values())))

    @property
    def compared(self) -> list[tuple[str, str]]:
        """Pairs of a row and what it is compared with; read-then-think has a table of its own."""
        others = [(name, self.against.get(name, self.reference)) for name in self.methods]
        return [(name, other) for name, other in others if name not in (other, BASELINE)]


@dataclass(frozen=True)
class Grid:
    """Where the runs are, and what made them."""

    root: Path
    seeds: tuple[int, ...]
    command: str
    parallel: bool = False  # the layout that all of its runs were taught

    def place(self, table: Table) -> str:
        """Where a table belongs in a page."""
        return f"{table.name}-parallel" if self.parallel else table.name

    def run(self, method: str, seed: int) -> Path:
        """A run's directory."""
        return self.root / f"seed-{seed}" / method


def write_grid(tables: Sequence[Table], grid: Grid, page: Path | None) -> str:
    """Write ``results.md`` beside the runs, and each table into its place in ``page``; return the Markdown."""
    texts = {grid.place(table): _text(table, grid) for table in tables}
    whole = "\n\n".join(texts.values()) + "\n"
    write_text(grid.root / "results.md", whole)
    if page:
        for name, text in texts.items():
            put_between(page, name, text)
    return whole


def _text(table: Table, grid: Grid) -> str:
    folder = eval_folder(table.test)
    reference = grid.run(table.reference, grid.seeds[0]) / folder
    temperatures = [
        each.temperature
        for each in recorded_settings(reference)
        if each.layout is None and each.mode is Mode.STREAMING
    ]
    if not temperatures:
        raise UserError(f"{reference}: no records; run the grid first, without --tables-only.")
    found = {
        (method, temperature): _outcomes(grid, method, folder, temperature)
        for temperature in temperatures
        for method in table.runs
    }
    rows = [
        _row(method, temperature, found[method, temperature])
        for temperature in temperatures
        for method in table.methods
    ]
    differences = [
        _difference(method, other, temperature, found)
        for temperature in temperatures
        for method, other in table.compared
    ]
    questions = len(found[table.reference, temperatures[0]][0])
    return "\n\n".join(
        [
            f"**{table.title}{', parallel layout' if grid.parallel else ''}**",
            markdown(HEADER, rows),
            markdown(DIFFERENCES, differences),
            *([_phases(_of(table, found))] if table.phases else []),
            *([tag_table(_of(table, found), temperatures[0])] if table.tags else []),
            *([_held_out(table, grid)] if table.held_out else []),
            *([_curves(table, grid)] if table.curves else []),
            _made(table, grid, questions),
        ]
    )


def _of(table: Table, found: Mapping[tuple[str, float], Seeds]) -> dict[tuple[str, float], Seeds]:
    """What belongs to the table's rows, in their order."""
    return {key: found[key] for name in table.methods for key in found if key[0] == name}


def _outcomes(grid: Grid, method: str, folder: str, temperature: float) -> list[list[Outcome]]:
    mode = Mode.READ_THEN_THINK if method == BASELINE else Mode.STREAMING
    setting = Setting(mode, temperature)
    return [load_outcomes(grid.run(method, seed) / folder, setting) for seed in grid.seeds]


HEADER = (
    "method", "decoding", "accuracy", "of each seed", "streaming tokens", "deep tokens", "total tokens", "skip rate",
    "answered", "latency s",
)  # fmt: skip


def _row(method: str, temperature: float, seeds: Seeds) -> list[str]:
    summary = summarise([each for one in seeds for each in one])
    each = [statistics.fmean(one.right for one in outcomes) for outcomes in seeds]
    return [
        method,
        decoding(temperature),
        f"{accuracy_of(seeds):.3f}",
        " ".join(f"{value:.3f}" for value in each),
        f"{summary.streaming_tokens:.1f}",
        f"{summary.deep_tokens:.1f}",
        f"{summary.total_tokens:.1f}",
        f"{summary.skip_rate:.2f}",
        f"{summary.answered:.3f}",
        f"{summary.answer_latency_seconds:.2f}",
    ]


DIFFERENCES = (
    "difference", "decoding", "accuracy, points", "won / lost", "McNemar p", "total tokens, %", "latency, s",
)  # fmt: skip


def _difference(
    method: str, reference: str, temperature: float, found: Mapping[tuple[str, float], Seeds]
) -> list[str]:
    pairs = [
        list(zip(a, b, strict=True))
        for a, b in zip(found[reference, temperature], found[method, temperature], strict=True)
    ]

    def paired(value: Callable[[Outcome], float], scale: float) -> Interval:
        gains = [[value(b) - value(a) for a, b in one] for one in pairs]
        interval = clustered_bootstrap(gains)
        return Interval(*(scale * x for x in (interval.mean, interval.low, interval.high)))

    flat = [pair for one in pairs for pair in one]
    test = mcnemar([a.right for a, _ in flat], [b.right for _, b in flat])
    mean = statistics.fmean(a.total_tokens for a, _ in flat)
    return [
        f"{method} - {reference}",
        decoding(temperature),
        f"{paired(lambda one: float(one.right), 100):+.1f}",
        f"{test.n01} / {test.n10}",
        f"{test.p:.2g}",
        f"{paired(lambda one: float(one.total_tokens), 100 / mean):+.1f}",
        f"{paired(lambda one: one.answer_latency_seconds, 1):+.2f}",
    ]


def _phases(found: Mapping[tuple[str, float], Seeds]) -> str:
    """How often the stream came to the trace's number, and what became of it."""
    rows = []
    for (method, temperature), seeds in found.items():
        judged = [each for one in seeds for each in one if each.stream_right is not None]
        if not judged:
            continue  # no thoughts
        good = [each.right for each in judged if each.stream_right]
        bad = [each.right for each in judged if not each.stream_right]
        stream = [bool(each.stream_right) for each in judged]
        rows.append([method, decoding(temperature), *map(_share, (stream, good, bad))])
    return markdown(PHASES, rows)


PHASES = ("method", "decoding", "stream right", "answer right, if so", "answer right, if not")


def _share(right: Sequence[bool]) -> str:
    return f"{statistics.fmean(right):.3f}" if right else "-"


def logged(run: Path) -> list[dict[str, float]]:
    """Every log of a run's training, oldest first."""
    lines = (run / METRICS_FILE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _held_out(table: Table, grid: Grid) -> str:
    """The best held-out accuracy of each run of RL while it was trained."""
    rows = []
    for method in table.methods:
        seeds = [
            [x[HELD_OUT] for x in logged(grid.run(method, seed)) if HELD_OUT in x]
            for seed in grid.seeds
        ]
        if all(seeds):
            best = [max(each) for each in seeds]
            rows.append(
                [method, f"{statistics.fmean(best):.3f}", " ".join(f"{x:.3f}" for x in best)]
            )
    return markdown(("while training", "best held-out accuracy, mean", "of each seed"), rows)


def _curves(table: Table, grid: Grid) -> str:
    """Means over seeds and a fifth of the training steps each, of sampled rollouts on training episodes."""
    rows = []
    header: list[str] = []
    for method in table.methods:
        logs = [
            [x for x in logged(grid.run(method, seed)) if "accuracy" in x] for seed in grid.seeds
        ]
        if not all(logs):
            continue  # SFT and read-then-think
        last = int(max(x["step"] for one in logs for x in one))
        edges = [round(last * k / BINS) for k in range(BINS + 1)]
        header = [f"steps {a + 1} to {b}" for a, b in itertools.pairwise(edges)]
        for label, key, form in CURVES:
            bins = [
                [x[key] for one in logs for x in one if a < x["step"] <= b and key in x]
                for a, b in itertools.pairwise(edges)
            ]
            if all(bins):
                rows.append([method, label, *(f"{statistics.fmean(each):{form}}" for each in bins)])
    return markdown(("while training", "mean", *header), rows)


def _made(table: Table, grid: Grid, questions: int) -> str:
    """What made the table."""
    hours = sum(
        each.get("train_runtime", 0.0) / 3600
        for seed in grid.seeds
        for method in table.runs
        for each in logged(grid.run(method, seed))
    )
    newest = max(
        (grid.run(table.methods[-1], seed) / RUN_FILE).stat().st_mtime for seed in grid.seeds
    )
    return (
        f"`{grid.command} --tables {table.name}`: {questions} questions, seeds {', '.join(map(str, grid.seeds))}, "
        f"95 % intervals; {hours:.1f} hours of training processes, one thread each; {platform.machine()}, "
        f"{os.cpu_count()} cores; {datetime.fromtimestamp(newest, UTC):%Y-%m-%d}."
    )
