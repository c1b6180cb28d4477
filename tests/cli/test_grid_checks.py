"""A grid refuses a setting of any of its stages before the first of them runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from adasr_trl.cli.experiments import check_stages
from adasr_trl.cli.main import main as adasr
from adasr_trl.experiments import grid

CONFIGS = Path(__file__).parents[2] / "configs"
PUBLISHED = sorted((*CONFIGS.glob("*/compare.yaml"), *CONFIGS.glob("*/ablate.yaml")))


@pytest.fixture
def checked(monkeypatch):
    """The stages that a grid would have run; none is."""
    monkeypatch.chdir(CONFIGS.parent)
    monkeypatch.setattr(grid, "run_all", lambda stages, *_: made.extend(stages))
    monkeypatch.setattr(grid, "write_comparison", lambda *_: "")
    monkeypatch.setattr(grid, "write_tables", lambda *_: "")
    made: list[grid.Stage] = []
    return made


@pytest.mark.parametrize("more", [(), ("--quick",)], ids=["whole", "quick"])
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_published_grid_passes(checked, path, more):
    variants = ("--variants", "hrpo,grpo") if path.stem == "compare" else ()
    assert adasr([path.stem, "--config", str(path), *variants, *more]) == 0
    assert checked


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--hrpo.learning_ratee", "seed-0/hrpo: command line --learning_ratee"),
        ("--grpo.local_weight", "only adasr hrpo has local terms"),
        ("--sft.beta", "seed-0/sft: command line --beta: unknown key beta"),
        ("--eval.eval.max_question", "/eval: command line --eval.max_question"),
    ],
)
def test_a_wrong_setting_of_a_later_stage_is_named_before_the_first_runs(
    checked, capsys, flag, words
):
    config = ("--config", str(CONFIGS / "tiny" / "compare.yaml"))
    assert adasr(["compare", *config, "--variants", "hrpo,grpo", flag, "0.5"]) == 2
    assert words in capsys.readouterr().err
    assert not checked


def test_the_stages_of_a_variant_are_checked_by_its_own_command(tmp_path):
    settings = ("--output_dir", str(tmp_path / "x"), "--local_weight", "0.5")
    hrpo, grpo = (
        grid.Stage(name, (name, "--config", str(CONFIGS / "tiny" / f"{name}.yaml"), "--refresh", *settings))
        for name in ("hrpo", "grpo")
    )  # fmt: skip
    check_stages([hrpo])
    with pytest.raises(grid.ConfigError, match=r"^grpo: command line --local_weight"):
        check_stages([hrpo, grpo])
