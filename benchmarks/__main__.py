"""Makes the tables of docs/PERFORMANCE.md anew.

    python -m benchmarks               # all of them, one after the other: some hours on one core
    python -m benchmarks rollout step  # these
    python -m benchmarks --list

A table stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->``, with the machine and date it was made on.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from adasr_trl.core.files import put_between

NAMES = (
    "rollout",
    "growth",
    "step",
    "shared_prefix",
    "sft",
    "muon",
    "memory",
    "builders",
    "startup",
)
PAGE = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"


def processor() -> str:
    """The processor's name, as Linux gives it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.*)", info.read_text()) if info.exists() else None
    return found.group(1) if found else platform.processor() or "unknown processor"


def made() -> str:
    """The machine, the releases and the date of a table."""
    releases = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    return f"{processor()}, {os.cpu_count()} cores, one thread; {releases}; {datetime.now(UTC):%Y-%m-%d}"


def tables(name: str) -> str:
    """What a benchmark prints, from its first table on."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line or line.startswith("|")]
    return "\n".join(lines).strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run benchmarks; the page is written after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--list", action="store_true", help="print the names")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"got {', '.join(sorted(unknown))}; expected names of {', '.join(NAMES)}")
    if options.list:
        print("\n".join(NAMES))
        return
    for name in options.names or NAMES:
        print(f"{name} ...", flush=True)
        table = tables(name)
        print(table, flush=True)
        put_between(PAGE, name, f"{table}\n\n{made()}")


if __name__ == "__main__":
    main()
