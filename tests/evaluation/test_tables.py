"""The comparison's table: every number in it from outcomes that a reader can count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.protocol import Ending, Mode
from adasr_trl.evaluation import tables
from adasr_trl.evaluation.outcome import Outcome
from adasr_trl.evaluation.records import Setting


def outcomes(pattern: str, deep: int, seconds: float) -> list[Outcome]:
    """One outcome a letter: r right, w wrong; every second question is tagged deep."""
    return [
        Outcome(
            episode_id=str(k),
            right=letter == "r",
            streaming_tokens=10,
            deep_tokens=deep + 4 * (k % 2),
            total_tokens=10 + deep + 4 * (k % 2),
            skip_rate=0.5,
            answer_latency_seconds=seconds,
            backlog_seconds=0.1,
            overlap=0.5,
            ending=Ending.ANSWERED,
            tags=("deep",) if k % 2 else ("shallow",),
        )
        for k, letter in enumerate(pattern)
    ]


RUNS = {
    "read-then-think": outcomes("rrrrwwwwww", 40, 1.5),
    "sft": outcomes("rrrrrwwwww", 8, 0.5),
    "hrpo": outcomes("rrrrrrrrww", 2, 0.25),
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_outcomes", lambda run, _method, _temperature: RUNS[run.name])
    monkeypatch.setattr(tables, "recorded_settings", lambda _folder: [Setting(Mode.STREAMING, 0.0)])
    monkeypatch.setattr(tables, "load_streaming", lambda _run: StreamingConfig())
    text = tables.write_tables({name: [Path(name)] for name in RUNS}, tmp_path)
    return text, json.loads((tmp_path / "table.json").read_text())


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


def test_a_baseline_more_than_five_points_below_sft_is_called_unfair(written):
    assert "+10.0 points below SFT: NOT a fair baseline" in written[0]


def test_rates_of_the_clock_stand_above_the_table(written):
    assert "150 words a minute, 30 ms a written token, 0.5 ms a read token" in written[0]
