"""FSDP on CPU processes trains to the weights of plain training, and its checkpoints resume to the same weights.

accelerate shards over accelerators only; ``sharded`` lets it take CPU processes for some. All else is as on GPUs: the launch
line of configs/accelerate/fsdp.yaml, gathering, saving and resuming. The transport is gloo in place of NCCL.
"""

import shutil
from pathlib import Path

import pytest
import torch

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.errors import UserError
from adasr_trl.training.distributed import begin_processes
from support import workspace
from support.launching import launch_script
from support.sharded_runs import TOLERANCE, apart, launch, make_root

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "accelerate" / "fsdp.yaml"
LORA = ("--lora.r", "4", "--lora.dropout", "0.1")


def launch_fsdp(root, *extra):
    name = f"fsdp-{len(list(root.iterdir()))}"
    launcher = ("-m", "accelerate.commands.launch", "--config_file", CONFIG)
    launch_script(
        "sharded",
        *(root, name, "fsdp", *extra),
        launcher=(*launcher, "--mixed_precision", "no", "--main_process_port", 0),
        ACCELERATE_USE_CPU="true",
    )
    shares = [float((root / f"{name}-share.{rank}").read_text()) for rank in (0, 1)]
    assert max(shares) < 0.6  # of the weights in each process: they are sharded
    return root / name


@pytest.fixture(scope="module")
def root(tmp_path_factory, episodes):
    root = tmp_path_factory.mktemp("sharded")
    make_root(root, episodes)
    return root


@pytest.fixture
def untaught(root, tmp_path):
    """The saved model as a pretrained one, which either layout may be taught."""
    shutil.copytree(root / "base", tmp_path / "base")
    (tmp_path / "base" / "streaming.json").unlink()
    return tmp_path / "base"


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
@pytest.mark.parametrize("adapter", [(), LORA], ids=["full", "lora"])
def test_fsdp_trains_to_the_weights_of_plain_training_and_a_cut_run_resumes_to_them(
    root,
    untaught,
    layout,
    adapter,
):
    extra = ("--model.path", str(untaught), "--streaming.layout", layout, *adapter)
    reference, found = launch(root, "plain", 2, *extra), launch_fsdp(root, *extra)
    gradients = None if adapter else torch.load(reference / "gradients.pt", weights_only=True)
    assert apart(found / "whole", reference / "whole", gradients) < TOLERANCE
    assert apart(found / "whole", found / "cut") == 0.0


def test_fsdp_on_a_cpu_is_refused_rather_than_left_out(tmp_path, episodes, monkeypatch, capsys):
    workspace.make(tmp_path, episodes)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert adasr(["sft", "--config", str(tmp_path / "sft.yaml")]) == 2
    assert "error: FSDP: accelerate shards over GPUs only" in capsys.readouterr().err
    assert not (tmp_path / "sft").exists()


def test_fsdp_without_a_launcher_is_refused(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)  # as on a GPU
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(UserError, match="FSDP: no launcher started this process"):
        begin_processes({"fsdp": "full_shard"})
    launched = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost"}
    for name, value in {**launched, "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    begin_processes({"fsdp": "full_shard"})
