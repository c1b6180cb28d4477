"""Numbers of a report: the outcomes of each method, and each method against the reference on the same questions.

    >>> outcomes = load(methods)
    >>> differences_of(methods, outcomes, "sft")

Seeds are pooled with questions within seeds (``intervals.clustered_bootstrap``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adasr_trl.core.errors import UserError
from adasr_trl.evaluation.records import load_outcomes
from adasr_trl.evaluation.summary import PairedDifference, Runs, values_by_seed
from adasr_trl.report.gathering import Method, seed_pairs

RESAMPLES = 2_000


def load(methods: Sequence[Method]) -> dict[str, Runs]:
    """The outcomes of every method by name."""
    return {
        method.name: [
            load_outcomes(method.records(seed), method.setting) for seed in range(len(method.runs))
        ]
        for method in methods
    }


def reference_of(outcomes: Mapping[str, Runs], wanted: str | None) -> str:
    """The method that others are compared with: as asked, else SFT, else the first.

    Raises:
        UserError: There is no such method.
    """
    if wanted is not None and wanted not in outcomes:
        raise UserError(f"--reference: got {wanted!r}; expected one of {', '.join(outcomes)}.")
    return wanted or ("sft" if "sft" in outcomes else next(iter(outcomes)))


def differences_of(
    methods: Sequence[Method], outcomes: Mapping[str, Runs], reference: str
) -> dict[str, PairedDifference]:
    """Every other method minus the reference, over the seeds that both have."""
    (base,) = [method for method in methods if method.name == reference]
    differences = {}
    for method in methods:
        if method is base:
            continue
        pairs = seed_pairs(method, base)
        first = values_by_seed([outcomes[base.name][seed] for _, seed in pairs])
        second = values_by_seed([outcomes[method.name][seed] for seed, _ in pairs])
        differences[method.name] = PairedDifference(first, second, RESAMPLES)
    return differences
