"""A run directory: who it belongs to, whether it is complete, and which checkpoint to resume from.

    >>> state = take(Path("runs/tiny/sft"), identity, Existing.RESUME)
    >>> if state is State.COMPLETE: ...

``run.json`` holds the run's identity (command, resolved config, digests of its inputs) and whether it finished. A
checkpoint counts only once its completion mark was written behind everything else, so one that a kill cut short is
never resumed from.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import IO

from adasr_trl.artifacts.names import CHECKPOINT_MARK, LOCK_FILE, RUN_FILE
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text

_LOCKS: dict[Path, IO[str]] = {}  # runs that this process is working on


class RunDirectoryError(UserError):
    """A run directory that may not be written to."""


class Existing(Enum):
    """What to do with a directory that holds something already."""

    REFUSE = "refuse"
    RESUME = "resume"
    REFRESH = "refresh"
    OVERWRITE = "overwrite"


class State(Enum):
    """What was found: nothing (start), a run to continue, or a finished one."""

    FRESH = "fresh"
    STARTED = "started"
    COMPLETE = "complete"


def look(path: Path, identity: Mapping[str, object], existing: Existing) -> State:
    """What ``take`` would find at ``path``; nothing is written.

    Raises:
        RunDirectoryError: It holds files of something else, or of a run that ``existing`` does not let us touch.
    """
    files = list(path.iterdir()) if path.exists() else []
    if existing is Existing.OVERWRITE or not any(file.name != LOCK_FILE for file in files):
        return State.FRESH
    found = _read(path)
    if found is None:
        raise RunDirectoryError(
            f"{path}: not empty, and no {RUN_FILE} says that it is a run; choose another output_dir, or "
            f"--overwrite to move it aside."
        )
    changed = _difference(found["identity"], dict(identity))
    if changed and existing is Existing.REFRESH:
        return State.FRESH
    if changed:
        raise RunDirectoryError(
            f"{path}: holds another run ({changed} differs); choose another output_dir, or --overwrite to move "
            f"it aside."
        )
    if existing is Existing.REFUSE:
        raise RunDirectoryError(
            f"{path}: holds this run already; --resume to go on, or --overwrite to move it aside."
        )
    return State.COMPLETE if found["complete"] else State.STARTED


def take(path: Path, identity: Mapping[str, object], existing: Existing) -> State:
    """Take ``path`` for the run of this identity; what must make room is moved to ``<name>.previous``."""
    state = look(path, identity, existing)
    if state is not State.COMPLETE:
        _lock(path)
    if state is State.FRESH:
        if any(file.name != LOCK_FILE for file in path.iterdir()):
            _unlock(path)
            _set_aside(path)
            _lock(path)
        _write(path, identity, complete=False)
    return state


def reopen(path: Path) -> None:
    """Take a complete run again, to add to it."""
    _lock(path)
    _write(path, identity_of(path), complete=False)


def finish(path: Path) -> None:
    """Note that the run is complete."""
    found = _read(path)
    if found is None:
        raise RunDirectoryError(f"{path}: no {RUN_FILE}; was it moved while the run was going on?")
    _write(path, found["identity"], complete=True)
    _unlock(path)


def is_complete(path: Path) -> bool:
    """Whether ``path`` holds a run that finished."""
    found = _read(path)
    return found is not None and bool(found["complete"])


def read_identity(path: Path) -> dict[str, object]:
    """What ``take`` was given for the run at ``path``; empty where there is none."""
    found = _read(path)
    return found["identity"] if found else {}


def identity_of(path: Path) -> dict[str, object]:
    """What ``take`` was given for the run at ``path``; a RunDirectoryError where there is none."""
    found = _read(path)
    if found is None:
        raise RunDirectoryError(f"{path}: no {RUN_FILE}; it is not a run of adasr.")
    return found["identity"]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_digest(path: str | Path) -> str:
    """What identifies an input: a run by its identity, a file by its bytes, else (a Hub id) its name."""
    path = Path(path)
    if (path / RUN_FILE).is_file():
        return file_digest(path / RUN_FILE)
    return file_digest(path) if path.is_file() else str(path)


def mark_checkpoint(folder: Path) -> None:
    """Note that a checkpoint is whole: the names and sizes of all its files."""
    os.sync()
    write_text(folder / CHECKPOINT_MARK, json.dumps(_sizes(folder)))


def latest_checkpoint(path: Path) -> Path | None:
    """The newest whole checkpoint of a run; those that were cut short, while written or deleted, are removed."""
    whole: dict[int, Path] = {}
    for folder in path.glob("checkpoint-*"):
        if is_whole(folder):
            whole[int(folder.name.rpartition("-")[2])] = folder
        elif folder.is_dir():
            shutil.rmtree(folder)
    return whole[max(whole)] if whole else None


def is_whole(folder: Path) -> bool:
    """Whether every file that the completion mark names is there in its size."""
    mark = folder / CHECKPOINT_MARK
    if not mark.is_file():
        return False
    present = _sizes(folder)
    sizes: dict[str, int] = json.loads(mark.read_text(encoding="utf-8"))
    return all(present.get(name) == size for name, size in sizes.items())


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != CHECKPOINT_MARK)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _lock(path: Path) -> None:
    """Hold ``path`` for this process's life, so that no second one writes to it."""
    if path in _LOCKS:
        return
    path.mkdir(parents=True, exist_ok=True)
    lock = (path / LOCK_FILE).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise RunDirectoryError(
            f"{path}: another process is working on this run; wait for it or stop it."
        ) from None
    _LOCKS[path] = lock


def _unlock(path: Path) -> None:
    if path in _LOCKS:
        _LOCKS.pop(path).close()


def _set_aside(path: Path) -> None:
    """Move a directory to ``<name>.previous``, replacing what stands there."""
    previous = path.with_name(path.name + ".previous")
    if previous.exists():
        shutil.rmtree(previous)
    path.rename(previous)


def _difference(old: Mapping[str, object], new: Mapping[str, object], prefix: str = "") -> str:
    """The dotted name of the first entry that differs, or nothing."""
    new = json.loads(json.dumps(new))
    for key in sorted(set(old) | set(new)):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if inner := _difference(a, b, f"{prefix}{key}."):
                return inner
        elif a != b:
            return f"{prefix}{key}"
    return ""


def _read(path: Path) -> dict[str, dict[str, object]] | None:
    file = path / RUN_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _write(path: Path, identity: Mapping[str, object], *, complete: bool) -> None:
    record = {"identity": identity, "complete": complete}
    write_text(path / RUN_FILE, json.dumps(record, indent=1, sort_keys=True) + "\n")
