"""Tables of a grid of runs, made from the records of their evaluations and the logs of their training.

    >>> print(write_comparison(Grid(Path("runs/tiny"), seeds=(0,)), ("read-then-think", "sft", "hrpo")))
    >>> print(write_tables(tables, Grid(Path("runs/ablate"), (0, 1, 2), "adasr ablate ..."), page=None))

A method is compared with a reference on the same questions, question by question; seeds are pooled with questions within
seeds. No model is loaded.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from adasr_trl.artifacts.names import RUN_FILE, eval_folder
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import put_between, write_text
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.records import load_outcomes
from adasr_trl.evaluation.settings import Setting, recorded_settings
from adasr_trl.evaluation.summary import (
    PairedDifference,
    Runs,
    Summary,
    summarise_seeds,
    values_by_seed,
)
from adasr_trl.evaluation.tables import Table, table
from adasr_trl.report.gathering import read_metrics

READ_THEN_THINK, SFT = "read-then-think", "sft"
NAMES, DIFFERENCE_NAMES = ("method", "decoding"), ("difference", "decoding")
WORK = (*columns.TOKENS, columns.SKIP_RATE, columns.ANSWERED, columns.LATENCY)
OF_TAGS = (columns.STREAMING_TOKENS, columns.DEEP_TOKENS, columns.LATENCY)
SIGNIFICANCE = (columns.POINTS, columns.WON_LOST, columns.P_VALUE)
CHANCE = 0.15  # accuracy below which a model has not learnt to answer
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
class TableSection:
    """One table of an ablation, as its configuration describes it.

    Attributes:
        name: Its place in a page, and in ``--tables``.
        title: Its heading.
        methods: Run names, in the order of the rows.
        reference: The run that the others are compared with.
        against: Another run that a run is compared with, by its name.
        test: Name of its test file; "" for the configuration's own.
        phases: Whether a table follows of the phase that went right.
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
        """All runs that it needs, rows first."""
        return tuple(dict.fromkeys((*self.methods, self.reference, *self.against.values())))

    @property
    def compared(self) -> list[tuple[str, str]]:
        """Pairs of a row and its reference; read-then-think is compared with nothing."""
        pairs = [(name, self.against.get(name, self.reference)) for name in self.methods]
        return [(name, other) for name, other in pairs if name not in (other, READ_THEN_THINK)]


@dataclass(frozen=True)
class Grid:
    """Runs of several methods and seeds, and the command that made them.

    Attributes:
        root: Folder of the seeds.
        seeds: The seeds.
        command: The command, for the tables' footers.
        parallel: Whether its runs were taught the parallel layout.
        cache: Outcomes read so far, by method, temperature and test.
    """

    root: Path
    seeds: tuple[int, ...]
    command: str = ""
    parallel: bool = False
    cache: dict[tuple[str, float, str], Runs] = field(default_factory=dict, repr=False)

    def run(self, method: str, seed: int) -> Path:
        """A run's directory."""
        return self.root / f"seed-{seed}" / method

    def runs(self, methods: Sequence[str]) -> list[Path]:
        """The directories of all seeds of the methods."""
        return [self.run(method, seed) for method in methods for seed in self.seeds]

    def temperatures(self, method: str, test: str = "") -> list[float]:
        """The temperatures that a method's first seed was evaluated at; a UserError where there are none."""
        folder = self.run(method, self.seeds[0]) / eval_folder(test)
        settings = [s for s in recorded_settings(folder) if s.mode is Mode.STREAMING]
        temperatures = [s.temperature for s in settings if s.layout is None]
        if not temperatures:
            raise UserError(f"{folder}: no records; run the grid first, without --tables-only.")
        return temperatures

    def outcomes(self, method: str, temperature: float, test: str = "") -> Runs:
        """The outcomes of each seed, read once."""
        key = (method, temperature, test)
        if key not in self.cache:
            self.cache[key] = [
                load_outcomes(run / eval_folder(test), _setting(method, temperature))
                for run in self.runs([method])
            ]
        return self.cache[key]


def write_comparison(grid: Grid, methods: Sequence[str]) -> str:
    """Write ``table.md`` and ``table.json`` beside the runs; return the Markdown."""
    temperatures = grid.temperatures(SFT)
    keys = [(method, temperature) for method in methods for temperature in temperatures]
    rows = _rows(grid, keys)
    variants = [key for key in keys if key[0] not in (SFT, READ_THEN_THINK)]
    differences = _differences(grid, [(name, SFT, temperature) for name, temperature in variants])
    summaries = {key: summary for key, (_, summary) in zip(keys, rows, strict=True)}
    latency = {key: s.latency.answer_latency_seconds for key, s in summaries.items()}
    speed_ups = [
        f"{latency[READ_THEN_THINK, t].mean / latency[name, t].mean:.1f}x" for name, t in keys
    ]
    parts = [
        _heading(grid, rows[0][1].questions),
        table(NAMES, rows, (columns.ACCURACY, *WORK, columns.LATENCY_P95))
        .with_column("speed-up", speed_ups)
        .markdown(),
        table(DIFFERENCE_NAMES, differences, SIGNIFICANCE).markdown(),
        _tags(grid, methods, temperatures[0]).markdown(),
        _fairness(
            *(summaries[name, temperatures[0]].accuracy.mean for name in (READ_THEN_THINK, SFT))
        ),
    ]
    text = "\n\n".join(parts) + "\n"
    data = {
        "lines": [_plain_summary(*key, summary) for key, summary in summaries.items()],
        "differences": [
            _plain_difference(*key, difference)
            for key, (_, difference) in zip(variants, differences, strict=True)
        ],
    }
    write_text(grid.root / "table.md", text)
    write_text(grid.root / "table.json", json.dumps(data, indent=1) + "\n")
    return text


def write_tables(tables: Sequence[TableSection], grid: Grid, page: Path | None) -> str:
    """Write ``results.md`` beside the runs, and each table into its place in ``page``; return the Markdown."""
    suffix = "-parallel" if grid.parallel else ""
    texts = {section.name + suffix: _text(section, grid) for section in tables}
    whole = "\n\n".join(texts.values()) + "\n"
    write_text(grid.root / "results.md", whole)
    if page:
        for name, text in texts.items():
            put_between(page, name, text)
    return whole


def _text(section: TableSection, grid: Grid) -> str:
    test = section.test
    temperatures = grid.temperatures(section.reference, test)
    rows = _rows(grid, [(name, t) for t in temperatures for name in section.methods], test)
    pairs = [(name, other, t) for t in temperatures for name, other in section.compared]
    differences = _differences(grid, pairs, test)
    keys = [(name, t) for name in section.methods for t in temperatures]
    tables = [
        table(NAMES, rows, (columns.ACCURACY, columns.OF_EACH_SEED, *WORK)),
        table(
            DIFFERENCE_NAMES,
            differences,
            (*SIGNIFICANCE, columns.MORE_TOKENS_PERCENT, columns.MORE_LATENCY),
        ),
        *([_phases(grid, keys, test)] if section.phases else []),
        *([_tags(grid, section.methods, temperatures[0], test)] if section.tags else []),
        *([_held_out(grid, section.methods)] if section.held_out else []),
        *([_curves(grid, section.methods)] if section.curves else []),
    ]
    layout = ", parallel layout" if grid.parallel else ""
    return "\n\n".join(
        [
            f"**{section.title}{layout}**",
            *(each.markdown() for each in tables),
            _made(section, grid, rows[0][1].questions),
        ]
    )


def _rows(
    grid: Grid, keys: Sequence[tuple[str, float]], test: str = ""
) -> list[tuple[tuple[str, str], Summary]]:
    """A row for each method and temperature."""
    return [
        ((name, _setting(name, t).decoding), summarise_seeds(grid.outcomes(name, t, test)))
        for name, t in keys
    ]


def _differences(
    grid: Grid, pairs: Sequence[tuple[str, str, float]], test: str = ""
) -> list[tuple[tuple[str, str], PairedDifference]]:
    """A row for each method, reference and temperature."""
    rows = []
    for name, reference, temperature in pairs:
        first, second = (
            values_by_seed(grid.outcomes(each, temperature, test)) for each in (reference, name)
        )
        names = (f"{name} - {reference}", _setting(name, temperature).decoding)
        rows.append((names, PairedDifference(first, second)))
    return rows


def _setting(method: str, temperature: float) -> Setting:
    mode = Mode.READ_THEN_THINK if method == READ_THEN_THINK else Mode.STREAMING
    return Setting(mode, temperature)


def _tags(grid: Grid, methods: Sequence[str], temperature: float, test: str = "") -> Table:
    """Rows by the episodes' tags, at one temperature."""
    rows = []
    for method in methods:
        pooled = [x for seed in grid.outcomes(method, temperature, test) for x in seed]
        for tag in sorted({tag for outcome in pooled for tag in outcome.tags}):
            tagged = [outcome for outcome in pooled if tag in outcome.tags]
            rows.append(((method, tag), summarise_seeds([tagged])))
    return table(
        (f"method, {Setting(Mode.STREAMING, temperature).decoding}", "tag"),
        rows,
        (columns.ROLLOUTS, columns.ACCURACY_MEAN, *OF_TAGS),
    )


def _phases(grid: Grid, keys: Sequence[tuple[str, float]], test: str) -> Table:
    """How often the stream came to the trace's number, and the share of right answers then and otherwise."""
    rows = []
    for method, temperature in keys:
        pooled = [x for seed in grid.outcomes(method, temperature, test) for x in seed]
        traced = [outcome for outcome in pooled if outcome.stream_right is not None]
        if traced:  # else no thoughts
            stream = [bool(outcome.stream_right) for outcome in traced]
            good = [outcome.right for outcome in traced if outcome.stream_right]
            bad = [outcome.right for outcome in traced if not outcome.stream_right]
            shares = (f"{_mean(x):.3f}" if x else "-" for x in (stream, good, bad))
            rows.append((method, _setting(method, temperature).decoding, *shares))
    header = (*NAMES, "stream right", "answer right, if so", "answer right, if not")
    return Table(header, tuple(rows))


def _held_out(grid: Grid, methods: Sequence[str]) -> Table:
    """The best held-out accuracy of each run of RL while it was trained."""
    rows = []
    for method in methods:
        logs = [read_metrics(run) for run in grid.runs([method])]
        seeds = [[line[HELD_OUT] for line in log if HELD_OUT in line] for log in logs]
        if all(seeds):
            best = [max(accuracies) for accuracies in seeds]
            rows.append((method, f"{_mean(best):.3f}", " ".join(f"{x:.3f}" for x in best)))
    return Table(("while training", "best held-out accuracy, mean", "of each seed"), tuple(rows))


def _curves(grid: Grid, methods: Sequence[str]) -> Table:
    """Means over seeds and a fifth of the training steps each, of sampled rollouts on training episodes."""
    rows, steps = [], []
    for method in methods:
        logs = [read_metrics(run) for run in grid.runs([method])]
        logs = [[line for line in log if "accuracy" in line] for log in logs]
        if not all(logs):
            continue  # SFT and read-then-think
        last = int(max(line["step"] for log in logs for line in log))
        edges = [round(last * k / BINS) for k in range(BINS + 1)]
        steps = list(itertools.pairwise(edges))
        for label, key, form in CURVES:
            bins = [
                [x[key] for log in logs for x in log if a < x["step"] <= b and key in x]
                for a, b in steps
            ]
            if all(bins):
                rows.append((method, label, *(f"{_mean(values):{form}}" for values in bins)))
    header = ("while training", "mean", *(f"steps {a + 1} to {b}" for a, b in steps))
    return Table(header, tuple(rows))


def _heading(grid: Grid, questions: int) -> str:
    clock = load_streaming(grid.run(SFT, grid.seeds[0])).clock
    seeds = f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"
    return (
        f"{questions} unseen questions, {seeds}, 95 % intervals. Answer latency by the clock: "
        f"{clock.words_per_minute:g} words a minute, {1000 * clock.seconds_per_token:g} ms a written token, "
        f"{1000 * clock.prefill_seconds_per_token:g} ms a read token."
    )


def _fairness(baseline: float, sft: float) -> str:
    """Whether the answer latency of read-then-think is worth a comparison: at most 5 points below SFT."""
    if sft < CHANCE:
        return "At this size of run neither answers; the run only proves that all stages work."
    gap = 100 * (sft - baseline)
    verdict = "a fair baseline" if gap <= 5 else "too weak at this size to compare waits with"
    place = f"{abs(gap):.1f} points {'below' if gap >= 0 else 'above'} SFT"
    return f"Read-then-think, trained alike, is {place}: {verdict}."


def _made(section: TableSection, grid: Grid, questions: int) -> str:
    """What made the table."""
    logs = [read_metrics(run) for run in grid.runs(section.runs)]
    hours = sum(line.get("train_runtime", 0.0) / 3600 for log in logs for line in log)
    newest = max((run / RUN_FILE).stat().st_mtime for run in grid.runs(section.methods[-1:]))
    return (
        f"`{grid.command} --tables {section.name}`: {questions} questions, seeds {', '.join(map(str, grid.seeds))}, "
        f"95 % intervals; {hours:.1f} hours of training processes, one thread each; {platform.machine()}, "
        f"{os.cpu_count()} cores; {datetime.fromtimestamp(newest, UTC):%Y-%m-%d}."
    )


def _plain_summary(method: str, temperature: float, summary: Summary) -> dict[str, object]:
    names = ("streaming_tokens", "deep_tokens", "total_tokens", "skip_rate", "answered")
    latency = summary.latency.answer_latency_seconds
    return {
        "method": method,
        "temperature": temperature,
        "accuracy": asdict(summary.accuracy),
        **{name: vars(summary)[name] or 0.0 for name in names},
        "answer_latency_seconds": latency.mean,
        "answer_latency_p95": latency.p95,
    }


def _plain_difference(
    method: str, temperature: float, difference: PairedDifference
) -> dict[str, object]:
    test, points = difference.mcnemar, asdict(difference.points)
    counts = {"won": test.n01, "lost": test.n10, "p": test.p}
    return {"method": method, "temperature": temperature, "points": points, **counts}


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)
