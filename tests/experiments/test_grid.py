"""Grids of runs: which stages a comparison and an ablation run, and what they refuse."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.config.values import ConfigError
from adasr_trl.experiments import grid
from adasr_trl.experiments.grid import AblateSection, CompareSection
from adasr_trl.experiments.stages import Stage
from adasr_trl.experiments.tables import Grid, TableSection

COMPARISON = CompareSection(
    "runs/x", "sft.yaml", "hrpo.yaml", "grpo.yaml", "eval.yaml", {"sft": {"max_steps": 5}}
)
ABLATION = AblateSection(
    output_dir="runs/x",
    sft="sft.yaml",
    hrpo="hrpo.yaml",
    grpo="grpo.yaml",
    eval="eval.yaml",
    variants={"grpo": {"command": "grpo"}, "hrpo": {}, "half": {"local_weight": 0.25}},
    tables=(
        TableSection("methods", "Methods", ("read-then-think", "sft", "grpo", "hrpo")),
        TableSection("mixing", "Mixing", ("hrpo", "half"), reference="hrpo"),
        TableSection("far", "Far", ("hrpo",), reference="sft", test="far"),
    ),
    tests={"far": "far.jsonl"},
    quick={"hrpo": {"max_steps": 5}},
)


def options(quick: bool, layout: str | None = None) -> Namespace:
    return Namespace(quick=quick, layout=layout)


def ablation(*tables: str, quick: bool = False, layout: str | None = None) -> dict[str, Stage]:
    section = replace(ABLATION, tables=grid.chosen(ABLATION.tables, ",".join(tables)))
    extra = grid.extra_settings(section, options(quick, layout), ())
    made = grid.stages_of(section, extra, Path("runs/x/seed-2"), 2)
    return {stage.name: stage for stage in made}


def comparison(
    *variants: str, quick: bool = False, overrides: tuple[str, ...] = ()
) -> dict[str, Stage]:
    section = grid.comparison(COMPARISON, variants)
    extra = grid.extra_settings(section, options(quick), overrides)
    made = grid.stages_of(section, extra, Path("runs/x/seed-3"), 3)
    return {stage.name: stage for stage in made}


def after(stage, flag):
    return stage.arguments[stage.arguments.index(flag) + 1]


# ---- ablations


def test_only_what_the_chosen_tables_need_runs_and_all_of_it_from_the_seeds_sft_model():
    found = ablation("mixing")
    assert set(found) == {
        "seed-2/sft",
        *(f"seed-2/{name}{part}" for name in ("hrpo", "half") for part in ("", "/eval")),
    }
    half = found["seed-2/half"]
    assert half.needs == ("seed-2/sft",)
    assert (half.arguments[0], after(half, "--config")) == ("hrpo", "hrpo.yaml")
    assert after(half, "--local_weight") == "0.25"
    assert after(half, "--model.path") == "runs/x/seed-2/sft"
    assert after(half, "--seed") == "2"


def test_a_variant_of_grpo_runs_its_own_command_and_configuration():
    grpo = ablation("methods")["seed-2/grpo"]
    assert (grpo.arguments[0], after(grpo, "--config")) == ("grpo", "grpo.yaml")
    assert "--command" not in grpo.arguments


def test_baselines_that_read_first_are_taught_once_and_measured_in_their_modes():
    methods = ("prefill-only", "read-then-think", "speculative", "sft")
    section = replace(ABLATION, tables=(TableSection("first", "First", methods, reference="sft"),))
    extra = grid.extra_settings(section, options(quick=False), ())
    made = grid.stages_of(section, extra, Path("runs/x/seed-2"), 2)
    found = {stage.name: stage for stage in made}
    assert set(found) == {
        f"seed-2/{run}{part}"
        for run in ("sft", "read-then-think", "prefill-only")
        for part in ("", "/eval")
    }
    modes = {name: after(stage, "--eval.modes") for name, stage in found.items() if "eval" in name}
    assert modes == {
        "seed-2/sft/eval": "[streaming]",
        "seed-2/read-then-think/eval": "[read_then_think, speculative]",
        "seed-2/prefill-only/eval": "[prefill_only]",
    }
    assert after(found["seed-2/prefill-only"], "--mode") == "prefill_only"
    assert after(found["seed-2/read-then-think"], "--mode") == "read_then_think"


def test_further_sft_runs_have_settings_of_their_own_and_are_measured_as_taught():
    own = {
        "restating": {"mode": "read_then_think", "restate": True, "max_steps": 9},
        "longer": {"max_steps": 9},
        "unused": {"max_steps": 1},
    }
    table = TableSection("first", "First", ("restating", "longer", "sft"), reference="sft")
    section = replace(ABLATION, tables=(table,), sft_variants=own)
    extra = grid.extra_settings(section, options(quick=False), ())
    made = grid.stages_of(section, extra, Path("runs/x/seed-2"), 2)
    found = {stage.name: stage for stage in made}
    assert set(found) == {
        f"seed-2/{run}{part}" for run in ("sft", "restating", "longer") for part in ("", "/eval")
    }
    restating = found["seed-2/restating"]
    assert (restating.arguments[0], restating.needs) == ("sft", ())
    assert [after(restating, flag) for flag in ("--mode", "--restate", "--seed")] == [
        "read_then_think",
        "True",
        "2",
    ]
    assert after(found["seed-2/restating/eval"], "--eval.modes") == "[read_then_think]"
    assert after(found["seed-2/longer/eval"], "--eval.modes") == "[streaming]"


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ({"sft": {}}, "sft_variants: got the name 'sft'"),
        ({"half": {}}, "sft_variants: got the name 'half'"),
        ({"a": {"mode": "speculative"}}, "sft_variants: a: got mode 'speculative'; expected one"),
        ({"a": {"seed": 3}}, "sft_variants: a: got seed"),
    ],
)
def test_a_further_sft_run_that_cannot_be_one_is_refused(own, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(ABLATION, sft_variants=own)


def zero_shot(tmp_path, model: str, **changes) -> tuple[AblateSection, dict]:
    """An ablation with zero-shot, from this model section of SFT's file."""
    sft = tmp_path / "sft.yaml"
    sft.write_text(f"model: {model}\noutput_dir: o\n", encoding="utf-8")
    methods = ("zero-shot", "sft")
    table = TableSection("own", "Own", methods, reference="sft")
    section = replace(ABLATION, sft=str(sft), tables=(table, replace(table, name="b", test="far")))
    section = replace(section, **changes)
    return section, grid.extra_settings(section, options(quick=False), ())


def test_zero_shot_asks_the_model_below_sft_once_for_all_seeds(tmp_path):
    section, extra = zero_shot(tmp_path, "{path: some/chat-model, revision: abc, dtype: bfloat16}")
    first, far = grid.zero_shot_stages(section, extra, Path("runs/x"))
    assert (first.name, first.needs) == ("zero-shot/eval", ())
    assert (far.name, far.needs) == ("zero-shot/eval-far", ("zero-shot/eval",))
    assert after(first, "--model.path") == "some/chat-model"
    assert after(first, "--model.revision") == "abc"
    assert "--model.dtype" not in first.arguments  # that of the other evaluations
    assert after(first, "--eval.modes") == "[zero_shot]"
    assert after(first, "--eval.output_dir") == "runs/x/zero-shot"
    assert after(far, "--data.test") == "far.jsonl"
    of_a_seed = {stage.name for stage in grid.stages_of(section, extra, Path("runs/x/seed-2"), 2)}
    assert of_a_seed == {"seed-2/sft", "seed-2/sft/eval", "seed-2/sft/eval-far"}
    made = Grid(Path("runs/x"), (2, 3), pretrained="some/chat-model")
    assert made.runs(["zero-shot"]) == [Path("runs/x/zero-shot/chat-model")] * 2


@pytest.mark.parametrize("model", ["{init: scratch}", "{path: RUN}"])
def test_zero_shot_without_a_pretrained_model_below_sft_is_refused(tmp_path, model):
    (tmp_path / "config.json").touch()
    (tmp_path / "streaming.json").touch()
    section, extra = zero_shot(tmp_path, model.replace("RUN", str(tmp_path)))
    with pytest.raises(ConfigError, match=r"zero-shot in ablate\.tables needs a pretrained chat"):
        grid.zero_shot_stages(section, extra, Path("runs/x"))


def test_a_table_of_other_questions_has_evaluations_of_its_own():
    found = ablation("far")
    far = found["seed-2/hrpo/eval-far"]
    assert after(far, "--data.test") == "far.jsonl"
    assert far.needs == ("seed-2/hrpo",)
    assert "seed-2/hrpo/eval" not in found


def test_quick_settings_give_way_to_a_variants_own():
    found = ablation("mixing", quick=True)
    assert after(found["seed-2/half"], "--max_steps") == "5"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "{name: a, title: A, methods: [dpo]}",
            "'dpo'; expected one of grpo, prefill-only, read-then-think, sft, speculative, zero-shot",
        ),
        ("{name: a, title: A, methods: [grpo], test: far}", "no such file"),
        (
            "{name: a, title: A, methods: [grpo], against: {hrpo: grpo}}",
            "against: 'hrpo' has no row; expected one of grpo",
        ),
        (
            "{name: a, title: A, methods: [grpo]}, {name: a, title: B, methods: [grpo]}",
            "two have the name 'a'",
        ),
    ],
)
def test_a_table_of_what_the_grid_does_not_have_is_refused_with_its_line(
    tmp_path, capsys, table, message
):
    config = tmp_path / "c.yaml"
    config.write_text(
        "ablate:\n  {output_dir: o, sft: s, hrpo: h, grpo: g, eval: e, "
        f"variants: {{grpo: {{command: grpo}}}}, tables: [{table}]}}\n",
        encoding="utf-8",
    )
    assert adasr(["ablate", "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert f"{config}:" in error


def test_a_layout_is_taught_by_every_training_and_asked_of_no_evaluation():
    found = ablation("mixing", layout="parallel")
    assert after(found["seed-2/sft"], "--streaming.layout") == "parallel"
    assert after(found["seed-2/half"], "--streaming.layout") == "parallel"
    assert "--streaming.layout" not in found["seed-2/half/eval"].arguments


# ---- comparisons


def test_every_variant_starts_from_the_sft_model_of_its_seed():
    found = comparison("hrpo", "grpo")
    for variant in ("hrpo", "grpo"):
        arguments = found[f"seed-3/{variant}"].arguments
        assert arguments[arguments.index("--model.path") + 1] == "runs/x/seed-3/sft"
        assert arguments[arguments.index("--seed") + 1] == "3"
        assert found[f"seed-3/{variant}"].needs == ("seed-3/sft",)
        assert found[f"seed-3/{variant}/eval"].needs == (f"seed-3/{variant}",)


def test_read_then_think_is_trained_and_evaluated_in_its_own_mode():
    found = comparison("hrpo")
    assert "read_then_think" in found["seed-3/read-then-think"].arguments
    assert "[read_then_think]" in found["seed-3/read-then-think/eval"].arguments
    assert "[streaming]" in found["seed-3/sft/eval"].arguments


def test_quick_lays_its_settings_over_their_command_only():
    found = comparison("hrpo", quick=True)
    assert "--max_steps" in found["seed-3/sft"].arguments
    assert "--max_steps" not in found["seed-3/hrpo"].arguments


def test_a_setting_reaches_the_stage_that_it_names_and_wins_over_quick():
    found = comparison("hrpo", quick=True, overrides=("--sft.max_steps", "7", "--hrpo.beta=0.1"))
    sft, hrpo = found["seed-3/sft"].arguments, found["seed-3/hrpo"].arguments
    assert sft[sft.index("--max_steps") + 1] == "7"
    assert hrpo[hrpo.index("--beta") + 1] == "0.1"
    assert "--beta" not in sft


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--variants", "dpo"), "dpo"),
        (("--seeds", "0"), "--seeds"),
        (("--seed", "-1"), "--seed: got -1; expected 0 or more"),
        (("--jobs", "0"), "--jobs: got 0; expected 1 or more"),
        (("--learning_rate", "1"), "no such setting"),
        (("--grpo.beta", "0.1"), "--grpo.beta: grpo does not run here; add it to --variants"),
        # Each of these would make one run of all seeds, or of SFT and read-then-think.
        (("--hrpo.seed", "5"), "--hrpo.seed: got seed, which the grid sets for each run"),
        (("--sft.seed=5",), "got seed, which the grid sets"),
        (("--sft.mode", "prefill_only"), "got mode, which the grid sets"),
        (("--hrpo.model.path", "x"), "got model.path, which the grid sets"),
        (("--hrpo.model", "{path: x}"), "got model, which the grid sets"),
        (("--eval.eval.name", "x"), "got eval.name, which the grid sets"),
    ],
)
def test_bad_flags_are_refused(tmp_path, capsys, flags, message):
    config = tmp_path / "c.yaml"
    config.write_text(
        "compare: {output_dir: o, sft: s, hrpo: h, grpo: g, eval: e, quick: {}}", encoding="utf-8"
    )
    assert adasr(["compare", "--config", str(config), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hrpo: {}", "sft: {}", "variants: got the name 'sft'; expected letters"),
        ("hrpo: {}", "speculative: {}", "variants: got the name 'speculative'"),
        ("hrpo: {}", "../hrpo: {}", "variants: got the name '../hrpo'"),
        ("hrpo: {}", "hrpo: {seed: 7}", "variants: hrpo: got seed, which the grid sets"),
        ("hrpo: {}", "hrpo: {output_dir: o}", "variants: hrpo: got output_dir"),
        (
            "hrpo: {}",
            "hrpo: {command: dpo}",
            "variants: hrpo: got command 'dpo'; expected hrpo or grpo",
        ),
        (
            "quick: {}",
            "quick: {dpo: {beta: 1}}",
            "quick: got 'dpo'; expected one of sft, hrpo, grpo, eval",
        ),
        ("quick: {}", "quick: {sft: {seed: 1}}", "quick: sft: got seed, which the grid sets"),
        ("tests: {}", "tests: {a/b: t.jsonl}", "tests: got the name 'a/b'"),
        ("tests: {}", "tests: {all: t.jsonl}", "another name than 'all'"),
    ],
)
def test_a_grid_whose_runs_would_not_be_what_their_names_say_is_refused(
    tmp_path, capsys, old, new, message
):
    config = tmp_path / "c.yaml"
    text = (
        "ablate:\n  {output_dir: o, sft: s, hrpo: h, grpo: g, eval: e, quick: {}, tests: {}, "
        "variants: {grpo: {command: grpo}, hrpo: {}}, tables: [{name: a, title: A, methods: [grpo]}]}\n"
    )
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    assert adasr(["ablate", "--config", str(config)]) == 2
    assert message in capsys.readouterr().err


def test_a_page_without_a_tables_place_is_known_before_anything_runs(tmp_path, capsys, monkeypatch):
    config, page = tmp_path / "c.yaml", tmp_path / "page.md"
    config.write_text(
        "ablate: {output_dir: o, sft: s, hrpo: h, grpo: g, eval: e, variants: {grpo: {command: grpo}}, "
        "tables: [{name: a, title: A, methods: [grpo]}]}",
        encoding="utf-8",
    )
    page.write_text("nothing here", encoding="utf-8")
    monkeypatch.setattr(grid, "run_all", lambda *_: pytest.fail("a stage was run"))
    assert adasr(["ablate", "--config", str(config), "--page", str(page)]) == 2
    assert f"{page}: has no place for a" in capsys.readouterr().err


def test_a_table_named_twice_on_the_command_line_is_one():
    assert [t.name for t in grid.chosen(ABLATION.tables, "mixing,methods,mixing")] == [
        "mixing",
        "methods",
    ]
