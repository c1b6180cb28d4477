"""Paired differences of one method between two comparisons, such as two layouts, over the same questions and seeds.

    python benchmarks/compare_runs.py runs/tiny runs/tiny-parallel --methods sft,hrpo --seeds 3

Recomputed from the records of the evaluations; 95 % intervals of questions within seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from adasr_trl.artifacts.names import EVAL_FOLDER
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.records import load_outcomes
from adasr_trl.evaluation.settings import Setting
from adasr_trl.evaluation.summary import PairedDifference, QuestionValues, values_by_seed
from adasr_trl.evaluation.tables import MORE_LATENCY, MORE_TOKENS, POINTS, table


def values(folder: Path, method: str, seeds: int, setting: Setting) -> QuestionValues:
    """The values of every seed, in the order of the questions."""
    runs = [folder / f"seed-{seed}" / method / EVAL_FOLDER for seed in range(seeds)]
    return values_by_seed([load_outcomes(run, setting) for run in runs])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--methods", default="sft,hrpo")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    rows = []
    for method in options.methods.split(","):
        for setting in (Setting(Mode.STREAMING, 0.0), Setting(Mode.STREAMING, 1.0)):
            first, second = (
                values(folder, method, options.seeds, setting)
                for folder in (options.first, options.second)
            )
            rows.append(((method, setting.decoding), PairedDifference(first, second)))
    names = (f"{options.second.name} - {options.first.name}", "decoding")
    print(table(names, rows, (POINTS, MORE_TOKENS, MORE_LATENCY)).markdown())


if __name__ == "__main__":
    main()
