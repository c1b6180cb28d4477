"""Runs a script of this folder in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


def launch_script(
    script: str,
    *arguments: object,
    launcher: Sequence[object] = (),
    timeout: float = 300,
    **environment: str,
) -> None:
    """Run tests/support/SCRIPT.py behind ``launcher``; its last lines of error are those of the failing test."""
    paths = (ROOT / "tests", ROOT, ROOT / "src")
    own = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # DeepSpeed looks for ninja
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    file = ROOT / "tests" / "support" / f"{script}.py"
    done = subprocess.run(
        [sys.executable, *map(str, (*launcher, file, *arguments))],
        env=os.environ | own | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
