"""The directory of the weights below an adapter: recorded beside it with its content, and found from the run's own place.

    >>> record_base(Path("runs/lora"), Path("runs/sft"), input_digest("runs/sft"))
    >>> recorded_base(Path("/elsewhere/project/runs/lora")).places[0]
    PosixPath('/elsewhere/project/runs/sft')

``base.json`` names places of this machine, so it is never published. ``digests.base_of`` compares the content. Without the
file (runs of earlier versions) the run's record tells its project's folder, and often the base's content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.names import ADAPTER_CONFIG, BASE_FILE, ORIGIN_FILE, RUN_FILE
from adasr_trl.core.demo import run_directory
from adasr_trl.core.files import read_object, write_text

_CONTENT = "content:"  # begins the digest of a directory (``digests``)
_REMEDY = "restore it, or name another model"


@dataclass(frozen=True)
class RecordedBase:
    """The weights below a run or an adapter, as far as its files tell."""

    name: str  # a Hub id, or a path as it was typed where the training ran
    places: tuple[Path, ...]  # where a directory may lie, the likeliest first
    digest: str | None = None  # its content, where it is recorded
    was_directory: bool = False  # whether it is known to be no Hub id

    @property
    def found(self) -> list[Path]:
        """The places that are there."""
        return [place for place in self.places if place.is_dir()]


def record_base(folder: Path, base: Path, digest: str) -> None:
    """Record the directory below the model in ``folder``; PEFT, which knows one name alone, gets the whole path."""
    whole = base.resolve()
    record = {
        "from_here": os.path.relpath(whole, folder.resolve()),
        "path": str(whole),
        "digest": digest if digest.startswith(_CONTENT) else None,
    }
    write_text(folder / BASE_FILE, json.dumps(record, indent=1) + "\n")
    adapter = folder / ADAPTER_CONFIG
    if adapter.is_file():
        config = read_object(adapter, _REMEDY) | {"base_model_name_or_path": str(whole)}
        write_text(adapter, json.dumps(config, indent=2, sort_keys=True))


def recorded_base(folder: Path) -> RecordedBase | None:
    """What the files of a run, a checkpoint or a plain adapter tell; None where they name no weights."""
    origin, adapter = folder / ORIGIN_FILE, folder / ADAPTER_CONFIG
    name = read_object(origin, _REMEDY).get("path") if origin.is_file() else None
    if not name and adapter.is_file():
        name = read_object(adapter, _REMEDY).get("base_model_name_or_path")
    if not isinstance(name, str):
        return None
    typed = run_directory(name)
    if (folder / BASE_FILE).is_file():
        record = read_object(folder / BASE_FILE, f"restore it, or remove it to take {name}")
        near = (folder / str(record.get("from_here"))).resolve()
        places = (near, Path(str(record.get("path"))), typed)
        return RecordedBase(name, places, record.get("digest"), was_directory=True)
    return _of_run(name, typed, folder if (folder / RUN_FILE).is_file() else folder.parent)


def _of_run(name: str, typed: Path, run: Path) -> RecordedBase:
    """The same from a run's record: its project is where its directory has the name that was typed."""
    file = run / RUN_FILE
    identity: Any = read_object(file, _REMEDY).get("identity") if file.is_file() else None
    config = identity.get("config") if isinstance(identity, dict) else None
    if not isinstance(config, Mapping):
        return RecordedBase(name, (typed,))
    output, run = Path(str(config.get("output_dir"))), run.resolve()
    depth = len(output.parts)
    is_own = not output.is_absolute() and run.parts[-depth:] == output.parts
    places = (run.parents[depth - 1] / typed, typed) if is_own else (typed,)
    start, digest = config.get("model"), str(identity.get("model"))
    if isinstance(start, Mapping) and start.get("path") == name and digest.startswith(_CONTENT):
        return RecordedBase(name, places, digest, was_directory=True)
    return RecordedBase(name, places)
