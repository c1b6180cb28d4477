"""Records of a run: the model in the package by its name, numbers in JSON's forms."""

from __future__ import annotations

import json
import math

import pytest

from adasr_trl.artifacts.saved_config import (
    load_origin,
    load_streaming,
    save_origin,
    save_streaming,
)
from adasr_trl.config.loading import load_config
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.clock import Clock
from adasr_trl.core.demo import FOLDER


def test_the_model_in_the_package_is_recorded_by_its_name(tmp_path):
    save_origin(tmp_path, ModelConfig(path="demo"))
    assert json.loads((tmp_path / "origin.json").read_text(encoding="utf-8"))["path"] == "demo"
    origin = load_origin(tmp_path)
    assert origin is not None
    assert origin.path == str(FOLDER)


def test_so_does_the_configuration_of_a_run_that_starts_from_it(tmp_path):
    (tmp_path / "run.yaml").write_text("model: {path: demo}\n", encoding="utf-8")
    loaded = load_config(tmp_path / "run.yaml", (), {"model": ModelConfig})
    assert loaded.section("model").path == str(FOLDER)
    assert loaded.resolved()["model"]["path"] == "demo"


def test_an_infinite_speed_is_saved_as_text_that_every_reader_of_json_takes(tmp_path):
    streaming = StreamingConfig(clock=Clock(words_per_minute=math.inf))

    save_streaming(tmp_path, streaming)

    text = (tmp_path / "streaming.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert load_streaming(tmp_path) == streaming
