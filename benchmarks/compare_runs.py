"""Paired differences of one method between two comparisons, such as two layouts, over the same questions and seeds.

    python benchmarks/compare_runs.py runs/tiny runs/tiny-parallel --methods sft,hrpo --seeds 3

Recomputed from the records of the evaluations. Intervals: 95 %, questions within seeds (``metrics.clustered_bootstrap``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.outcome import Outcome, clustered_bootstrap
from adasr_trl.evaluation.records import Setting, load_outcomes

MEASURES: dict[str, Callable[[Outcome], float]] = {
    "accuracy, points": lambda one: 100.0 * one.right,
    "total tokens": lambda one: float(one.total_tokens),
    "latency, s": lambda one: one.answer_latency_seconds,
}


def outcomes(folder: Path, method: str, seeds: int, temperature: float) -> list[list[Outcome]]:
    """Of every seed, in the order of the questions."""
    setting = Setting(Mode.STREAMING, temperature)
    return [
        load_outcomes(folder / f"seed-{seed}" / method / "eval", setting) for seed in range(seeds)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--methods", default="sft,hrpo")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    print(f"| {options.second.name} - {options.first.name} | decoding | {' | '.join(MEASURES)} |")
    print("|---|---|" + "---|" * len(MEASURES))
    for method in options.methods.split(","):
        for temperature, name in ((0.0, "greedy"), (1.0, "sampled, T = 1")):
            both = [
                outcomes(folder, method, options.seeds, temperature)
                for folder in (options.first, options.second)
            ]
            cells = []
            for measure in MEASURES.values():
                pairs = [
                    [measure(b) - measure(a) for a, b in zip(*seed, strict=True)]
                    for seed in zip(*both, strict=True)
                ]
                found = clustered_bootstrap(pairs)
                cells.append(f"{found:+.2f}")
            print(f"| {method} | {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
