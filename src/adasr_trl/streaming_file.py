"""``streaming.json``: what a saved model was trained to expect, so that it is used in the same way elsewhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from adasr_trl.clock import Clock
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.files import UserError, write_text
from adasr_trl.protocol import Markers

STREAMING_FILE = "streaming.json"


def save_streaming(directory: Path, streaming: StreamingConfig) -> None:
    """Write the file into a model's directory."""
    write_text(
        directory / STREAMING_FILE, json.dumps(dataclasses.asdict(streaming), indent=1) + "\n"
    )


def load_streaming(directory: Path) -> StreamingConfig:
    """Read it back; a UserError says what is missing."""
    path = directory / STREAMING_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; {directory} is not a finished run of adasr sft, grpo or hrpo."
        )
    data = json.loads(path.read_text(encoding="utf-8"))
    return StreamingConfig(
        **{**data, "markers": Markers(**data["markers"]), "clock": Clock(**data["clock"])}
    )
