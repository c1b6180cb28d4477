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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from adasr_trl.artifacts.names import RUN_FILE, eval_folder
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import parts_around, put_between, write_text
from adasr_trl.core.json_numbers import plain_numbers
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.clocks import PacedClock, rates
from adasr_trl.evaluation.outcome import Judge
from adasr_trl.evaluation.records import load_outcomes, questions_digest
from adasr_trl.evaluation.settings import Setting, decoding, recorded_settings
from adasr_trl.evaluation.summary import (
    PairedDifference,
    Runs,
    Summary,
    summarise_seeds,
    values_by_seed,
)
from adasr_trl.evaluation.tables import Table, table
from adasr_trl.report.gathering import read_metrics

READ_THEN_THINK, SFT, ZERO_SHOT = "read-then-think", "sft", "zero-shot"
# Baselines, which read all of the input first: the run, and the mode that it is measured in.
BASELINES = {
    ZERO_SHOT: (ZERO_SHOT, Mode.ZERO_SHOT),  # the pretrained model itself, one for all seeds
    READ_THEN_THINK: (READ_THEN_THINK, Mode.READ_THEN_THINK),
    "speculative": (READ_THEN_THINK, Mode.SPECULATIVE),
    "prefill-only": ("prefill-only", Mode.PREFILL_ONLY),
}

NAMES, DIFFERENCE = ("method", "decoding"), ("difference", "decoding")
WORK = (*columns.TOKENS, columns.SKIP_RATE, columns.ANSWERED)
OF_TAGS = (
    *(columns.ROLLOUTS, columns.ACCURACY_MEAN, columns.STREAMING_TOKENS, columns.DEEP_TOKENS),
    columns.LATENCY,
)
SIGNIFICANCE = (columns.POINTS, columns.WON_LOST, columns.P_VALUE)
CHANCE = 0.15  # accuracy below which a model has not learnt to answer
BINS = 5  # of a curve
HELD_OUT = "eval_rewards/accuracy_global/mean"
CURVES = (
    ("accuracy", "accuracy", ".3f"),
    ("streaming tokens", "streaming/tokens", ".1f"),
    ("deep tokens", "deep/tokens", ".1f"),
    ("GRPO against streaming", "credit/flat_against_streaming", ".2f"),
    ("GRPO against deep", "credit/flat_against_deep", ".2f"),
)


@dataclass(frozen=True)
class TableSection:
    """One table of an ablation, as its configuration describes it."""

    name: str  # its place in a page, and in ``--tables``
    title: str  # its heading
    methods: tuple[str, ...]  # run names, in the order of the rows
    reference: str = "grpo"  # the run that the others are compared with
    against: dict[str, str] = field(default_factory=dict)  # other references, by name of the run
    test: str = ""  # name of its test file; "" for the configuration's own
    phases: bool = False  # whether shares of right streams and answers follow
    tags: bool = False  # whether rows by the episodes' tags follow
    # Whether each run's best sampled accuracy on held-out training episodes follows, which chooses
    # among settings without a test question.
    held_out: bool = False
    curves: bool = False  # whether means over training steps follow

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


def run_and_mode(method: str, own_modes: Mapping[str, Mode]) -> tuple[str, Mode]:
    """The run that a method is measured on, and the mode; ``own_modes`` are those of further SFT runs."""
    return BASELINES.get(method, (method, own_modes.get(method, Mode.STREAMING)))


@dataclass(frozen=True)
class Grid:
    """Runs of several methods and seeds, and the command that made them."""

    root: Path  # folder of the seeds
    seeds: tuple[int, ...]
    command: str = ""  # the command, for the tables' footers
    parallel: bool = False  # whether its runs were taught the parallel layout
    pretrained: str = ""  # directory or Hub id of the model below SFT, where zero-shot is measured
    modes: Mapping[str, Mode] = field(default_factory=dict)  # of further SFT runs, by name
    # Outcomes read so far, by method, temperature and test.
    cache: dict[tuple[str, float, str], Runs] = field(default_factory=dict, repr=False)
    # By test, a folder that was read, and the digest of its questions.
    asked: dict[str, tuple[Path, str]] = field(default_factory=dict, repr=False)

    def run(self, method: str, seed: int) -> Path:
        """Directory of the run that a method is measured on; of zero-shot, that of the pretrained model's records."""
        run, _ = run_and_mode(method, self.modes)
        if method == ZERO_SHOT:
            return self.root / run / Path(self.pretrained).name
        return self.root / f"seed-{seed}" / run

    def runs(self, methods: Sequence[str]) -> list[Path]:
        """The directories of all seeds of the methods."""
        return [self.run(method, seed) for method in methods for seed in self.seeds]

    def temperatures(self, method: str, test: str = "") -> list[float]:
        """The temperatures that a method's first seed was evaluated at; a UserError where there are none."""
        folder = self.run(method, self.seeds[0]) / eval_folder(test)
        _, mode = run_and_mode(method, self.modes)
        settings = [s for s in recorded_settings(folder) if s.mode is mode]
        temperatures = [s.temperature for s in settings if s.is_as_trained]
        if not temperatures:
            raise UserError(f"{folder}: no records; run the grid first, without --tables-only.")
        return temperatures

    def outcomes(self, method: str, temperature: float, test: str = "") -> Runs:
        """The outcomes of each seed, read once; a UserError where they are of other questions than those read before."""
        key = (method, temperature, test)
        if key not in self.cache:
            _, mode = run_and_mode(method, self.modes)
            folders = [run / eval_folder(test) for run in self.runs([method])]
            judge = self._judge() if method == ZERO_SHOT else None
            setting = Setting(mode, temperature)
            self.cache[key] = [load_outcomes(folder, setting, judge) for folder in folders]
            self._refuse_other_questions(folders, test)
        return self.cache[key]

    def _judge(self) -> Judge:
        """By the clock of the SFT runs, since a pretrained model has none of its own."""
        return Judge([PacedClock(load_streaming(self.run(SFT, self.seeds[0])).clock)])

    def _refuse_other_questions(self, folders: Sequence[Path], test: str) -> None:
        for folder in folders:
            digest = questions_digest(folder)
            first, known = self.asked.setdefault(test, (folder, digest))
            if digest != known:
                raise UserError(
                    f"{folder}: answered other questions than {first}; tables compare question by question. Run the grid "
                    f"without --tables-only: it evaluates again what differs."
                )

    def summary(self, method: str, temperature: float, test: str = "") -> Summary:
        """The seeds of a method, pooled."""
        return summarise_seeds(self.outcomes(method, temperature, test))

    def difference(
        self, method: str, reference: str, temperature: float, test: str = ""
    ) -> PairedDifference:
        """A method minus its reference."""
        first = values_by_seed(self.outcomes(reference, temperature, test))
        return PairedDifference(first, values_by_seed(self.outcomes(method, temperature, test)))


def write_comparison(grid: Grid, methods: Sequence[str]) -> str:
    """Write ``table.md`` and ``table.json`` beside the runs; return the Markdown."""
    temperatures = grid.temperatures(SFT)
    keys = [(name, t) for name in methods for t in temperatures]
    summaries = {key: grid.summary(*key) for key in keys}
    variants = [(name, t) for name, t in keys if name not in (SFT, READ_THEN_THINK)]
    differences = {(name, t): grid.difference(name, SFT, t) for name, t in variants}
    latency = {key: s.latency.answer_latency_seconds.mean for key, s in summaries.items()}
    speed_ups = [_times(latency[READ_THEN_THINK, t], latency[name, t]) for name, t in keys]
    rows = [((name, decoding(t)), s) for (name, t), s in summaries.items()]
    compared = [((f"{name} - {SFT}", decoding(t)), d) for (name, t), d in differences.items()]
    seconds = (*columns.latencies(summaries.values()), columns.LATENCY_P95)
    results = table(NAMES, rows, (columns.ACCURACY, *WORK, *seconds))
    baseline, sft = (summaries[x, temperatures[0]].accuracy.mean for x in (READ_THEN_THINK, SFT))
    parts = [
        _heading(grid, rows[0][1].questions),
        results.with_column("speed-up", speed_ups).markdown(),
        table(DIFFERENCE, compared, SIGNIFICANCE).markdown(),
        _tags(grid, methods, temperatures[0]).markdown(),
        _fairness(baseline, sft),
    ]
    text = "\n\n".join(parts) + "\n"
    data = {
        "lines": [_plain_summary(*key, summary) for key, summary in summaries.items()],
        "differences": [_plain_difference(*key, d) for key, d in differences.items()],
    }
    write_text(grid.root / "table.md", text)
    write_text(grid.root / "table.json", json.dumps(plain_numbers(data), indent=1) + "\n")
    return text


def _times(baseline: float, seconds: float) -> str:
    return f"{baseline / seconds:.1f}x" if seconds else "-"


def check_page(tables: Sequence[TableSection], grid: Grid, page: Path) -> None:
    """Refuse a page that lacks a place of a table (UserError), before hours of training."""
    for section in tables:
        parts_around(page, _place(section, grid))


def _place(section: TableSection, grid: Grid) -> str:
    return section.name + ("-parallel" if grid.parallel else "")


def write_tables(tables: Sequence[TableSection], grid: Grid, page: Path | None) -> str:
    """Write ``results.md`` beside the runs, and each table into its place in ``page``; return the Markdown."""
    texts = {_place(section, grid): _text(section, grid) for section in tables}
    whole = "\n\n".join(texts.values()) + "\n"
    write_text(grid.root / "results.md", whole)
    if page:
        for name, text in texts.items():
            put_between(page, name, text)
    return whole


def _text(section: TableSection, grid: Grid) -> str:
    methods, test = section.methods, section.test
    temperatures = grid.temperatures(section.reference, test)
    rows = [((x, decoding(t)), grid.summary(x, t, test)) for t in temperatures for x in methods]
    differences = [
        ((f"{name} - {other}", decoding(t)), grid.difference(name, other, t, test))
        for t in temperatures
        for name, other in section.compared
    ]
    seconds = columns.latencies(summary for _, summary in rows)
    more = (columns.MORE_TOKENS_PERCENT, columns.MORE_LATENCY)
    tables = [
        table(NAMES, rows, (columns.ACCURACY, columns.OF_EACH_SEED, *WORK, *seconds)),
        *([table(DIFFERENCE, differences, (*SIGNIFICANCE, *more))] if differences else []),
        *([_phases(grid, methods, temperatures, test)] if section.phases else []),
        *([_tags(grid, methods, temperatures[0], test)] if section.tags else []),
        *([_held_out(grid, methods)] if section.held_out else []),
        *([_curves(grid, methods)] if section.curves else []),
    ]
    title = f"**{section.title}{', parallel layout' if grid.parallel else ''}**"
    footer = _made(section, grid, rows[0][1].questions)
    return "\n\n".join([title, *(shown.markdown() for shown in tables), footer])


def _tags(grid: Grid, methods: Sequence[str], temperature: float, test: str = "") -> Table:
    """Rows by the episodes' tags, at one temperature."""
    rows = []
    for method in methods:
        pooled = [x for seed in grid.outcomes(method, temperature, test) for x in seed]
        for tag in sorted({tag for outcome in pooled for tag in outcome.tags}):
            tagged = [outcome for outcome in pooled if tag in outcome.tags]
            rows.append(((method, tag), summarise_seeds([tagged])))
    return table((f"method, {decoding(temperature)}", "tag"), rows, OF_TAGS)


def _phases(grid: Grid, methods: Sequence[str], temperatures: Sequence[float], test: str) -> Table:
    """Share of streams that came to the trace's number, and of right answers then and otherwise."""
    rows = []
    for method, temperature in itertools.product(methods, temperatures):
        pooled = [x for seed in grid.outcomes(method, temperature, test) for x in seed]
        traced = [(x.stream_right, x.right) for x in pooled if x.stream_right is not None]
        if traced:  # else no thoughts
            after_right = [right for stream, right in traced if stream]
            after_wrong = [right for stream, right in traced if not stream]
            stream_right = [stream for stream, _ in traced]
            shares = (stream_right, after_right, after_wrong)
            cells = (f"{statistics.fmean(x):.3f}" if x else "-" for x in shares)
            rows.append((method, decoding(temperature), *cells))
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
            rows.append(
                (method, f"{statistics.fmean(best):.3f}", " ".join(f"{x:.3f}" for x in best))
            )
    return Table(("while training", "best held-out accuracy, mean", "of each seed"), tuple(rows))


def _curves(grid: Grid, methods: Sequence[str]) -> Table:
    """Means over seeds and a fifth of the longest training's steps each, of sampled rollouts on training episodes."""
    logs = {method: [read_metrics(run) for run in grid.runs([method])] for method in methods}
    lines = {
        method: [line for log in seeds for line in log if "accuracy" in line]
        for method, seeds in logs.items()
    }
    last = int(max((line["step"] for own in lines.values() for line in own), default=0))
    bins = min(BINS, last)
    steps = (
        list(itertools.pairwise(round(last * k / bins) for k in range(bins + 1))) if bins else []
    )
    rows = []
    for (method, own), (label, key, form) in itertools.product(lines.items(), CURVES):
        values = [[x[key] for x in own if a < x["step"] <= b and key in x] for a, b in steps]
        if any(values):  # else SFT and read-then-think
            cells = (f"{statistics.fmean(x):{form}}" if x else "-" for x in values)
            rows.append((method, label, *cells))
    spans = (f"steps {a + 1} to {b}" if b > a + 1 else f"step {b}" for a, b in steps)
    return Table(("while training", "mean", *spans), tuple(rows))


def _heading(grid: Grid, questions: int) -> str:
    clock = load_streaming(grid.run(SFT, grid.seeds[0])).clock
    seeds = f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"
    return (
        f"{questions} unseen questions, {seeds}, 95 % intervals. Answer latency by the clock: "
        f"{clock.words_per_minute:g} words a minute, {rates(clock)}."
    )


def _fairness(baseline: float, sft: float) -> str:
    """Whether the answer latency of read-then-think is worth a comparison: at most 5 points below SFT."""
    if sft < CHANCE:
        return "At this size of run neither answers; the run only proves that all stages work."
    gap = 100 * (sft - baseline)
    verdict = (
        "a fair baseline" if gap <= 5 else "too weak at this size to compare answer latencies with"
    )
    distance = f"{abs(gap):.1f} points {'below' if gap >= 0 else 'above'} SFT"
    return f"Read-then-think, trained alike, is {distance}: {verdict}."


def _made(section: TableSection, grid: Grid, questions: int) -> str:
    """Command, runs and machine of the table."""
    logs = [read_metrics(run) for run in grid.runs(section.runs)]
    hours = sum(line.get("train_runtime", 0.0) / 3600 for log in logs for line in log)
    records = [run / eval_folder(section.test) for run in grid.runs(section.methods[-1:])]
    newest = max((folder / RUN_FILE).stat().st_mtime for folder in records)
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
        **{name: vars(summary)[name] for name in names},
        "answer_latency_seconds": latency.mean,
        "answer_latency_p95": latency.p95,
    }


def _plain_difference(
    method: str, temperature: float, difference: PairedDifference
) -> dict[str, object]:
    test, points = difference.mcnemar, asdict(difference.points)
    counts = {"won": test.n01, "lost": test.n10, "p": difference.p_value}
    return {"method": method, "temperature": temperature, "points": points, **counts}
