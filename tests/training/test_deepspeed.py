"""DeepSpeed on CPU processes trains to the weights of plain training, and its checkpoints resume to the same weights.

Each run is ``adasr sft`` in processes of their own (``sharded``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import workspace
from safetensors.torch import load_file

from adasr_trl.cli.main import main as adasr

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
TOLERANCE = 1e-5
NEGLIGIBLE = 1e-7  # AdamW divides by the gradient's own size: below this, rounding becomes a step
LORA = ("--lora.r", "4", "--lora.dropout", "0.1")


def launch(root: Path, kind: str, processes: int, *extra: str) -> Path:
    name = f"{kind}-{processes}-{len(list(root.iterdir()))}"
    paths = [str(SUPPORT), str(ROOT / "tests"), str(ROOT), str(ROOT / "src")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "TORCH_EXTENSIONS_DIR": str(root / "extensions"),  # what DeepSpeed compiles, once
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [
        *(launcher if processes > 1 else ()),
        str(SUPPORT / "sharded.py"),
        str(root),
        name,
        kind,
    ]
    done = subprocess.run(
        [sys.executable, *command, *extra],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,  # compiling DeepSpeed's AdamW on a busy machine takes minutes
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return root / name


@pytest.fixture(scope="module")
def root(tmp_path_factory, episodes):
    """Three steps of AdamW from a saved model; a batch of 4 episodes a step and process."""
    root = tmp_path_factory.mktemp("sharded")
    workspace.make(root, episodes)
    assert adasr(["sft", "--config", str(root / "sft.yaml"), "--output_dir", f"{root}/base"]) == 0
    config = workspace.load(root, "sft")
    config |= {"model": {"path": f"{root}/base"}, "max_steps": 3, "save_steps": 1}
    workspace.save(root, "sft", config | {"learning_rate": 1e-4, "eval_strategy": "no"})
    return root


@pytest.fixture(scope="module")
def plain(root):
    """The plain run of so many processes, made once each."""
    made: dict[int, Path] = {}

    def of(processes: int) -> Path:
        if processes not in made:
            made[processes] = launch(root, "plain", processes)
        return made[processes]

    return of


def weights(run: Path) -> dict[str, torch.Tensor]:
    (file,) = run.glob("*model.safetensors")
    found = load_file(file)
    if "lm_head.weight" in found:  # a tied head, which DeepSpeed saves too
        assert torch.equal(found.pop("lm_head.weight"), found["model.embed_tokens.weight"])
    return found


def apart(a: Path, b: Path, gradients: dict[str, torch.Tensor] | None = None) -> float:
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    worst = 0.0
    for name, weight in left.items():
        difference = (weight - right[name]).abs()
        if gradients is not None:
            difference = difference[gradients[name] >= NEGLIGIBLE]
        worst = max(worst, difference.max().item() if difference.numel() else 0.0)
    return worst


CASES = [
    pytest.param("zero2", 1, marks=pytest.mark.slow),
    ("zero2", 2),
    pytest.param("zero3", 1, marks=pytest.mark.slow),
    ("zero3", 2),
]


@pytest.mark.parametrize(("kind", "processes"), CASES)
def test_the_weights_are_those_of_plain_training_and_a_cut_run_resumes_to_them(
    root, plain, kind, processes
):
    reference, found = plain(processes), launch(root, kind, processes)
    gradients = torch.load(reference / "gradients.pt", weights_only=True)
    assert sum((each >= NEGLIGIBLE).sum().item() for each in gradients.values()) > 10_000
    assert apart(root / "base", reference / "whole") > 1e-4  # three steps of 1e-4
    assert apart(reference / "whole", found / "whole", gradients) < TOLERANCE
    assert apart(reference / "whole", reference / "cut") == 0.0
    assert apart(found / "whole", found / "cut") == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "quantization"),
    [("zero2", "none"), ("zero2", "nf4"), ("zero3", "none")],
)
def test_adapters_resume_to_the_weights_of_an_uninterrupted_run(root, kind, quantization):
    bits = ("--model.quantization", f"{{kind: {quantization}, compute_dtype: float32}}")
    found = launch(root, kind, 2, *LORA, *bits)
    assert apart(found / "whole", found / "cut") == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zero2-offload", "zero3-offload"])
def test_offloaded_state_trains_to_the_weights_of_plain_training(root, plain, kind):
    """DeepSpeed compiles its CPU AdamW here, once: more than a minute. Its resumed steps may round otherwise."""
    reference, found = plain(1), launch(root, kind, 1)
    gradients = torch.load(reference / "gradients.pt", weights_only=True)
    assert apart(reference / "whole", found / "whole", gradients) < TOLERANCE
    assert apart(found / "whole", found / "cut") < 1e-6
