"""A run's directory and its inputs by another name, or in another place: the same run goes on, and no other one does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from adasr_trl.artifacts.digests import input_digest
from adasr_trl.artifacts.directory import Existing, RunDirectoryError, State, look, take


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A project with a model, a file of episodes and a reward."""
    (tmp_path / "project" / "sft").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    Path("sft/config.json").write_text("{}")
    Path("sft/model.safetensors").write_bytes(b"weights")
    Path("train.jsonl").write_text("{}\n")
    return tmp_path


def identity(output="runs/a", model="sft", train="train.jsonl", **keys: object) -> dict[str, Any]:
    parts = [{"path": str(train), "weight": 2.0}, {"path": "train.jsonl", "weight": 1.0}]
    return {
        "command": "hrpo",
        "config": {
            "output_dir": str(output),
            "model": {"path": str(model), "dtype": "float32"},
            "data": {"train": "", "test": f"{Path(train).parent}/t", "mixture": parts},
            "rewards": [{"name": "mine:score", "weight": 1.0}],
            **keys,
        },
        "model": input_digest(model),
        "train": [input_digest(train), input_digest("train.jsonl")],
        "code": {str(Path("mine.py").resolve()): "5d0c"},
    }


@pytest.mark.parametrize("existing", [Existing.RESUME, Existing.REFRESH])
def test_the_same_places_spelled_otherwise_are_the_same_run(root, existing):
    take(Path("runs/a"), identity(load_best_model_at_end=True), Existing.REFUSE)
    here = Path.cwd()
    for output in ("./runs/a", "runs/a/", here / "runs" / "a", "runs/../runs/a"):
        for model, train in (("./sft", "./train.jsonl"), ("sft/", here / "train.jsonl")):
            asked = identity(output, model, train, load_best_model_at_end=True)
            assert look(Path(output), asked, existing) is State.STARTED


def test_a_moved_project_goes_on_with_its_own_absolute_places(root, monkeypatch):
    def absolute(**keys: object) -> dict[str, Any]:
        here = Path.cwd()
        return identity(here / "runs" / "a", here / "sft", here / "train.jsonl", **keys)

    take(Path("runs/a"), absolute(), Existing.REFUSE)
    moved = Path(shutil.move(Path.cwd(), root / "moved"))
    monkeypatch.chdir(moved)
    assert look(moved / "runs" / "a", absolute(), Existing.RESUME) is State.STARTED
    assert look(moved / "runs" / "a", absolute(seed=1), Existing.REFRESH) is State.FRESH


@pytest.mark.parametrize(
    ("file", "code", "keys", "named"),
    [
        ("sft/model.safetensors", "5d0c", {}, "config.model.path"),
        ("train.jsonl", "5d0c", {}, "config.data.mixture.0.path"),
        (None, "77aa", {}, "code./"),
        (None, "5d0c", {"rewards": [{"name": "mine:score", "weight": 0.5}]}, "config.rewards.0.w"),
    ],
)
def test_other_content_in_another_place_is_another_run(root, file, code, keys, named):
    take(Path("runs/a"), identity(), Existing.REFUSE)
    shutil.copytree(".", "copy")
    asked_of = ("copy/runs/a", "copy/sft", "copy/train.jsonl")
    assert look(Path("copy/runs/a"), identity(*asked_of), Existing.RESUME) is State.STARTED
    if file:
        (Path("copy") / file).write_text("other")
    asked = identity(*asked_of, **keys) | {"code": {"/old/mine.py": code}}
    with pytest.raises(RunDirectoryError) as caught:
        look(Path("copy/runs/a"), asked, Existing.RESUME)
    assert f"holds another run ({named}" in str(caught.value)


def test_a_run_whose_checkpoints_name_the_best_one_by_its_place_stays_there(root):
    best = {"load_best_model_at_end": True}
    take(Path("runs/a"), identity(**best), Existing.REFUSE)
    shutil.copytree("runs/a", "runs/b")
    with pytest.raises(RunDirectoryError, match=r"holds another run \(config\.output_dir differs"):
        look(Path("runs/b"), identity("runs/b", **best), Existing.RESUME)


def test_a_hub_id_is_no_place_of_a_directory(root):
    take(Path("runs/a"), identity(model="me/one"), Existing.REFUSE)
    with pytest.raises(RunDirectoryError, match=r"\(config\.model\.path differs"):
        look(Path("runs/a"), identity(model="me/two"), Existing.RESUME)
