"""The page of a suite as Markdown.

>>> print(markdown_of(suite, findings))

Numbers alone: nothing of a question or a rollout is in it. Everything that it leaves out is in the JSON beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adasr_trl.config.eval_section import POOLED, ClockSection
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.clocks import PacedClock, rates
from adasr_trl.evaluation.plan import Suite
from adasr_trl.evaluation.settings import Condition
from adasr_trl.evaluation.summary import PairedDifference, QuestionValues, Summary
from adasr_trl.evaluation.tables import table

Pairs = Mapping[tuple[Condition, Condition], PairedDifference]
FEW_PAIRS = 10  # more are shown against the reference alone
NAMES = ("run", "mode", "decoding")
SKIPS = (columns.SKIP_RATE, columns.SKIP_PRECISION, columns.SKIP_RECALL)
LAGGING = (columns.LAGGING_WORDS, columns.ADAPTIVE_LAGGING_WORDS)
SECONDS = (
    *(columns.BACKLOG, columns.FIRST, columns.FIRST_P95, columns.LATENCY),
    *(columns.LATENCY_P95, columns.OVERLAP, columns.LAGGING, columns.ADAPTIVE_LAGGING),
)
DIFFERENCES = (
    *(columns.POINTS, columns.WON_LOST, columns.P_VALUE, columns.MORE_TOKENS_MEAN),
    columns.MORE_LATENCY,
)


@dataclass(frozen=True)
class Findings:
    """The numbers of a suite."""

    # By set of questions; the last one is all of them together, if there are several.
    summaries: Mapping[str, Mapping[Condition, Summary]]
    pairs: Mapping[str, Pairs]  # differences of any two rows, by set of questions
    clocks: Mapping[str, Mapping[str, PacedClock]]  # by run


def pairs_of(values: Mapping[Condition, QuestionValues], resamples: int) -> Pairs:
    """The second row minus the first, for any two rows at one temperature, in order of the table."""
    return {
        (first, second): PairedDifference(values[first], values[second], resamples)
        for first, second in itertools.combinations(values, 2)
        if first.setting.temperature == second.setting.temperature
    }


def shown_pairs(suite: Suite, pairs: Pairs) -> Pairs:
    """All pairs if they are few, else those with the reference run in its first mode."""
    if len(pairs) <= FEW_PAIRS:
        return pairs
    name = suite.config.reference or suite.runs[0]
    of_reference = [condition for condition in suite.conditions if condition.run == name]
    mode = of_reference[0].setting.mode_words
    references = {condition for condition in of_reference if condition.setting.mode_words == mode}
    shown = {}
    for (first, second), difference in pairs.items():
        if first in references and second not in references:
            shown[first, second] = difference
        elif second in references and first not in references:
            shown[second, first] = difference.turned
    return shown


def markdown_of(suite: Suite, findings: Findings) -> str:
    """The whole page."""
    parts = ["# Evaluation", _opening(suite, findings)]
    for test, summaries in findings.summaries.items():
        count = next(iter(summaries.values())).questions
        name = "All questions" if test == POOLED else f"Questions `{test}`"
        parts += [f"## {name} ({count})", _tokens(summaries)]
        for clock in suite.config.named_clocks:
            rows = [
                (condition.names, summary.by(clock)) for condition, summary in summaries.items()
            ]
            shown = (columns.DISCARDED, *SECONDS) if _speculates(summaries) else SECONDS
            parts += [f"By the clock `{clock}`:", table(NAMES, rows, shown).markdown()]
        if pairs := shown_pairs(suite, findings.pairs[test]):
            parts.append(_differences(pairs))
    return "\n\n".join(parts) + "\n"


def _speculates(conditions: Iterable[Condition]) -> bool:
    return any(condition.setting.mode is Mode.SPECULATIVE for condition in conditions)


def _opening(suite: Suite, findings: Findings) -> str:
    lines = [
        "Unseen questions, 95 % intervals. Tokens, skips and seconds are means over all rollouts, wrong and unfinished ones "
        "included. Latencies count from the last chunk's arrival; lagging is AL and LAAL.",
        "",
    ]
    for name, section in suite.config.named_clocks.items():
        of_runs = {run: clocks[name] for run, clocks in findings.clocks.items()}
        lines.append(f"- Clock `{name}`: {_clock(section, of_runs)}.")
    return "\n".join(lines)


def _clock(section: ClockSection, of_runs: Mapping[str, PacedClock]) -> str:
    clock = next(iter(of_runs.values())).clock
    speed = f"{clock.words_per_minute:g} words a minute"
    arrivals = {
        "auto": f"arrivals as recorded, else {speed}",
        "words": speed,
        "recorded": "arrivals as recorded",
    }
    measured = [f"{run} as measured: {rates(paced.clock)}" for run, paced in of_runs.items()]
    return ", ".join(
        [
            arrivals[section.arrivals],
            *([f"jitter {section.jitter:g} (seed {section.seed})"] if section.jitter else []),
            *([f"in bursts of {section.burst}"] if section.burst > 1 else []),
            *(measured if section.device == "measured" else [rates(clock)]),
        ]
    )


def _tokens(summaries: Mapping[Condition, Summary]) -> str:
    ks = sorted({k for summary in summaries.values() for k in summary.pass_at if k > 1})
    shares = (columns.ACCURACY, *(columns.pass_at(k) for k in ks))
    rows = [(condition.names, summary) for condition, summary in summaries.items()]
    shown = (*shares, *columns.TOKENS, *SKIPS, columns.ANSWERED, *LAGGING)
    return table(NAMES, rows, shown).markdown()


def _differences(pairs: Pairs) -> str:
    rows = []
    for (first, second), difference in pairs.items():
        (*of_first, decoding), (*of_second, _) = first.names, second.names
        names = (f"{', '.join(of_second)} - {', '.join(of_first)}", decoding)
        rows.append((names, difference))
    return table(("difference", "decoding"), rows, DIFFERENCES).markdown()
