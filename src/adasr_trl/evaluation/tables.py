"""The table of a comparison, recomputed from the records of its evaluations; no model is loaded.

    >>> print(write_tables({"sft": [Path("runs/tiny/seed-0/sft")], "hrpo": [...]}, Path("runs/tiny")))

Columns are the paper's (accuracy, tokens, latency) with what it leaves out: the interval of each accuracy, greedy and
sampled apart, and paired differences to SFT over the same questions. Seeds are pooled with questions within seeds.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adasr_trl.artifacts.names import EVAL_FOLDER
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.clock import Clock
from adasr_trl.core.files import write_text
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.outcome import (
    Interval,
    Outcome,
    clustered_bootstrap,
    mcnemar,
    summarise,
    wilson_interval,
)
from adasr_trl.evaluation.records import Setting, load_outcomes, recorded_settings

BASELINE = "read-then-think"
REFERENCE = "sft"
GREEDY = 0.0

Seeds = Sequence[Sequence[Outcome]]  # the outcomes of each seed, in the same order of questions


@dataclass(frozen=True)
class Line:
    """One method at one temperature."""

    method: str
    temperature: float
    accuracy: Interval
    streaming_tokens: float
    deep_tokens: float
    total_tokens: float
    skip_rate: float
    answered: float
    answer_latency_seconds: float
    latency_p95: float


@dataclass(frozen=True)
class Difference:
    """A method against the reference on the same questions, in percentage points."""

    method: str
    temperature: float
    points: Interval
    won: int
    lost: int
    p: float


def write_tables(runs: Mapping[str, Sequence[Path]], folder: Path) -> str:
    """Write ``table.md`` and ``table.json`` into ``folder``; return the Markdown."""
    recorded = recorded_settings(runs[REFERENCE][0] / EVAL_FOLDER)
    temperatures = [
        each.temperature for each in recorded if each.layout is None and each.mode is Mode.STREAMING
    ]
    outcomes = {
        (method, temperature): [_outcomes(run, method, temperature) for run in seeds]
        for method, seeds in runs.items()
        for temperature in temperatures
    }
    lines = [_line(*key, seeds) for key, seeds in outcomes.items()]
    differences = [
        _difference(method, temperature, seeds, outcomes[REFERENCE, temperature])
        for (method, temperature), seeds in outcomes.items()
        if method not in (REFERENCE, BASELINE)
    ]
    first = outcomes[REFERENCE, temperatures[0]]
    clock = load_streaming(runs[REFERENCE][0]).clock
    text = "\n\n".join(
        [
            _heading(len(first[0]), len(first), clock),
            _method_table(lines),
            _difference_table(differences),
            tag_table(outcomes, temperatures[0]),
            _fairness(outcomes, temperatures[0]),
        ]
    )
    write_text(folder / "table.md", text + "\n")
    data = {
        "lines": [asdict(each) for each in lines],
        "differences": [asdict(d) for d in differences],
    }
    write_text(folder / "table.json", json.dumps(data, indent=1) + "\n")
    return text + "\n"


def _outcomes(run: Path, method: str, temperature: float) -> list[Outcome]:
    mode = Mode.READ_THEN_THINK if method == BASELINE else Mode.STREAMING
    return load_outcomes(run / EVAL_FOLDER, Setting(mode, temperature))


def _line(method: str, temperature: float, seeds: Seeds) -> Line:
    summary = summarise([each for outcomes in seeds for each in outcomes])
    return Line(
        method=method,
        temperature=temperature,
        accuracy=accuracy_of(seeds),
        streaming_tokens=summary.streaming_tokens,
        deep_tokens=summary.deep_tokens,
        total_tokens=summary.total_tokens,
        skip_rate=summary.skip_rate,
        answered=summary.answered,
        answer_latency_seconds=summary.answer_latency_seconds,
        latency_p95=summary.latency_p95,
    )


def accuracy_of(seeds: Seeds) -> Interval:
    """Wilson's interval for one seed, else a bootstrap of questions within seeds."""
    if len(seeds) > 1:
        return clustered_bootstrap([[float(each.right) for each in one] for one in seeds])
    right, n = sum(each.right for each in seeds[0]), len(seeds[0])
    return Interval(right / n, *wilson_interval(right, n))


def _difference(method: str, temperature: float, seeds: Seeds, reference: Seeds) -> Difference:
    pairs = [list(zip(a, b, strict=True)) for a, b in zip(reference, seeds, strict=True)]
    gains = [[float(b.right) - float(a.right) for a, b in one] for one in pairs]
    interval = clustered_bootstrap(gains)
    flat = [pair for one in pairs for pair in one]
    test = mcnemar([a.right for a, _ in flat], [b.right for _, b in flat])
    points = Interval(*(100 * value for value in (interval.mean, interval.low, interval.high)))
    return Difference(method, temperature, points, test.n01, test.n10, test.p)


def _heading(questions: int, seeds: int, clock: Clock) -> str:
    return (
        f"{questions} unseen questions, {seeds} seed{'s' if seeds > 1 else ''}, 95 % intervals. Latency by the "
        f"clock: {clock.words_per_minute:g} words a minute, {1000 * clock.seconds_per_token:g} ms a written token, "
        f"{1000 * clock.prefill_seconds_per_token:g} ms a read token."
    )


def _method_table(lines: Sequence[Line]) -> str:
    baseline = {
        line.temperature: line.answer_latency_seconds for line in lines if line.method == BASELINE
    }
    rows = []
    for line in lines:
        rows.append(
            [
                line.method,
                decoding(line.temperature),
                f"{line.accuracy:.3f}",
                f"{line.streaming_tokens:.1f}",
                f"{line.deep_tokens:.1f}",
                f"{line.total_tokens:.1f}",
                f"{line.skip_rate:.2f}",
                f"{line.answered:.3f}",
                f"{line.answer_latency_seconds:.2f}",
                f"{line.latency_p95:.2f}",
                f"{baseline[line.temperature] / line.answer_latency_seconds:.1f}x",
            ]
        )
    header = (
        "method", "decoding", "accuracy", "streaming tokens", "deep tokens", "total tokens", "skip rate",
        "answered", "latency s", "95th percentile", "speed-up",
    )  # fmt: skip
    return markdown(header, rows)


def _difference_table(differences: Sequence[Difference]) -> str:
    rows = [
        [
            f"{each.method} - {REFERENCE}",
            decoding(each.temperature),
            f"{each.points:+.1f}",
            f"{each.won} / {each.lost}",
            f"{each.p:.2g}",
        ]
        for each in differences
    ]
    return markdown(("difference", "decoding", "accuracy, points", "won / lost", "McNemar p"), rows)


def tag_table(outcomes: Mapping[tuple[str, float], Seeds], chosen: float) -> str:
    """Accuracy, tokens and latency by the episodes' tags, at one temperature."""
    rows = []
    for (method, temperature), seeds in outcomes.items():
        if temperature != chosen:
            continue
        pooled = [each for one in seeds for each in one]
        for tag in sorted({tag for each in pooled for tag in each.tags}):
            tagged = [each for each in pooled if tag in each.tags]
            rows.append(
                [
                    method,
                    tag,
                    str(len(tagged)),
                    f"{_mean(tagged, lambda each: each.right):.3f}",
                    f"{_mean(tagged, lambda each: each.streaming_tokens):.1f}",
                    f"{_mean(tagged, lambda each: each.deep_tokens):.1f}",
                    f"{_mean(tagged, lambda each: each.answer_latency_seconds):.2f}",
                ]
            )
    header = (
        f"method, {decoding(chosen)}",
        "tag",
        "n",
        "accuracy",
        "streaming tokens",
        "deep tokens",
        "latency s",
    )
    return markdown(header, rows)


def _fairness(outcomes: Mapping[tuple[str, float], Seeds], chosen: float) -> str:
    """Whether read-then-think is a baseline worth beating: at most 5 points below SFT."""
    accuracy = {
        method: _mean([e for one in outcomes[method, chosen] for e in one], lambda each: each.right)
        for method in (BASELINE, REFERENCE)
    }
    gap = 100 * (accuracy[REFERENCE] - accuracy[BASELINE])
    verdict = "a fair baseline" if gap <= 5 else "NOT a fair baseline: more than 5 points below"
    return f"Read-then-think (its own SFT, same weights, episodes and steps) is {gap:+.1f} points below SFT: {verdict}."


def _mean(outcomes: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
    return statistics.fmean(value(each) for each in outcomes)


def decoding(temperature: float) -> str:
    """How a table calls a temperature."""
    return "greedy" if temperature == GREEDY else f"sampled, T = {temperature:g}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
