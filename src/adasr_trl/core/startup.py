"""Start of a command line: a line before slow imports, and no meaningless warnings of other libraries.

    >>> begin("adasr hrpo")      # before anything imports torch
    >>> import torch
    adasr hrpo: loading PyTorch and its libraries

``MEANINGLESS`` is the list of the warnings that are dropped. Every other warning passes.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

logger = logging.getLogger(__name__)

# A slow import takes a second or more; the first one of a command is announced.
SLOW_IMPORTS = {
    "torch": "PyTorch and its libraries",
    "transformers": "PyTorch and its libraries",
    "datasets": "Hugging Face datasets",
}

# Loggers, and the start of a message that means nothing to our users.
MEANINGLESS = (
    # An optional faster kernel. Weights in 4 bits compute the same without it.
    ("bitsandbytes.backends.cpu.ops", r"Failed to load CPU gemm_4bit_forward"),
    # Tied to the embeddings, so it is in no file.
    ("transformers.trainer", r"There were missing keys .*: \['lm_head\.weight'\]\.$"),
    # No GPU is a choice here, and doctor names the device.
    ("DeepSpeed", r"Setting accelerator to CPU"),
)
# TRL sets arguments by names that transformers renames.
RENAMED = r"`(is_)?gradient_checkpointing` is deprecated"

PARENT = "ADASR_PARENT"  # environment variable: the process that a stage of a grid must not outlive
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def end_with_parent() -> None:
    """Have this process ended when the one named in ``PARENT`` dies, killed or not; on Linux alone."""
    parent = os.environ.pop(PARENT, None)  # children of ours shall not take it for theirs
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it has died before
        os.kill(os.getpid(), signal.SIGTERM)


def is_first_process() -> bool:
    """Whether this process speaks for a launcher's others."""
    return os.environ.get("RANK", "0") == "0"


def begin(command: str) -> None:
    """Drop the meaningless warnings, and announce the command's first slow import on standard error."""
    for name, message in MEANINGLESS:
        logging.getLogger(name).addFilter(_Drop(message))
    warnings.filterwarnings("ignore", RENAMED, FutureWarning)
    # Bars of loading and uploading would frame a log's lines and errors.
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Rust prints its warning of a fork itself. Texts are tokenised one by one, so no speed is lost.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    others = [finder for finder in sys.meta_path if not isinstance(finder, _Announcement)]
    imported = "torch" in sys.modules
    sys.meta_path[:] = others if imported else [_Announcement(command), *others]


class _Drop(logging.Filter):
    """Drops records whose message begins so. Equal ones are one filter, so ``begin`` may be called again."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self._message = re.compile(message, re.DOTALL)

    def filter(self, record: logging.LogRecord) -> bool:
        return self._message.match(record.getMessage()) is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Drop) and self._message == other._message

    def __hash__(self) -> int:
        return hash(self._message)


class _Announcement(MetaPathFinder):
    """Finds no module; says once that a slow one is being imported."""

    def __init__(self, command: str) -> None:
        self._command = command

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname in SLOW_IMPORTS:
            sys.meta_path.remove(self)
            logger.info("%s: loading %s", self._command, SLOW_IMPORTS[fullname])
        return None
