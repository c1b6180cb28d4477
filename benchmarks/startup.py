"""How long commands take to start: seconds of whole processes.

    python -m benchmarks.startup       # about 2 minutes on one core

Light commands must not pay for torch; what a training command pays before it begins is the import of TRL's trainers.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import parts

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import adasr_trl": ["-c", "import adasr_trl"],
    "adasr --help": ["-m", "adasr_trl", "--help"],
    "python -m data_builders --help": ["-m", "data_builders", "--help"],
    "a configuration refused": ["-m", "adasr_trl", "hrpo", "--config", "no-such-file.yaml"],
    "from trl import GRPOTrainer": ["-c", "from trl import GRPOTrainer"],
    "from adasr_trl import HRPOTrainer": ["-c", "from adasr_trl import HRPOTrainer"],
}


def seconds_of(arguments: Sequence[str]) -> float:
    """Of one process, by the wall."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return time.perf_counter() - started


def main(_arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    lines = []
    for name, arguments in COMMANDS.items():
        seconds_of(arguments)  # files come into memory
        found = sorted(seconds_of(arguments) for _ in range(parts.REPEATS))
        lines.append([f"`{name}`", f"{statistics.median(found):.2f}", f"{found[0]:.2f}"])
    print(parts.table(("process", "median, s", "fastest, s"), lines))


if __name__ == "__main__":
    main()
