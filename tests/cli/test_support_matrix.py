"""The combinations: the page's table is the code's, refusals name the line, and what is said to work does."""

from __future__ import annotations

from pathlib import Path

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.cli.support_matrix import Combination, Sharding, Status, Weights, decide
from adasr_trl.core.files import put_between
from support import combined, workspace
from support.launching import TORCHRUN, launch_script
from tools.support_table import PLACE, table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "MODELS.md"
ZERO3 = str(combined.CONFIGS / "zero3.yaml")
BITS = "{init: pretrained, path: a/b, quantization: {kind: nf4}}"


def test_the_pages_table_is_the_codes(tmp_path):
    copy = tmp_path / "MODELS.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    put_between(copy, PLACE, table())
    assert copy.read_text() == PAGE.read_text(), "python -m tools.support_table docs/MODELS.md"


@pytest.mark.parametrize(
    ("weights", "sharding", "layout", "engine", "status"),
    [
        (Weights.QLORA, Sharding.ZERO2, "parallel", "hf", Status.WORKS),
        (Weights.QLORA, Sharding.ZERO3, "interleaved", "hf", Status.REFUSED),
        (Weights.LORA, Sharding.ZERO3, "interleaved", "hf", Status.WORKS),
        (Weights.BARE, Sharding.PLAIN, "interleaved", "hf", Status.REFUSED),
        (Weights.FULL, Sharding.PLAIN, "parallel", "vllm", Status.REFUSED),
        (Weights.FULL, Sharding.ZERO2, "interleaved", "vllm", Status.UNTESTED),
        (Weights.FULL, Sharding.FSDP, "interleaved", "hf", Status.REFUSED),
    ],
)
def test_a_combination_works_is_refused_or_is_untested(weights, sharding, layout, engine, status):
    assert decide(Combination("hrpo", weights, sharding, layout, engine)).status is status


@pytest.fixture
def root(tmp_path, episodes):
    workspace.make(tmp_path, episodes)
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--model", BITS), "--model: model.quantization: weights of 4 bits cannot be trained"),
        (
            ("--model", BITS, "--lora.r", "4", "--deepspeed", ZERO3),
            "--deepspeed: deepspeed: ZeRO-3 saves no memory",
        ),
        (("--model", BITS, "--lora.r", "4", "--fsdp", "full_shard"), "FSDP spreads weights of one"),
        (("--deepspeed", "none.yaml"), "--deepspeed: deepspeed: no file 'none.yaml'"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_before_anything_is_loaded(
    root, capsys, flags, said
):
    assert adasr(["sft", "--config", str(root / "sft.yaml"), *flags]) == 2
    assert said in capsys.readouterr().err
    assert not (root / "sft").exists()


def test_the_line_of_the_file_is_named(root, capsys):
    config = workspace.load(root, "sft")
    workspace.save(
        root, "sft", config | {"model": {"path": "a/b", "quantization": {"kind": "fp4"}}}
    )
    lines = (root / "sft.yaml").read_text().splitlines()
    line = next(i for i, text in enumerate(lines, 1) if "quantization" in text)
    assert adasr(["sft", "--config", str(root / "sft.yaml")]) == 2
    assert f"sft.yaml:{line}: model.quantization" in capsys.readouterr().err


@pytest.fixture(scope="module")
def base(tmp_path_factory, episodes):
    root = tmp_path_factory.mktemp("combined")
    workspace.make(root, episodes)
    assert adasr(["sft", "--config", f"{root}/sft.yaml", "--output_dir", f"{root}/base"]) == 0
    (root / "base" / "streaming.json").unlink()  # a pretrained model: it was taught no layout yet
    for name in ("sft", "hrpo"):
        short = {"max_steps": 2, "eval_strategy": "no", "save_strategy": "no"}
        config = workspace.load(root, name) | short
        kept = {key: config[key] for key in config if key not in ("eval_steps", "save_steps")}
        workspace.save(root, name, kept)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("sharding", [each for each in Sharding if each is not Sharding.FSDP])
def test_every_combination_that_is_said_to_work_trains_in_two_processes(base, sharding):
    rows = list(combined.rows_of(sharding))
    assert len(rows) == (8 if "ZERO3" in sharding.name else 12)
    launch_script(
        "combined",
        *(base, sharding.name),
        launcher=(*TORCHRUN, 2),
        timeout=600,
        TORCH_EXTENSIONS_DIR=str(base / "extensions"),  # what DeepSpeed compiles, once
    )
    for command_name, layout, weights in rows:
        run = base / f"{sharding.name}-{layout}-{weights.name}-{command_name}"
        assert list(run.glob("*model.safetensors")), run
