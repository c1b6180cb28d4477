"""Records of a run: the model in the package is recorded by its name."""

from __future__ import annotations

import json

from adasr_trl.artifacts.saved_config import load_origin, save_origin
from adasr_trl.config.loading import load_config
from adasr_trl.config.sections import ModelConfig
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
