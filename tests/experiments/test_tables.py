"""Tables of a grid: every number from records that a reader can count."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adasr_trl.artifacts.names import EPISODES_FILE
from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import write_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode
from adasr_trl.core.rollout import to_record
from adasr_trl.engines import Request
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.evaluation.outcome import Latencies, Outcome
from adasr_trl.evaluation.settings import Setting
from adasr_trl.experiments import tables
from adasr_trl.experiments.tables import Grid, TableSection, write_comparison, write_tables
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.scripted import play, write
from support.settings import STREAMING

# ---- comparisons


def outcomes(pattern: str, deep: int, seconds: float) -> list[Outcome]:
    """One outcome a letter: r right, w wrong; every second question is tagged deep."""
    return [
        Outcome(
            right=letter == "r",
            streaming_tokens=10,
            deep_tokens=deep + 4 * (k % 2),
            ending=Ending.ANSWERED,
            skips=(True, False),
            trace_skips=(),
            latencies=(Latencies(0.1, seconds, seconds + 0.1, 0.5),),
            tags=("deep",) if k % 2 else ("shallow",),
        )
        for k, letter in enumerate(pattern)
    ]


RUNS = {
    "read-then-think": outcomes("rrrrwwwwww", 40, 1.5),
    "sft": outcomes("rrrrrwwwww", 8, 0.5),
    "hrpo": outcomes("rrrrrrrrww", 2, 0.25),
}


def comparison(root: Path, monkeypatch, runs=RUNS):
    """The page and the data of a comparison of one seed."""
    monkeypatch.setattr(tables, "recorded_settings", lambda _folder: [Setting(Mode.STREAMING, 0.0)])
    monkeypatch.setattr(tables, "load_streaming", lambda _run: StreamingConfig())
    made = Grid(root, (0,))
    made.cache.update({(name, 0.0, ""): [outcomes] for name, outcomes in runs.items()})
    text = write_comparison(made, tuple(runs))
    return text, json.loads((root / "table.json").read_text())


@pytest.fixture
def written(tmp_path, monkeypatch):
    return comparison(tmp_path, monkeypatch)


def row(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_method_has_accuracy_with_interval_tokens_latency_and_speed_up(written):
    cells = row(written[0], "hrpo | greedy")
    assert cells[2].startswith("0.800 (0.490 to 0.943)")  # Wilson's interval of 8 of 10
    assert cells[3:6] == ["10.0", "4.0", "14.0"]
    assert cells[8] == "0.25"
    assert cells[10] == "6.0x"


def test_a_difference_is_paired_over_the_same_questions(written):
    text, data = written
    cells = row(text, "hrpo - sft")
    assert cells[2].startswith("+30.0 (")
    assert cells[3] == "3 / 0"
    assert cells[4] == "0.25"  # two-sided: 2 * (1/2)^3
    assert data["differences"][0]["points"]["mean"] == pytest.approx(30.0)


def test_deep_work_is_shown_by_tag(written):
    text, _ = written
    assert row(text, "hrpo | deep")[5] == "6.0"
    assert row(text, "hrpo | shallow")[5] == "2.0"


@pytest.mark.parametrize(
    ("baseline", "sft", "verdict"),
    [
        (
            "rrrrwwwwww",
            "rrrrrwwwww",
            "Read-then-think, trained alike, is 10.0 points below SFT: "
            "too weak at this size to compare answer latencies with.",
        ),
        ("rrrrr", "rrrrr", "trained alike, is 0.0 points below SFT: a fair baseline."),
        ("rrrrr", "rrrrw", "trained alike, is 20.0 points above SFT: a fair baseline."),
        ("wwwwwwwwww", "rwwwwwwwww", "At this size of run neither answers; the run only proves"),
    ],
)
def test_read_then_think_is_called_fair_only_near_an_sft_that_answers(
    tmp_path, monkeypatch, baseline, sft, verdict
):
    runs = {"read-then-think": outcomes(baseline, 40, 1.5), "sft": outcomes(sft, 8, 0.5)}
    text, _ = comparison(tmp_path, monkeypatch, runs)
    assert verdict in text.splitlines()[-1]


def test_rates_of_the_clock_stand_above_the_table(written):
    assert "150 words a minute, 30 ms a written token, 0.5 ms a read token" in written[0]


# ---- ablations


def record(folder, rollouts, episodes, mode=Mode.STREAMING):
    folder.mkdir(parents=True)
    save_streaming(folder.parent, STREAMING)
    write_episodes(folder / EPISODES_FILE, episodes)
    path = folder / Setting(mode, 0.0).file
    path.write_text("".join(json.dumps(to_record(r)) + "\n" for r in rollouts), encoding="utf-8")
    (folder / "run.json").write_text("{}", encoding="utf-8")
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
    text = write_tables([TableSection("m", "Methods", ("grpo", "hrpo"), curves=True)], grid, None)
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
    text = write_tables([TableSection("m", "Methods", ("grpo", "hrpo"), curves=True)], grid, None)
    line = next(x for x in text.splitlines() if x.startswith("| hrpo | accuracy |"))
    assert line == "| hrpo | accuracy | 0.150 | 0.350 | 0.550 | 0.750 | 0.950 |"


def test_a_table_goes_into_its_place_in_a_page_and_nowhere_else(grid, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- m -->\nold\n<!-- end of m -->\nafter\n", encoding="utf-8")
    write_tables([TableSection("m", "Methods", ("grpo",))], grid, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- m -->\n\n**Methods**")
    assert text.endswith("<!-- end of m -->\nafter\n")
    assert "old" not in text
    with pytest.raises(ValueError, match="has no place for other"):
        write_tables([TableSection("other", "T", ("grpo",))], grid, page)


def test_a_table_of_the_parallel_layout_has_its_own_place_and_says_so(grid, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- m --><!-- end of m -->\n<!-- m-parallel --><!-- end of m-parallel -->\n")
    write_tables([TableSection("m", "Methods", ("grpo",))], replace(grid, parallel=True), page)
    first, second = page.read_text(encoding="utf-8").splitlines()[:2]
    assert first == "<!-- m --><!-- end of m -->"
    assert second == "<!-- m-parallel -->"
    assert "**Methods, parallel layout**" in page.read_text(encoding="utf-8")


def test_a_run_can_be_compared_with_another_than_the_reference(grid):
    table = TableSection("m", "Methods", ("hrpo",), reference="hrpo", against={"hrpo": "grpo"})
    assert table.runs == ("hrpo", "grpo")
    assert "| hrpo - grpo | greedy | +50.0" in write_tables([table], grid, None)


def test_the_pretrained_model_is_one_row_for_all_seeds_by_the_clock_of_sft(
    grid, tokenizer, episodes
):
    """Two of four right; its own streaming.json has another clock than SFT's, which both rows are judged by."""
    codec = Codec(tokenizer, STREAMING.markers)
    parts = (codec, build_layout(STREAMING, codec), STREAMING)
    asked = episodes[:4]
    rollouts = [
        play(
            SequenceState(Request(episode, 0, Mode.ZERO_SHOT), parts[1], codec, STREAMING),
            [(*codec.encode_text(f"The answer is {answer}."), codec.eos_id)],
        )
        for episode, answer in zip(
            asked, (asked[0].answer, asked[1].answer, "98", "99"), strict=True
        )
    ]
    folder = grid.root / "zero-shot" / "chat-model" / "eval"
    record(folder, rollouts, asked, Mode.ZERO_SHOT)
    slow = replace(STREAMING, clock=replace(STREAMING.clock, seconds_per_token=9.0))
    save_streaming(folder.parent, slow)
    for seed in (0, 1):
        sft = grid.root / f"seed-{seed}" / "sft"
        shutil.copytree(grid.root / f"seed-{seed}" / "grpo", sft)
    grid = replace(grid, pretrained="some/chat-model")
    section = TableSection("own", "Own", ("sft", "zero-shot"), reference="sft")
    text = write_tables([section], grid, None)
    own = row(text, "zero-shot |")
    assert own[2].startswith("0.500")
    assert own[3] == "0.500 0.500"
    assert float(own[-1]) < 1.0  # seconds; by its own clock more than 9
    assert row(text, "zero-shot - sft")[2].startswith("+25.0")


def test_it_can_follow_which_phase_went_right(grid):
    marked = {
        ("hrpo", 0.0): [True, True, False, None],  # the first three answers of hrpo are right
        ("grpo", 0.0): [None] * 4,
    }
    for (method, temperature), marks in marked.items():
        seeds = [
            [replace(x, stream_right=mark) for x, mark in zip(seed, marks, strict=True)]
            for seed in grid.outcomes(method, temperature)
        ]
        grid.cache[method, temperature, ""] = seeds
    text = write_tables([TableSection("m", "Methods", ("grpo", "hrpo"), phases=True)], grid, None)
    assert "| hrpo | greedy | 0.667 | 1.000 | 1.000 |" in text
    assert "| grpo | greedy | nan" not in text


def test_the_best_held_out_accuracy_of_each_seed_follows_where_asked(grid):
    for seed, values in ((0, (0.25, 0.5)), (1, (0.75, 0.125))):
        lines = [json.dumps({tables.HELD_OUT: x, "step": 10}) + "\n" for x in values]
        with (grid.run("hrpo", seed) / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.writelines(lines)
    text = write_tables([TableSection("m", "Methods", ("grpo", "hrpo"), held_out=True)], grid, None)
    assert "| hrpo | 0.625 | 0.500 0.750 |" in text
    assert "| grpo | 0" not in text.split("best held-out accuracy")[1]


def test_rows_by_tag_follow_where_asked(grid):
    text = write_tables([TableSection("m", "Methods", ("hrpo", "grpo"), tags=True)], grid, None)
    rows = [line for line in text.splitlines() if "| deep |" in line or "| shallow |" in line]
    assert [row.split(" | ")[0] for row in rows] == sorted(
        (row.split(" | ")[0] for row in rows), reverse=True
    )
    assert sum(int(row.split(" | ")[2]) for row in rows) == 2 * 2 * 4  # methods, seeds, questions


def test_tables_without_records_say_what_to_run(tmp_path):
    grid = Grid(tmp_path, (0,), "adasr ablate")
    with pytest.raises(ValueError, match="no records; run the grid first"):
        write_tables([TableSection("m", "Methods", ("hrpo",))], grid, None)


def test_seeds_and_methods_that_answered_other_questions_are_refused(grid, episodes):
    folder = grid.run("hrpo", 1) / "eval"
    records = folder / Setting(Mode.STREAMING, 0.0).file
    lines = records.read_text(encoding="utf-8").splitlines(keepends=True)
    section = TableSection("m", "Methods", ("grpo", "hrpo"))
    # Fewer questions, and as many others in another order: each pair would be of two questions.
    for order in ((0, 1, 2), (1, 0, 2, 3)):
        write_episodes(folder / EPISODES_FILE, [episodes[n] for n in order])
        records.write_text("".join(lines[n] for n in order), encoding="utf-8")
        with pytest.raises(UserError, match="hrpo/eval: answered other questions than"):
            write_tables([section], Grid(grid.root, grid.seeds), None)


def test_other_traces_of_the_same_questions_are_compared(grid, episodes):
    section = TableSection("m", "Methods", ("grpo", "hrpo"))
    expected = write_tables([section], Grid(grid.root, grid.seeds), None)
    source = replace(episodes[0].source, revision="another")
    untraced = [
        replace(episode, thoughts=None, deep=None, source=source) for episode in episodes[:4]
    ]
    write_episodes(grid.run("hrpo", 1) / "eval" / EPISODES_FILE, untraced)
    assert write_tables([section], Grid(grid.root, grid.seeds), None) == expected


def test_a_baseline_that_reads_first_can_be_the_reference(grid):
    for seed in grid.seeds:
        run = grid.run("grpo", seed)
        run.rename(run.with_name("prefill-only"))
        folder = run.with_name("prefill-only") / "eval"
        streaming = folder / Setting(Mode.STREAMING, 0.0).file
        streaming.rename(folder / Setting(Mode.PREFILL_ONLY, 0.0).file)
    section = TableSection("m", "Methods", ("hrpo",), reference="prefill-only")
    assert "| hrpo - prefill-only | greedy | +50.0" in write_tables([section], grid, None)


def test_curves_of_a_short_training_have_a_column_a_step_and_gaps(grid):
    for method, steps in (("grpo", (1, 2)), ("hrpo", (1,))):
        for seed in grid.seeds:
            lines = [{"step": s, "accuracy": s / 10, "deep/tokens": 4.0} for s in steps]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (grid.run(method, seed) / "metrics.jsonl").write_text(text, encoding="utf-8")
    text = write_tables([TableSection("m", "Methods", ("grpo", "hrpo"), curves=True)], grid, None)
    assert "| while training | mean | step 1 | step 2 |" in text
    assert "| grpo | accuracy | 0.100 | 0.200 |" in text
    assert "| hrpo | accuracy | 0.100 | - |" in text


def test_a_clock_without_time_has_no_speed_up(tmp_path, monkeypatch):
    runs = {name: outcomes("rrww", 4, 0.0) for name in RUNS}
    text, _ = comparison(tmp_path, monkeypatch, runs)
    assert row(text, "hrpo | greedy")[10] == "-"
