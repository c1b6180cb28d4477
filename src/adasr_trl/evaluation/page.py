"""The table of a suite as Markdown.

>>> print(markdown_of(suite, findings))

Numbers alone: nothing of a question or a rollout is in it. Everything that it leaves out is in the JSON beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.config.eval_section import POOLED, ClockSection
from adasr_trl.evaluation.clocks import Ticking
from adasr_trl.evaluation.pairs import Difference
from adasr_trl.evaluation.suite import Row, Suite
from adasr_trl.evaluation.summary import Figures
from adasr_trl.evaluation.tables import markdown

FEW_PAIRS = 10  # more are shown against the reference alone


@dataclass(frozen=True)
class Findings:
    """Everything that was found.

    Attributes:
        figures: Of each line, for each set of questions; the last one is all of them together, if there are several.
        differences: Of any two lines, for the same sets.
        clocks: The clocks of each run.
    """

    figures: Mapping[str, Mapping[Row, Figures]]
    differences: Mapping[str, Sequence[Difference]]
    clocks: Mapping[str, Mapping[str, Ticking]]


def markdown_of(suite: Suite, findings: Findings) -> str:
    """The page."""
    parts = ["# Evaluation", _opening(suite, findings)]
    for test, figures in findings.figures.items():
        count = next(iter(figures.values())).questions
        name = "All questions" if test == POOLED else f"Questions `{test}`"
        parts += [f"## {name} ({count})", _tokens(figures)]
        for clock in suite.config.named_clocks:
            parts += [f"By the clock `{clock}`, in seconds:", _waits(figures, clock)]
        shown = shown_pairs(suite, findings.differences[test])
        if shown:
            parts.append(_differences(shown))
    return "\n\n".join(parts) + "\n"


def shown_pairs(suite: Suite, differences: Sequence[Difference]) -> Sequence[Difference]:
    """All pairs if they are few, else those with the reference run in its first mode."""
    if len(differences) <= FEW_PAIRS:
        return differences
    name = suite.config.reference or suite.runs[0]
    rows = [row for row in suite.rows if row.run == name]
    first = (rows[0].setting.mode, rows[0].setting.layout)
    chosen = {row for row in rows if (row.setting.mode, row.setting.layout) == first}
    against = [each.second if each.first in chosen else each.first for each in differences]
    return [
        each if each.first in chosen else each.turned
        for each, other in zip(differences, against, strict=True)
        if other not in chosen and chosen & {each.first, each.second}
    ]


def _opening(suite: Suite, findings: Findings) -> str:
    lines = [
        "Unseen questions, 95 % intervals. Tokens, skips and seconds are means over all rollouts, wrong and unfinished ones "
        "included. Waits count from the last chunk's arrival; lagging is AL and LAAL.",
        "",
    ]
    for name, section in suite.config.named_clocks.items():
        of_runs = {run: clocks[name] for run, clocks in findings.clocks.items()}
        lines.append(f"- Clock `{name}`: {_clock(section, of_runs)}.")
    return "\n".join(lines)


def _clock(section: ClockSection, of_runs: Mapping[str, Ticking]) -> str:
    first = next(iter(of_runs.values()))
    words = [_arrivals(section, first)]
    if section.jitter:
        words.append(f"jitter {section.jitter:g} (seed {section.seed})")
    if section.burst > 1:
        words.append(f"in bursts of {section.burst}")
    if section.device == "measured":
        words += [f"{run} as measured: {_rates(each)}" for run, each in of_runs.items()]
    else:
        words.append(_rates(first))
    return ", ".join(words)


def _arrivals(section: ClockSection, ticking: Ticking) -> str:
    speed = f"{ticking.clock.words_per_minute:g} words a minute"
    return {
        "auto": f"arrivals as recorded, else {speed}",
        "words": speed,
        "recorded": "arrivals as recorded",
    }[section.arrivals]


def _rates(ticking: Ticking) -> str:
    clock = ticking.clock
    read = f", {1000 * clock.seconds_per_read:.3g} ms a read" if clock.seconds_per_read else ""
    return (
        f"{1000 * clock.seconds_per_token:.3g} ms a written token, "
        f"{1000 * clock.prefill_seconds_per_token:.3g} ms a read token{read}"
    )


def _tokens(figures: Mapping[Row, Figures]) -> str:
    ks = sorted({k for each in figures.values() for k in each.pass_at if k > 1})
    rows = [
        [
            *_names(row),
            f"{each.accuracy:.3f}",
            *(_number(each.pass_at.get(k), 3) for k in ks),
            f"{each.streaming_tokens:.1f}",
            f"{each.deep_tokens:.1f}",
            f"{each.total_tokens:.1f}",
            _number(each.skip_rate),
            _number(each.skip_precision),
            _number(each.skip_recall),
            f"{each.answered:.3f}",
            _number(each.lagging_words, 1),
            _number(each.adaptive_lagging_words, 1),
        ]
        for row, each in figures.items()
    ]
    header = (
        "run", "mode", "decoding", "accuracy", *(f"pass@{k}" for k in ks), "streaming tokens", "deep tokens",
        "total tokens", "skip rate", "skip precision", "skip recall", "answered", "AL words", "LAAL words",
    )  # fmt: skip
    return markdown(header, rows)


def _waits(figures: Mapping[Row, Figures], clock: str) -> str:
    rows = []
    for row, each in figures.items():
        by = each.clocks[clock]
        rows.append(
            [
                *_names(row),
                f"{by.backlog_seconds:.2f}",
                f"{by.first_seconds.median:.2f}",
                f"{by.first_seconds.p95:.2f}",
                f"{by.answer_seconds.median:.2f}",
                f"{by.answer_seconds.p95:.2f}",
                f"{by.overlap:.2f}",
                _number(by.lagging_seconds),
                _number(by.adaptive_lagging_seconds),
            ]
        )
    header = (
        "run", "mode", "decoding", "backlog", "first answer token, median", "95th percentile", "answer, median",
        "95th percentile", "overlap", "AL", "LAAL",
    )  # fmt: skip
    return markdown(header, rows)


def _differences(differences: Sequence[Difference]) -> str:
    rows = [
        [
            f"{each.second.run}, {each.second.how} - {each.first.run}, {each.first.how}",
            each.first.decoding,
            f"{each.points:+.1f}",
            f"{each.mcnemar.n01} / {each.mcnemar.n10}",
            f"{each.mcnemar.p:.2g}",
            f"{each.tokens:+.1f}",
            f"{each.seconds:+.2f}",
        ]
        for each in differences
    ]
    header = (
        "difference", "decoding", "accuracy, points", "won / lost", "McNemar p", "tokens", "wait for the answer, s",
    )  # fmt: skip
    return markdown(header, rows)


def _names(row: Row) -> list[str]:
    return [row.run, row.how, row.decoding]


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
