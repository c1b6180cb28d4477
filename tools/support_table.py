"""Writer of the table of combinations in docs/MODELS.md.

python -m tools.support_table docs/MODELS.md
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from adasr_trl.cli.support_matrix import Combination, Sharding, Weights, decide
from adasr_trl.core.files import put_between

PLACE = "combinations"


def every_row() -> list[tuple[str, str, str, Weights]]:
    """The table's rows: command, engine, layout, weights. What holds for hrpo holds for grpo, which shares its code."""
    trained = [("sft", "hf"), ("hrpo", "hf"), ("hrpo", "vllm")]
    rows = [
        (*pair, layout, weights)
        for pair, layout in itertools.product(trained, ("interleaved", "parallel"))
        for weights in (Weights.FULL, Weights.LORA, Weights.QLORA)
    ]
    evaluated = [
        ("eval", "hf", layout, weights)
        for layout, weights in itertools.product(("interleaved", "parallel"), Weights)
    ]
    return [*rows, ("sft", "hf", "interleaved", Weights.BARE), *evaluated]


def table() -> str:
    """The table in Markdown, with its reasons below it."""
    notes: dict[str, int] = {}
    lines = [
        "| command | engine | layout | weights | " + " | ".join(s.value for s in Sharding) + " |",
        "|---" * (4 + len(Sharding)) + "|",
    ]
    for command, engine, layout, weights in every_row():
        cells = []
        for sharding in Sharding:
            verdict = decide(Combination(command, weights, sharding, layout, engine))
            number = notes.setdefault(verdict.reason, len(notes) + 1) if verdict.reason else None
            cells.append(f"{verdict.status.value}{f' ({number})' if number else ''}")
        name = "hrpo, grpo" if command == "hrpo" else command
        lines.append(f"| {name} | {engine} | {layout} | {weights.value} | {' | '.join(cells)} |")
    reasons = [f"{number}. {reason}" for reason, number in notes.items()]
    return "\n".join([*lines, "", *reasons])


if __name__ == "__main__":
    put_between(Path(sys.argv[1]), PLACE, table())
