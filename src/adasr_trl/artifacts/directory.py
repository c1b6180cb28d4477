"""A run directory: its owner and its state.

    >>> state = take(Path("runs/tiny/sft"), identity, Existing.RESUME)
    >>> if state is State.COMPLETE: ...

``run.json`` holds the run's identity (command, resolved configuration, digests of its inputs) and whether it finished.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import IO, Any

from adasr_trl.artifacts.checkpoints import is_whole
from adasr_trl.artifacts.digests import InputDigest, as_recorded, input_digest
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    LOCK_FILE,
    MODEL_CONFIG,
    ORIGIN_FILE,
    PREVIOUS,
    RUN_FILE,
    STREAMING_FILE,
)
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import is_partial, make_folder, read_object, write_text
from adasr_trl.core.json_numbers import plain_numbers

_LOCKS: dict[Path, IO[str]] = {}  # runs that this process is working on


class RunDirectoryError(UserError):
    """A run directory that may not be written to."""


class Existing(Enum):
    """Treatment of a directory that holds something."""

    REFUSE = "refuse"
    RESUME = "resume"
    REFRESH = "refresh"
    OVERWRITE = "overwrite"
    RESUME_DATA = "resume-data"


RUNS_NAMED = 6  # runs of a comparison that an error names
_RESUMES = (Existing.RESUME, Existing.RESUME_DATA)
_DATA = ("train", "config.data.")  # names of what a run was trained on
_STEPS = ("config.max_steps", "config.num_train_epochs")
MEMORY_KEYS = ("streaming.decode_batch", "streaming.max_cache_gib")  # they change no rollout
# Last words of entries that name a file or folder.
_PLACES = ("output_dir", "path", "train", "test")
_MEMORY = tuple(f"config.{key}" for key in MEMORY_KEYS)


class State(Enum):
    """State of a directory: nothing to continue, a run to continue, or a finished one."""

    FRESH = "fresh"
    STARTED = "started"
    COMPLETE = "complete"


def look(path: Path, identity: Mapping[str, object], existing: Existing) -> State:
    """State that ``take`` would find; nothing is written.

    Raises:
        RunDirectoryError: The directory holds other files, or a run that ``existing`` forbids to touch.
    """
    if existing is Existing.OVERWRITE or not _holds_something(path):
        return State.FRESH
    record = _read(path)
    if record is None:
        raise RunDirectoryError(
            f"{path}: not empty, and no run ({RUN_FILE} is missing); choose another output_dir, or --overwrite to move it "
            f"aside."
        )
    changed = _changed(record["identity"], identity, existing)
    if changed and existing is Existing.REFRESH:
        return State.FRESH
    if _trains_on(changed, record["identity"], identity) and existing in _RESUMES:
        return State.STARTED
    if changed:
        raise RunDirectoryError(
            f"{path}: holds another run ({changed[0]} differs{_hint(changed)}); choose another output_dir, or --overwrite to "
            f"move it aside."
        )
    if existing is Existing.REFUSE:
        raise RunDirectoryError(
            f"{path}: holds this run; --resume to go on, or --overwrite to move it aside."
        )
    return State.COMPLETE if record["complete"] else State.STARTED


def take(path: Path, identity: Mapping[str, object], existing: Existing) -> State:
    """Take ``path`` for the run of this identity; other files move to ``<name>.previous``."""
    state = look(path, identity, existing)
    if state is not State.COMPLETE:
        _lock(path)
        state = _look_again(path, identity, existing)
    if state is State.FRESH and _holds_something(path):
        _refuse_in_use(path)
        _unlock(path)
        _set_aside(path)
        _lock(path)
    if state is not State.COMPLETE:
        write_record(path, identity, complete=False)
    return state


def _look_again(path: Path, identity: Mapping[str, object], existing: Existing) -> State:
    """The state under the lock, which another process may have held until it had finished the run."""
    state = State.COMPLETE
    try:
        state = look(path, identity, existing)
    finally:
        if state is State.COMPLETE:  # or refused
            _unlock(path)
    return state


def reopen(path: Path) -> None:
    """Take a complete run again, to add to it."""
    _lock(path)
    write_record(path, identity_of(path), complete=False)


def finish(path: Path) -> None:
    """Note that the run is complete."""
    write_record(path, identity_of(path), complete=True)
    _unlock(path)


def write_record(path: Path, identity: Mapping[str, object], *, complete: bool = True) -> None:
    """Note that ``path`` holds a run of this identity, whatever stood there."""
    record = {"identity": plain_numbers(dict(identity)), "complete": complete}
    text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False)
    write_text(path / RUN_FILE, text + "\n")


def is_done(path: Path, identity: Mapping[str, object], existing: Existing) -> bool:
    """Whether ``look`` finds the run complete, for a process beside the one that takes the directory meanwhile."""
    record = _read(path)
    if existing is Existing.OVERWRITE or record is None or not record["complete"]:
        return False
    return not _changed(record["identity"], identity, existing)


def is_loadable(path: Path) -> bool:
    """Whether ``path`` holds a model with its protocol: a finished run, a whole checkpoint, or one saved from Python."""
    if (path / RUN_FILE).is_file():
        return is_complete(path)
    is_cut_short = path.name.startswith("checkpoint-") and not is_whole(path)
    has_protocol = (path / STREAMING_FILE).is_file() and not holds_records_alone(path)
    return has_protocol and not is_cut_short


def holds_records_alone(path: Path) -> bool:
    """Whether ``path`` is the folder of a pretrained model's records, whose weights lie elsewhere."""
    has_model = any((path / name).is_file() for name in (MODEL_CONFIG, ADAPTER_CONFIG, RUN_FILE))
    return not has_model and all((path / f).is_file() for f in (STREAMING_FILE, ORIGIN_FILE))


def why_no_run(path: Path) -> str:
    """The reason that ``path`` cannot be loaded as a run, in words: it may be the folder of a comparison."""
    runs = sorted(str(file.parent) for file in path.glob(f"seed-*/*/{RUN_FILE}"))
    if runs:
        return f"{path} is a comparison; its runs: {', '.join(runs[:RUNS_NAMED])}"
    return f"{path} is not a finished run of adasr sft, grpo or hrpo, nor a whole checkpoint"


def is_complete(path: Path) -> bool:
    """Whether ``path`` holds a run that finished."""
    record = _read(path)
    return record is not None and bool(record["complete"])


def read_identity(path: Path) -> dict[str, object]:
    """Identity of the run at ``path``, as given to ``take``; empty where there is no run."""
    record = _read(path)
    return record["identity"] if record else {}


def identity_of(path: Path) -> dict[str, object]:
    """Identity of the run at ``path``; a RunDirectoryError where there is no run."""
    identity = read_identity(path)
    if not identity:
        raise RunDirectoryError(f"{path}: no {RUN_FILE}; it is not a run of adasr.")
    return identity


def evaluates(folder: Path, run: Path) -> bool:
    """Whether the records in ``folder`` are of the run that is at ``run`` now."""
    recorded = identity_of(folder)
    return as_recorded({"run": input_digest(run)}, recorded)["run"] == recorded.get("run")


def _holds_something(path: Path) -> bool:
    """Whether a directory holds more than a kill in its first moments leaves."""
    files = path.iterdir() if path.exists() else ()
    return any(file.name != LOCK_FILE and not is_partial(file) for file in files)


def _lock(path: Path) -> None:
    """Hold ``path`` against other processes, for this one's life; a killed one's temporary files go."""
    if path in _LOCKS:
        return
    make_folder(path)
    lock = (path / LOCK_FILE).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise RunDirectoryError(
            f"{path}: another process is working on this run; wait for it or stop it."
        ) from None
    _LOCKS[path] = lock
    for file in filter(is_partial, path.iterdir()):
        file.unlink(missing_ok=True)


def _unlock(path: Path) -> None:
    if path in _LOCKS:
        _LOCKS.pop(path).close()


def _refuse_in_use(path: Path) -> None:
    """Refuse to move a run away from under another process that evaluates it."""
    for lock in path.glob(f"*/{LOCK_FILE}"):
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                _unlock(path)
                raise RunDirectoryError(
                    f"{lock.parent}: another process is working on these records of the run that would be moved aside; wait for "
                    f"it or stop it."
                ) from None


def _set_aside(path: Path) -> None:
    """Move a directory to ``<name>.previous``, replacing what stands there; a link leads to a new one at its place."""
    folder = path.resolve()
    previous = folder.with_name(folder.name + PREVIOUS)
    if previous.is_symlink():
        previous.unlink()
    elif previous.exists():
        shutil.rmtree(previous)
    folder.rename(previous)
    folder.mkdir()


def _differences(
    old: Mapping[str, object], new: Mapping[str, object], prefix: str = ""
) -> list[str]:
    """The dotted names of all entries that differ; a path spelled otherwise does not."""
    new = json.loads(json.dumps(plain_numbers(as_recorded(new, old))))
    names = []
    for key in sorted(set(old) | set(new)):
        a, b = old.get(key), new.get(key)
        if (parts := _parts(a)) and (others := _parts(b)):
            names += _differences(parts, others, f"{prefix}{key}.")
        elif a != b and not (key in _PLACES and _is_same_place(a, b)):
            names.append(f"{prefix}{key}")
    return names


def _parts(value: object) -> dict[str, object] | None:
    """The entries of a mapping, or of a list of mappings by their number."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return {str(n): item for n, item in enumerate(value)}
    return value if isinstance(value, dict) else None


def _is_same_place(a: object, b: object) -> bool:
    is_text = isinstance(a, str) and isinstance(b, str) and bool(a and b)
    return is_text and Path(str(a)).resolve() == Path(str(b)).resolve()


def _changed(
    recorded: Mapping[str, object], identity: Mapping[str, object], existing: Existing
) -> list[str]:
    """Names of what differs, but for memory, for what was moved, and for the data where they may."""
    found = _differences(recorded, dict(identity))
    changed = [n for n in found if n not in _MEMORY and not _is_moved(n, found, recorded, identity)]
    if existing is Existing.RESUME_DATA:
        return [name for name in changed if not name.startswith(_DATA)]
    return changed


def _is_moved(name: str, found: list[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an entry is another place of equal content, or of the record itself."""
    if name == "config.output_dir":  # a checkpoint names the best one by its place
        return not old["config"].get("load_best_model_at_end")
    if name.startswith("code."):
        return sorted(old.get("code", {}).values()) == sorted(new.get("code", {}).values())
    if name.startswith("config.data.") and _last(name) in _PLACES:
        return "train" not in found  # training reads no test file
    if name == "config.model.path":
        return "model" not in found and isinstance(new["model"], InputDigest)
    if name == "run.path":
        return "run.weights" not in found and isinstance(new["run"]["weights"], InputDigest)
    return False


def _trains_on(changed: list[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the only difference is a longer training."""
    if not changed or not set(changed) <= set(_STEPS):
        return False
    steps = [(old["config"].get(key), new["config"].get(key)) for key in map(_last, changed)]
    return all(
        isinstance(a, int | float) and isinstance(b, int | float) and b > a for a, b in steps
    )


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _hint(changed: list[str]) -> str:
    is_data = all(name.startswith(_DATA) for name in changed)
    return "; --resume-changed-data goes on all the same" if is_data else ""


def _read(path: Path) -> dict[str, Any] | None:
    file = path / RUN_FILE
    if not file.is_file():
        return None
    remedy = f"restore it, or move {path} aside"
    record = read_object(file, remedy)
    if not isinstance(record.get("identity"), dict) or "complete" not in record:
        raise RunDirectoryError(
            f"{file}: no record of a run (identity or complete is missing); {remedy}."
        )
    if not isinstance(record["complete"], bool):
        raise RunDirectoryError(
            f"{file}: complete: got {record['complete']!r}; expected true or false; {remedy}."
        )
    record["identity"] = plain_numbers(record["identity"])  # earlier versions wrote Infinity
    return record
