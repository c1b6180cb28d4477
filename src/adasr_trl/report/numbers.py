"""The numbers of a report: one line a method, and each method against the reference on the same questions.

    >>> outcomes = load(methods)
    >>> lines_of(outcomes), differences_of(methods, outcomes, "sft")

Seeds are pooled with questions within seeds (``metrics.clustered_bootstrap``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.core.errors import UserError
from adasr_trl.evaluation.outcome import (
    Interval,
    McNemar,
    Outcome,
    Summary,
    clustered_bootstrap,
    mcnemar,
    outcome,
    summarise,
)
from adasr_trl.evaluation.tables import accuracy_of
from adasr_trl.report.gathering import Method, seed_pairs
from adasr_trl.report.records import clock_of

Seeds = Sequence[Sequence[Outcome]]


@dataclass(frozen=True)
class Line:
    """One method.

    Attributes:
        name: Its name.
        seeds: How many runs it has.
        accuracy: With its 95 % interval over questions and seeds.
        summary: Means over all outcomes.
    """

    name: str
    seeds: int
    accuracy: Interval
    summary: Summary


@dataclass(frozen=True)
class Difference:
    """A method less the reference, question by question.

    Attributes:
        name: The method.
        points: Of accuracy, in percentage points.
        tokens: All tokens written.
        latency: Seconds of waiting.
        test: On which questions only one of them was right.
    """

    name: str
    points: Interval
    tokens: Interval
    latency: Interval
    test: McNemar


def load(methods: Sequence[Method]) -> dict[str, Seeds]:
    """The outcomes of every method by name."""
    return {
        method.name: [_judged(method, n) for n in range(len(method.runs))] for method in methods
    }


def _judged(method: Method, seed: int) -> list[Outcome]:
    clock = clock_of(method.runs[seed])
    return [outcome(rollout, episode, clock) for rollout, episode in method.rollouts(seed)]


def reference_of(outcomes: Mapping[str, Seeds], wanted: str | None) -> str:
    """The method that others are compared with: as asked, else SFT, else the first.

    Raises:
        UserError: There is no such method.
    """
    if wanted is not None and wanted not in outcomes:
        raise UserError(f"--reference: got {wanted!r}; expected one of {', '.join(outcomes)}.")
    return wanted or ("sft" if "sft" in outcomes else next(iter(outcomes)))


def lines_of(outcomes: Mapping[str, Seeds]) -> list[Line]:
    """One line a method."""
    return [
        Line(name, len(seeds), accuracy_of(seeds), summarise(each for one in seeds for each in one))
        for name, seeds in outcomes.items()
    ]


def differences_of(
    methods: Sequence[Method], outcomes: Mapping[str, Seeds], reference: str
) -> list[Difference]:
    """Every other method against the reference, over the seeds that both have."""
    (base,) = [method for method in methods if method.name == reference]
    return [_difference(method, base, outcomes) for method in methods if method is not base]


def _difference(method: Method, base: Method, outcomes: Mapping[str, Seeds]) -> Difference:
    pairs = [
        list(zip(outcomes[base.name][b], outcomes[method.name][a], strict=True))
        for a, b in seed_pairs(method, base)
    ]

    def gained(value: str, unit: float) -> Interval:
        gains = [
            [unit * (float(vars(b)[value]) - float(vars(a)[value])) for a, b in one]
            for one in pairs
        ]
        return clustered_bootstrap(gains, resamples=2_000)

    flat = [pair for one in pairs for pair in one]
    return Difference(
        name=method.name,
        points=gained("right", 100.0),
        tokens=gained("total_tokens", 1.0),
        latency=gained("answer_latency_seconds", 1.0),
        test=mcnemar([a.right for a, _ in flat], [b.right for _, b in flat]),
    )
