"""Digests of what a run starts from, by content: equal bytes are the same input wherever and whenever they lie.

    >>> input_digest("runs/tiny/sft")
    'content:5d0c...'
    >>> input_digest("Qwen/Qwen3-0.6B")     # a Hub id is its own name
    'Qwen/Qwen3-0.6B'

Weights are read whole, about a second for each GB; a process reads an unchanged file once. Runs that were recorded with a
digest of ``run.json``, with sizes and times of weights, or with a path, are compared in that form (``as_recorded``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from adasr_trl.artifacts.bases import recorded_base
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    MODEL_CONFIG,
    ORIGIN_FILE,
    RUN_FILE,
    STREAMING_FILE,
    TOKENIZER_FILES,
    is_hub_id,
)
from adasr_trl.core.demo import FOLDER
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import read_object

# All that decides what a loaded model writes.
_LOADED = (
    "model*.safetensors", "adapter_model*.safetensors", "pytorch_model*.bin", "adapter_model*.bin", "*.gguf",
    MODEL_CONFIG, "generation_config.json", ADAPTER_CONFIG, STREAMING_FILE, *TOKENIZER_FILES,
)  # fmt: skip

_REMEDY = "restore it, or name another model"


class InputDigest(str):
    """Digest of a model's content, and the forms in which earlier versions recorded the same model."""

    __slots__ = ("earlier",)
    earlier: tuple[str, ...]

    def __new__(cls, digest: str, earlier: tuple[str, ...] = ()) -> InputDigest:
        """A text, so that it is written as one."""
        made = super().__new__(cls, digest)
        made.earlier = earlier
        return made

    def is_recorded_as(self, recorded: object) -> bool:
        """Whether a record of this or an earlier version names the same model."""
        if not isinstance(recorded, str):
            return False
        return recorded in (self, *self.earlier) or _without_times(recorded) in self.earlier


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    path, state = Path(path), Path(path).stat()
    return _file_digest(path.resolve(), state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=1024)
def _file_digest(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_digest(path: str | Path) -> str:
    """Digest of a model's content or of a file's bytes; any other input (a Hub id) is its own name."""
    path = Path(path)
    if not path.is_dir():
        return file_digest(path) if path.is_file() else str(path)
    if (path / RUN_FILE).is_file():
        return _of_model(path, file_digest(path / RUN_FILE))
    if (path / STREAMING_FILE).is_file():  # a checkpoint, or a model saved from Python
        return weights_digest(path)
    return _of_model(path, str(path))


def weights_digest(path: Path) -> str:
    """Digest of a directory's model: weights, settings, tokenizer, and the weights below an adapter."""
    weights = [(w.name, w.stat()) for w in sorted(path.glob("*.safetensors"))]
    if path == FOLDER:  # installed anew, it has other times; its version is recorded beside it
        return _of_model(path, json.dumps([[name, state.st_size] for name, state in weights]))
    recorded = json.dumps([[name, state.st_size, state.st_mtime_ns] for name, state in weights])
    return _of_model(path, recorded)


def base_of(path: Path) -> Path | None:
    """The directory of the weights below a run or adapter: the recorded content's, else the first that is there.

    None where the Hub has the weights, or nothing names any.

    Raises:
        UserError: What was a directory is not there.
    """
    recorded = recorded_base(path)
    if recorded is None:
        return None
    found = recorded.found
    same = (place for place in found if recorded.digest in (None, input_digest(place)))
    if not found and (recorded.was_directory or not is_hub_id(recorded.name)):
        raise UserError(
            f"{path}: its adapter lies on {recorded.name}, which is not there; {_REMEDY}."
        )
    return next(same, found[0] if found else None)


def trained_base(path: Path) -> Path | None:
    """The same; weights that it was not trained on are refused (UserError)."""
    recorded, base = recorded_base(path), base_of(path)
    if recorded and base and recorded.digest not in (None, input_digest(base)):
        raise UserError(
            f"{path}: its adapter was trained on {recorded.name}, and {base} holds other weights; restore them, or train "
            f"it anew."
        )
    return base


def as_recorded(
    identity: Mapping[str, object], recorded: Mapping[str, object]
) -> dict[str, object]:
    """An identity in which digests have the form of a record that names the same models."""
    made: dict[str, object] = {}
    for key, value in identity.items():
        before = recorded.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            made[key] = as_recorded(value, before)
        else:
            is_same = isinstance(value, InputDigest) and value.is_recorded_as(before)
            made[key] = before if is_same else value
    return made


def _of_model(path: Path, earlier: str) -> str:
    """The digest of a directory, or its name where no file of a model is in it."""
    files = _files(path)
    if not files:
        return str(path)
    origin, base = _origin(path), base_of(path) if (path / ADAPTER_CONFIG).is_file() else None
    if base:
        origin.pop("path", None)  # its content counts, wherever it lies
    text = json.dumps([files, sorted(origin.items()), _files(base) if base else []])
    return InputDigest(f"content:{hashlib.sha256(text.encode()).hexdigest()}", (earlier,))


def _files(path: Path) -> list[tuple[str, str]]:
    """Name and digest of each file that is loaded."""
    found = {file.name: file for pattern in _LOADED for file in path.glob(pattern)}
    found = {name: file for name, file in sorted(found.items()) if file.is_file()}
    digests = {name: file_digest(file) for name, file in found.items()}
    if STREAMING_FILE in found:  # its clock times tokens, and decides none
        streaming = read_object(found[STREAMING_FILE], _REMEDY)
        streaming.pop("clock", None)
        text = json.dumps(streaming, sort_keys=True)
        digests[STREAMING_FILE] = hashlib.sha256(text.encode()).hexdigest()
    return list(digests.items())


def _origin(path: Path) -> dict[str, object]:
    """Source and precision of the weights at the start of a run's training; empty where nothing records it."""
    file = path / ORIGIN_FILE
    return read_object(file, _REMEDY) if file.is_file() else {}


def _without_times(recorded: str) -> str:
    """Sizes and times of weights, as they were recorded, without the times; other text as it is."""
    try:
        return json.dumps([[name, size] for name, size, _time in json.loads(recorded)])
    except (ValueError, TypeError):
        return recorded
