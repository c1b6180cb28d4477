"""Speeds and budgets swept over made-up records: each point equals what a clock and a cap would have given."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.report.gathering import Wanted, gather
from adasr_trl.report.sweep import SPEEDS, markdown_of, sweep, with_deep_budget
from support import reported
from support.json_lines import json_lines
from support.reported import comparison, episode, rollout


@pytest.fixture(scope="module")
def methods(tmp_path_factory):
    return gather([str(comparison(tmp_path_factory.mktemp("runs"), 12))], Wanted())


def test_latency_grows_with_speed_and_accuracy_stays(methods, parts):
    points = [p for p in sweep(methods, SPEEDS, (None,), lambda _: parts[0]) if p.method == "hrpo"]
    latencies = [round(point.answer_seconds.mean, 6) for point in points]
    assert latencies == sorted(latencies)
    assert latencies[-1] > latencies[0]  # instant: no thought is hidden
    assert len({point.accuracy for point in points}) == 1


def test_instant_input_hides_nothing():
    one = rollout(episode(1), random.Random(0), right=1.0)
    clock = Clock(words_per_minute=math.inf, prefill_seconds_per_token=0.0)
    line = timeline(one, arrivals(episode(1), clock), clock)
    written = one.tokens_in(Phase.STREAM) + one.answer_tokens
    assert line.answer_latency_seconds == pytest.approx(written * clock.seconds_per_token)


def test_a_deep_part_over_its_budget_is_cut_off_and_has_no_answer():
    one = rollout(episode(1), random.Random(3), right=1.0)
    deep = one.tokens_in(Phase.DEEP)
    assert with_deep_budget(one, deep) == one
    cut = with_deep_budget(one, deep - 1)
    assert cut.ending is Ending.OUT_OF_TOKENS
    assert cut.answer is None
    assert cut.tokens_in(Phase.DEEP) == cut.answer_tokens == deep - 1
    assert cut.token_ids == one.token_ids[:-1]


def test_a_budget_of_one_token_answers_nothing(methods, parts):
    points = sweep(methods[:1], (150.0,), (None, 1), lambda _: parts[0])
    assert [point.accuracy.mean > 0 for point in points] == [True, False]
    page = markdown_of(points)
    assert "| 150 | as recorded |" in page
    assert "| 150 | 1 | 0.000" in page


def test_a_budget_below_one_is_refused(capsys):
    assert adasr(["sweep", "runs/none", "--budgets", "0"]) == 2
    assert "--budgets: got 0; expected 1 or more" in capsys.readouterr().err


def told(folder: Path) -> Path:
    """A comparison whose records tell where each answer begins, as new ones do: they need no tokenizer."""
    for file in comparison(folder, 2).glob("seed-*/*/eval/*-temperature-*.jsonl"):
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        lines = [json.dumps(record | {"reasoning_tokens": 1}) + "\n" for record in records]
        file.write_text("".join(lines), encoding="utf-8")
    return folder


def test_speeds_and_budgets_given_twice_are_one_row_and_a_bar_in_a_name_ends_no_cell(tmp_path):
    runs, page = told(tmp_path / "runs"), tmp_path / "s.md"
    twice = ["--speeds", "150", "150.0", "--budgets", "4", "4", "--out", str(page)]
    assert adasr(["sweep", f"a|b={runs}/seed-0/hrpo", *twice]) == 0
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if "b | " in line]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| a\\|b", "150", "as recorded"],
        ["| a\\|b", "150", "4"],
    ]


def test_a_page_that_is_a_folder_is_named_as_it_was_given(tmp_path, capsys):
    runs = told(tmp_path / "runs")
    assert adasr(["sweep", f"{runs}/seed-0/hrpo", "--out", str(tmp_path)]) == 2
    assert f"--out: {tmp_path} is a folder; name a file" in capsys.readouterr().err


MISFITS = [
    ({"chunk_of_token": 99}, "chunk_of_token: got 99; the episode has 3 chunks"),
    ({"chunk_of_token": 1}, "chunk_of_token: got 1 in the deep part; expected 3"),
    ({"discarded": [3, 3]}, "discarded: got 2; expected 0, one a beginning"),
    ({"thoughts": [1, 2, 3]}, "thoughts[0]: got 1; expected text"),
    ({"phases": "R"}, "phases: got 1; expected"),
]


@pytest.mark.parametrize(("change", "message"), MISFITS, ids=[m for _, m in MISFITS])
def test_a_record_that_cannot_be_one_on_its_question_is_named(tmp_path, capsys, change, message):
    run = reported.run(tmp_path / "run", 3, 0, 0.5)
    file = run / "eval" / "streaming-temperature-0.jsonl"
    lines = json_lines(file)
    if isinstance(last := change.get("chunk_of_token"), int):
        change = {"chunk_of_token": [*lines[1]["chunk_of_token"][:-1], last]}
    lines[1] |= change
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert adasr(["sweep", str(run), "--speeds", "150", "--out", str(tmp_path / "s.md")]) == 2
    error = capsys.readouterr().err
    assert f"{file}:2: not a record (" in error
    assert message in error


def test_a_record_that_is_no_text_is_named(tmp_path, capsys):
    run = reported.run(tmp_path / "run", 3, 0, 0.5)
    file = run / "eval" / "streaming-temperature-0.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b'{"\xff": 1}\n', lines[2]]))
    assert adasr(["sweep", str(run), "--out", str(tmp_path / "s.md")]) == 2
    assert f"{file}:2: not a record (UnicodeDecodeError" in capsys.readouterr().err


def test_what_no_page_can_be_made_of_is_refused_before_records_are_read(tmp_path, capsys):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for out, words in ((tmp_path, "is a folder"), (tmp_path / "file" / "s.md", "is a file")):
        for command in ("sweep", "corrections", "report"):
            assert adasr([command, "nowhere", "--out", str(out)]) == 2
            assert words in capsys.readouterr().err


@pytest.mark.parametrize("speed", ["abc", "nan", "0"])
def test_a_speed_that_is_none_is_named_without_a_function_of_the_code(speed, capsys):
    with pytest.raises(SystemExit):
        adasr(["sweep", "runs/tiny", "--speeds", speed])
    error = capsys.readouterr().err
    assert f"argument --speeds: got '{speed}'; expected" in error
    assert "_positive" not in error
