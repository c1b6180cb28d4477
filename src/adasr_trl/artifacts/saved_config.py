"""What a saved model carries beside its weights.

``streaming.json`` is the protocol that it was trained to expect, ``origin.json`` the pretrained model it started from.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import yaml

from adasr_trl.artifacts.names import ADAPTER_CONFIG, CONFIG_FILE, ORIGIN_FILE, STREAMING_FILE
from adasr_trl.config.sections import (
    ModelConfig,
    QuantizationSection,
    ScratchConfig,
    StreamingConfig,
)
from adasr_trl.core.clock import Clock
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text
from adasr_trl.core.protocol import Markers, Mode


def save_streaming(directory: Path, streaming: StreamingConfig) -> None:
    """Write the file into a model's directory."""
    write_text(
        directory / STREAMING_FILE, json.dumps(dataclasses.asdict(streaming), indent=1) + "\n"
    )


def save_origin(directory: Path, model: ModelConfig) -> None:
    """Write how the weights below an adapter were loaded: path, revision, GGUF file, precision, quantisation."""
    before = Path(model.path or "")
    base = load_origin(before) if model.path else None
    if (directory / ADAPTER_CONFIG).is_file() and not (before / ADAPTER_CONFIG).is_file():
        base = None  # the adapter lies on the weights that were trained there, not on those before them
    origin = base or model
    if base and model.quantization:
        origin = dataclasses.replace(base, quantization=model.quantization)
    if origin.path:
        write_text(directory / ORIGIN_FILE, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")


def load_origin(directory: Path) -> ModelConfig | None:
    """How the pretrained weights of a run were loaded, or None where none were (or it is no run)."""
    path = directory / ORIGIN_FILE
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    found = data.get("quantization")
    return ModelConfig(
        **{
            **data,
            "scratch": ScratchConfig(**data["scratch"]),
            "quantization": QuantizationSection(**found) if found else None,
        }
    )


def load_taught_mode(directory: Path) -> Mode:
    """Mode of a run's training, from its ``config.yaml``; streaming by default."""
    path = directory / CONFIG_FILE
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return Mode((config or {}).get("mode", Mode.STREAMING.value))


def load_streaming(directory: Path) -> StreamingConfig:
    """Read it back; a UserError says what is missing or wrong."""
    path = directory / STREAMING_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; {directory} is not a finished run of adasr sft, grpo or hrpo."
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        parts = {"markers": Markers(**data["markers"]), "clock": Clock(**data["clock"])}
        return StreamingConfig(**{**data, **parts})
    except UserError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise UserError(f"{path}: not as a run writes it ({detail}).") from None
