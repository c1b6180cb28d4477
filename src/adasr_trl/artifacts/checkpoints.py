"""Checkpoints of a run: which are whole, which is the newest, and the order in which they are deleted.

    >>> latest_checkpoint(Path("runs/tiny/sft"))
    PosixPath('runs/tiny/sft/checkpoint-300')

A checkpoint's completion mark is written last, so no run resumes from one that a kill or a copy cut short.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path

from adasr_trl.artifacts.names import CHECKPOINT_MARK
from adasr_trl.core.files import read_object, write_text

logger = logging.getLogger(__name__)

_APART = 2.0  # seconds between two times; below 1 transformers takes them for made up


def mark_checkpoint(folder: Path) -> None:
    """Note that a checkpoint is whole: the names and sizes of all its files."""
    os.sync()
    write_text(folder / CHECKPOINT_MARK, json.dumps(_sizes(folder)))


def by_step(path: Path) -> dict[int, Path]:
    """The checkpoints of a run by their step, whole or not; a folder with other words in its name is the user's."""
    found = {
        folder.name.removeprefix("checkpoint-"): folder for folder in path.glob("checkpoint-*")
    }
    numbered = {n: folder for n, folder in found.items() if n.isdecimal() and folder.is_dir()}
    return {int(n): numbered[n] for n in sorted(numbered, key=int)}


def latest_checkpoint(path: Path) -> Path | None:
    """The newest whole checkpoint of a run; others, cut short while written, copied or deleted, are removed."""
    found = by_step(path)
    whole = [folder for folder in found.values() if is_whole(folder)]
    for folder in found.values():
        if folder not in whole:
            logger.warning("%s: lacks files, so it is removed and its steps are made again", folder)
            shutil.rmtree(folder)
    return whole[-1] if whole else None


def keep_in_order(path: Path, step: int) -> None:
    """Give the checkpoints times in the order of their steps, where a copy or a clock set back gave others.

    transformers deletes the oldest ones by their times: a new one would go, were earlier ones from the future. Those
    behind ``step`` are of an abandoned training, and the oldest.
    """
    found = by_step(path)
    in_order = [found[n] for n in sorted(found, key=lambda n: (n <= step, n))]
    times = [folder.stat().st_mtime for folder in in_order]
    now = time.time()
    if times != sorted(times) or times[-1:] > [now]:
        for age, folder in enumerate(reversed(in_order), start=1):
            os.utime(folder, (now - age * _APART, now - age * _APART))


def is_whole(folder: Path) -> bool:
    """Whether every file of the completion mark is there in its size."""
    mark = folder / CHECKPOINT_MARK
    if not mark.is_file():
        return False
    present = _sizes(folder)
    sizes = read_object(mark, f"remove {folder} to go on from the checkpoint before it")
    return bool(sizes) and all(present.get(name) == size for name, size in sizes.items())


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != CHECKPOINT_MARK)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
