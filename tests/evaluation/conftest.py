"""Two small runs and their questions."""

from __future__ import annotations

import shutil

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import write_episodes
from support import workspace
from support.suites import save


@pytest.fixture(scope="session")
def trained(tmp_path_factory, episodes):
    """One small SFT run."""
    root = tmp_path_factory.mktemp("trained")
    workspace.make(root, episodes)
    sft = workspace.load(root, "sft") | {"eval_strategy": "no", "max_steps": 2}
    del sft["eval_steps"]
    workspace.save(root, "sft", sft)
    assert adasr(["sft", "--config", str(root / "sft.yaml")]) == 0
    for folder in (root / "sft").glob("checkpoint-*"):
        shutil.rmtree(folder)
    return root


@pytest.fixture
def root(trained, tmp_path, episodes):
    """Two runs, which are the same one, and two sets of questions."""
    for name in ("one", "two"):
        shutil.copytree(trained / "sft", tmp_path / name)
    write_episodes(tmp_path / "test.jsonl", episodes[48:52])
    write_episodes(tmp_path / "far.jsonl", episodes[52:55])
    save(tmp_path)
    return tmp_path
