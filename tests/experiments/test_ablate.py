"""A grid of variants: what runs, and that its tables say what the records say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adasr_trl.artifacts.names import EPISODES_FILE
from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import write_episodes
from adasr_trl.core.protocol import Mode
from adasr_trl.core.rollout import to_record
from adasr_trl.evaluation.records import Setting
from adasr_trl.experiments import ablate, tables
from adasr_trl.experiments.ablate import AblateSection
from adasr_trl.experiments.tables import Grid, Table, write_grid
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.scripted import write
from support.settings import STREAMING

SECTION = AblateSection(
    output_dir="runs/x",
    sft="sft.yaml",
    hrpo="hrpo.yaml",
    grpo="grpo.yaml",
    eval="eval.yaml",
    variants={"grpo": {"command": "grpo"}, "hrpo": {}, "half": {"local_weight": 0.25}},
    tables=(
        Table("methods", "Methods", ("read-then-think", "sft", "grpo", "hrpo")),
        Table("mixing", "Mixing", ("hrpo", "half"), reference="hrpo"),
        Table("far", "Far", ("hrpo",), reference="sft", test="far"),
    ),
    tests={"far": "far.jsonl"},
    quick={"hrpo": {"max_steps": 5}},
)


def stages(*tables, quick=False):
    chosen = ablate.chosen(SECTION.tables, ",".join(tables))
    settings = SECTION.quick if quick else {}
    made = ablate._stages(SECTION, chosen, Path("runs/x/seed-2"), 2, settings, {})
    return {stage.name: stage for stage in made}


def after(stage, flag):
    return stage.arguments[stage.arguments.index(flag) + 1]


def test_only_what_the_chosen_tables_need_runs_and_all_of_it_from_the_seeds_sft_model():
    found = stages("mixing")
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


def test_a_flat_variant_runs_its_own_command_and_configuration():
    grpo = stages("methods")["seed-2/grpo"]
    assert (grpo.arguments[0], after(grpo, "--config")) == ("grpo", "grpo.yaml")
    assert "--command" not in grpo.arguments


def test_a_table_of_other_questions_has_evaluations_of_its_own():
    found = stages("far")
    far = found["seed-2/hrpo/eval-far"]
    assert after(far, "--data.test") == "far.jsonl"
    assert far.needs == ("seed-2/hrpo",)
    assert "seed-2/hrpo/eval" not in found


def test_quick_settings_give_way_to_a_variants_own():
    found = stages("mixing", quick=True)
    assert after(found["seed-2/half"], "--max_steps") == "5"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "{name: a, title: A, methods: [dpo]}",
            "'dpo'; expected one of grpo, read-then-think, sft",
        ),
        ("{name: a, title: A, methods: [grpo], test: far}", "no such file"),
        (
            "{name: a, title: A, methods: [grpo], against: {hrpo: grpo}}",
            "against: 'hrpo' has no row; expected one of grpo",
        ),
    ],
)
def test_a_table_of_what_the_grid_does_not_have_is_refused_with_its_line(
    tmp_path, capsys, table, said
):
    config = tmp_path / "c.yaml"
    config.write_text(
        "ablate:\n  {output_dir: o, sft: s, hrpo: h, grpo: g, eval: e, "
        f"variants: {{grpo: {{command: grpo}}}}, tables: [{table}]}}\n",
        encoding="utf-8",
    )
    assert adasr(["ablate", "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert f"{config}:" in error


# ---- tables


def record(folder, rollouts, episodes):
    folder.mkdir(parents=True)
    save_streaming(folder.parent, STREAMING)
    write_episodes(folder / EPISODES_FILE, episodes)
    path = folder / Setting(Mode.STREAMING, 0.0).file
    path.write_text("".join(json.dumps(to_record(r)) + "\n" for r in rollouts), encoding="utf-8")
    (folder.parent / "run.json").write_text("{}", encoding="utf-8")
    logs = [
        {"step": step, "accuracy": step / 10, "streaming/tokens": 8.0, "deep/tokens": 4.0}
        for step in range(1, 11)
    ]
    lines = [*logs, {"step": 10, "train_runtime": 1800.0}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder.parent / "metrics.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture
def grid(tokenizer, episodes, tmp_path):
    """Two seeds of two methods on four questions: flat has one right of four, hrpo three, in fewer tokens."""
    codec = Codec(tokenizer, STREAMING.markers)
    parts = (codec, build_layout(STREAMING, codec), STREAMING)
    asked = episodes[:4]

    def wrote(right, deep):
        return [
            write(e, parts, [""] * len(e.chunks), deep, e.answer if n < right else "99")
            for n, e in enumerate(asked)
        ]

    for seed in (0, 1):
        record(tmp_path / f"seed-{seed}" / "grpo" / "eval", wrote(1, "Tom Tom Tom"), asked)
        record(tmp_path / f"seed-{seed}" / "hrpo" / "eval", wrote(3, ""), asked)
    return Grid(tmp_path, (0, 1), "adasr ablate --config x.yaml --seeds 2")


def test_the_table_says_what_the_records_say_with_what_made_it(grid):
    text = write_grid([Table("m", "Methods", ("grpo", "hrpo"), curves=True)], grid, None)
    cells = {
        line.split(" | ")[0].strip("| "): [c.strip(" |") for c in line.split(" | ")]
        for line in text.splitlines()
        if line.startswith("| ")
    }
    assert cells["hrpo - grpo"][2].startswith("+50.0")
    assert cells["hrpo - grpo"][3] == "4 / 0"
    tokens = float(cells["hrpo - grpo"][5].split()[0])
    assert -60 < tokens < -5
    assert (grid.root / "results.md").read_text(encoding="utf-8") == text
    assert "`adasr ablate --config x.yaml --seeds 2 --tables m`: 4 questions, seeds 0, 1" in text
    assert "2.0 hours of training" in text  # four runs of half an hour


def test_curves_are_means_over_a_fifth_of_the_steps_and_all_seeds(grid):
    text = write_grid([Table("m", "Methods", ("grpo", "hrpo"), curves=True)], grid, None)
    line = next(x for x in text.splitlines() if x.startswith("| hrpo | accuracy |"))
    assert line == "| hrpo | accuracy | 0.150 | 0.350 | 0.550 | 0.750 | 0.950 |"


def test_a_table_goes_into_its_place_in_a_page_and_nowhere_else(grid, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- m -->\nold\n<!-- end of m -->\nafter\n", encoding="utf-8")
    write_grid([Table("m", "Methods", ("grpo",))], grid, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- m -->\n\n**Methods**")
    assert text.endswith("<!-- end of m -->\nafter\n")
    assert "old" not in text
    with pytest.raises(ValueError, match="has no place for other"):
        write_grid([Table("other", "T", ("grpo",))], grid, page)


def test_a_table_of_the_parallel_layout_has_its_own_place_and_says_so(grid, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- m --><!-- end of m -->\n<!-- m-parallel --><!-- end of m-parallel -->\n")
    write_grid([Table("m", "Methods", ("grpo",))], replace(grid, parallel=True), page)
    first, second = page.read_text(encoding="utf-8").splitlines()[:2]
    assert first == "<!-- m --><!-- end of m -->"
    assert second == "<!-- m-parallel -->"
    assert "**Methods, parallel layout**" in page.read_text(encoding="utf-8")


def test_a_run_can_be_compared_with_another_than_the_reference(grid):
    table = Table("m", "Methods", ("hrpo",), reference="hrpo", against={"hrpo": "grpo"})
    assert table.runs == ("hrpo", "grpo")
    assert "| hrpo - grpo | greedy | +50.0" in write_grid([table], grid, None)


def test_it_can_follow_which_phase_went_right(grid, monkeypatch):
    marked = {
        ("hrpo", 0.0): [True, True, False, None],  # the first three answers of hrpo are right
        ("grpo", 0.0): [None] * 4,
    }
    real = tables._outcomes

    def outcomes(grid, method, folder, temperature):
        seeds = real(grid, method, folder, temperature)
        how = marked[method, temperature]
        return [
            [replace(one, stream_right=mark) for one, mark in zip(seed, how, strict=True)]
            for seed in seeds
        ]

    monkeypatch.setattr(tables, "_outcomes", outcomes)
    text = write_grid([Table("m", "Methods", ("grpo", "hrpo"), phases=True)], grid, None)
    assert "| hrpo | greedy | 0.667 | 1.000 | 1.000 |" in text
    assert "| grpo | greedy | nan" not in text


def test_the_best_held_out_accuracy_of_each_seed_follows_where_asked(grid):
    for seed, values in ((0, (0.25, 0.5)), (1, (0.75, 0.125))):
        lines = [json.dumps({tables.HELD_OUT: x, "step": 5}) + "\n" for x in values]
        with (grid.run("hrpo", seed) / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.writelines(lines)
    text = write_grid([Table("m", "Methods", ("grpo", "hrpo"), held_out=True)], grid, None)
    assert "| hrpo | 0.625 | 0.500 0.750 |" in text
    assert "| grpo | 0" not in text.split("best held-out accuracy")[1]


def test_rows_by_tag_follow_where_asked(grid):
    text = write_grid([Table("m", "Methods", ("hrpo", "grpo"), tags=True)], grid, None)
    rows = [line for line in text.splitlines() if "| deep |" in line or "| shallow |" in line]
    assert [row.split(" | ")[0] for row in rows] == sorted(
        (row.split(" | ")[0] for row in rows), reverse=True
    )
    assert sum(int(row.split(" | ")[2]) for row in rows) == 2 * 2 * 4  # methods, seeds, questions


def test_tables_without_records_say_what_to_run(tmp_path):
    grid = tables.Grid(tmp_path, (0,), "adasr ablate")
    with pytest.raises(ValueError, match="no records; run the grid first"):
        write_grid([Table("m", "Methods", ("hrpo",))], grid, None)
