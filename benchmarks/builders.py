"""How fast the builders are, each as a whole process.

    python -m benchmarks.builders      # about a minute on one core

``ledger`` generates episodes with exact traces; ``gsm8k`` reads rows (made here, in the data set's format), splits them
into sentences and aligns their calculator steps.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import parts

COUNT = 4000
QUESTION = (
    "Lena bakes {a} rolls in the morning. She gives {b} rolls to her neighbour. Then she bakes {c} more rolls. "
    "How many rolls does Lena have now?"
)
ANSWER = (
    "After the gift Lena has {a}-{b}=<<{a}-{b}={d}>>{d} rolls.\n"
    "With the new ones she has {d}+{c}=<<{d}+{c}={e}>>{e} rolls.\n#### {e}"
)


def rows() -> str:
    """JSON lines in GSM8K's format."""
    lines = []
    for n in range(COUNT):
        a, b, c = 12 + n % 50, 1 + n % 11, 2 + n // 50
        numbers = {"a": a, "b": b, "c": c, "d": a - b, "e": a - b + c}
        row = {"question": QUESTION.format(**numbers), "answer": ANSWER.format(**numbers)}
        lines.append(json.dumps(row))
    return "\n".join(lines) + "\n"


def cpu_seconds(arguments: Sequence[str]) -> float:
    """Of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "data_builders", *arguments], check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(_arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.jsonl"
        source.write_text(rows(), encoding="utf-8")
        for name, options in (
            ("ledger", ["--train-count", str(COUNT - 500)]),
            ("gsm8k", ["--input", str(source)]),
        ):
            out = ["--out", str(Path(folder) / name)]
            seconds = sorted(cpu_seconds([name, *options, *out]) for _ in range(parts.REPEATS))
            spread = f"{seconds[len(seconds) // 2]:.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})"
            lines.append([name, COUNT, spread, f"{COUNT / seconds[len(seconds) // 2]:.0f}"])
    print(parts.table(("builder", "episodes", "CPU s", "episodes a second"), lines))


if __name__ == "__main__":
    main()
