"""Commands in processes of their own that find their libraries loaded: a kill hits work, not imports."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path

LOADED = (
    "torch._dynamo",
    "adasr_trl.training.sft",
    "adasr_trl.hrpo.trainer",
    "adasr_trl.evaluation.run",
    "support.forked_commands",
)
MAINS = {"adasr": "adasr_trl.cli.main", "data": "data_builders.__main__"}


def start(program: str, arguments: list[str], folder: Path, log: Path) -> BaseProcess:
    """Start a command in a folder; what it prints goes to ``log``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    process = context.Process(target=_run, args=(program, arguments, folder, log))
    process.start()
    return process


def _run(program: str, arguments: list[str], folder: Path, log: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(log.parent)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(written, descriptor)
    raise SystemExit(importlib.import_module(MAINS[program]).main(arguments))
