"""Settings saved with a model: its protocol (``streaming.json``) and its pretrained weights (``origin.json``)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import cast, get_args

from adasr_trl.artifacts.bases import record_base
from adasr_trl.artifacts.digests import base_of, input_digest
from adasr_trl.artifacts.directory import identity_of, read_identity, why_no_run
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    BASE_FILE,
    CONFIG_FILE,
    MODEL_CONFIG,
    ORIGIN_FILE,
    RUN_FILE,
    STREAMING_FILE,
)
from adasr_trl.config.sections import DtypeName, ModelConfig, StreamingConfig
from adasr_trl.config.values import Entry, convert, entry_of, read_yaml
from adasr_trl.core.demo import recorded_name
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import read_object, write_text
from adasr_trl.core.json_numbers import plain_numbers
from adasr_trl.core.protocol import Mode


def save_streaming(directory: Path, streaming: StreamingConfig) -> None:
    """Write the file into a model's directory."""
    _write(directory / STREAMING_FILE, streaming)


def save_origin(directory: Path, model: ModelConfig) -> None:
    """Write the source of the weights below an adapter: path, revision, GGUF file, precision, quantisation.

    What has no whole weights of its own gets the base's directory too, to be found again from elsewhere.
    """
    is_adapter = (directory / ADAPTER_CONFIG).is_file()
    base = _base_below(model, is_adapter=is_adapter)
    origin = dataclasses.replace(base or model, dtype=model.dtype)
    if base and model.quantization:
        origin = dataclasses.replace(origin, quantization=model.quantization)
    if origin.path:
        _write(directory / ORIGIN_FILE, origin)
    is_whole = not is_adapter and (directory / MODEL_CONFIG).is_file()
    place = None if is_whole else _place_below(model, base, is_adapter=is_adapter)
    if place and place.is_dir():
        record_base(directory, place, input_digest(place))
    else:
        (directory / BASE_FILE).unlink(missing_ok=True)


def _base_below(model: ModelConfig, *, is_adapter: bool) -> ModelConfig | None:
    """The source below the model that a training started from; None where that model is itself the base."""
    if not model.path:
        return None
    if not is_adapter:
        return load_origin(Path(model.path))
    # The trained adapter goes on with that of the model, or lies on the model's whole weights.
    return named_base(model) if (Path(model.path) / ADAPTER_CONFIG).is_file() else None


def _place_below(model: ModelConfig, base: ModelConfig | None, *, is_adapter: bool) -> Path | None:
    """The directory of the weights below what was trained; None where the Hub has them, or there are none."""
    if not model.path:
        return None
    if base is None:
        return Path(model.path)
    return base_of(Path(model.path)) if is_adapter else None


def named_base(model: ModelConfig) -> ModelConfig:
    """The source of the weights below an adapter, with its path as it was typed; the same where there is none."""
    adapter = Path(model.path or "") / ADAPTER_CONFIG
    if not adapter.is_file():
        return model
    if (origin := load_origin(adapter.parent)) is not None:
        return origin
    name = read_object(adapter, "copy it again").get("base_model_name_or_path")
    if not isinstance(name, str):
        raise UserError(f"{adapter}: got {name!r} as base_model_name_or_path; expected its base.")
    return dataclasses.replace(model, path=name, revision=None)  # it was not trained here


def load_origin(directory: Path) -> ModelConfig | None:
    """Source of a run's pretrained weights, or None where there is none (or no run)."""
    path = directory / ORIGIN_FILE
    return cast(ModelConfig, _read(path, ModelConfig)) if path.is_file() else None


def load_trained_dtype(directory: Path) -> DtypeName | None:
    """Precision that a run's or checkpoint's weights were trained in; None where nothing records it."""
    origin, config = load_origin(directory), directory / MODEL_CONFIG
    if origin is not None and origin.dtype != "auto":
        return origin.dtype
    if not config.is_file():
        return None
    dtype = read_object(config, "copy it again").get("dtype")
    return dtype if dtype in get_args(DtypeName) else None


def load_taught_mode(directory: Path) -> Mode:
    """Mode of a run's training, from its ``config.yaml``; streaming by default."""
    path = directory / CONFIG_FILE
    if not path.is_file():
        return Mode.STREAMING
    settings = cast(dict[str, Entry], read_yaml(path).value)
    return Mode(convert(settings["mode"], Mode, "mode")) if "mode" in settings else Mode.STREAMING


def load_streaming(directory: Path) -> StreamingConfig:
    """Protocol of a finished run.

    Raises:
        UserError: The file is missing, or not as a run writes it.
    """
    path = directory / STREAMING_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file; {why_no_run(directory)}.")
    return cast(StreamingConfig, _read(path, StreamingConfig))


def recorded_streaming(run: Path) -> StreamingConfig:
    """Protocol in the record of a run that may go on; ``streaming.json`` is written when it ends.

    Raises:
        UserError: There is no record, or it is not as a run writes it.
    """
    config = identity_of(run).get("config")
    section = config.get("streaming") if isinstance(config, dict) else None
    return cast(StreamingConfig, _section(section, run / RUN_FILE, StreamingConfig, "streaming"))


def recorded_dtype(run: Path) -> DtypeName | None:
    """Precision in the record of a run that may go on; None where there is none."""
    config = read_identity(run).get("config")
    model = config.get("model") if isinstance(config, dict) else None
    dtype = model.get("dtype") if isinstance(model, dict) else None
    return cast(DtypeName, dtype) if dtype in get_args(DtypeName) else None


def other_protocol(
    trained: StreamingConfig, asked: StreamingConfig, *, is_taught: bool = False
) -> str | None:
    """The first setting in which a model was taught another layout, prompt or marker than asked for; None if alike.

    ``is_taught``: supervised training teaches the layout that is asked for, so only prompt and markers count.
    """
    keys = ["markers", "instruction", "thinking"]
    if not is_taught:
        keys = ["layout", *keys, *(["boundary"] if trained.layout == "parallel" else [])]
    for key in keys:
        if vars(trained)[key] != vars(asked)[key]:
            return key
    return None


def _read(path: Path, expected: type) -> object:
    text = path.read_bytes()
    try:
        value = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise _unlike(path, error) from None
    return _section(value, path, expected, path.stem)


def _section(value: object, file: Path, expected: type, name: str) -> object:
    try:
        return convert(entry_of(value, str(file)), expected, name)
    except ValueError as error:
        raise _unlike(file, error) from None


def _unlike(file: Path, error: ValueError) -> UserError:
    reason = str(error).removeprefix(f"{file}: ").rstrip(".")
    return UserError(
        f"{file}: not as a run writes it ({reason}); restore it, or use the version that wrote it."
    )


def _write(path: Path, section: StreamingConfig | ModelConfig) -> None:
    values = dataclasses.asdict(section)
    if values.get("path"):
        values["path"] = recorded_name(values["path"])
    write_text(path, json.dumps(plain_numbers(values), indent=1, allow_nan=False) + "\n")
