"""A comparison's stages: what runs, in which order, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.experiments import compare
from adasr_trl.experiments.compare import CompareSection
from adasr_trl.experiments.stages import Stage

SECTION = CompareSection(
    "runs/x", "sft.yaml", "hrpo.yaml", "grpo.yaml", "eval.yaml", {"sft": {"max_steps": 5}}
)


def stages(
    *variants: str, quick: bool = False, overrides: tuple[str, ...] = ()
) -> dict[str, Stage]:
    extra = compare._by_command(SECTION.quick if quick else {}, overrides)
    made = compare._stages(SECTION, Path("runs/x/seed-3"), 3, variants, extra)
    return {stage.name: stage for stage in made}


def test_every_variant_starts_from_the_sft_model_of_its_seed():
    found = stages("hrpo", "grpo")
    for variant in ("hrpo", "grpo"):
        arguments = found[f"seed-3/{variant}"].arguments
        assert arguments[arguments.index("--model.path") + 1] == "runs/x/seed-3/sft"
        assert arguments[arguments.index("--seed") + 1] == "3"
        assert found[f"seed-3/{variant}"].needs == ("seed-3/sft",)
        assert found[f"seed-3/{variant}/eval"].needs == (f"seed-3/{variant}",)


def test_read_then_think_is_trained_and_evaluated_in_its_own_mode():
    found = stages("hrpo")
    assert "read_then_think" in found["seed-3/read-then-think"].arguments
    assert "[read_then_think]" in found["seed-3/read-then-think/eval"].arguments
    assert "[streaming]" in found["seed-3/sft/eval"].arguments


def test_quick_lays_its_settings_over_their_command_only():
    found = stages("hrpo", quick=True)
    assert "--max_steps" in found["seed-3/sft"].arguments
    assert "--max_steps" not in found["seed-3/hrpo"].arguments


def test_a_setting_reaches_the_stage_that_it_names_and_wins_over_quick():
    found = stages("hrpo", quick=True, overrides=("--sft.max_steps", "7", "--hrpo.beta=0.1"))
    sft, hrpo = found["seed-3/sft"].arguments, found["seed-3/hrpo"].arguments
    assert sft[sft.index("--max_steps") + 1] == "7"
    assert hrpo[hrpo.index("--beta") + 1] == "0.1"
    assert "--beta" not in sft


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--variants", "dpo"), "dpo"),
        (("--seeds", "0"), "--seeds"),
        (("--learning_rate", "1"), "no such setting"),
    ],
)
def test_bad_flags_are_refused(tmp_path, capsys, flags, said):
    config = tmp_path / "c.yaml"
    config.write_text(
        "compare: {output_dir: o, sft: s, hrpo: h, grpo: g, eval: e, quick: {}}", encoding="utf-8"
    )
    assert adasr(["compare", "--config", str(config), *flags]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
