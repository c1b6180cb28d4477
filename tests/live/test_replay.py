"""adasr replay: what is compared, and the command."""

from __future__ import annotations

import dataclasses
import json

import pytest

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import write_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.live import device_rates
from adasr_trl.live.device_rates import DeviceProfile, clock_of
from adasr_trl.live.replay import ReplayedQuestion, play, summarize, table
from support.live_use import EPISODE, reasoner_of
from support.settings import PARALLEL, STREAMING

PROFILE = DeviceProfile("cpu", 0.5, 0.0, 0.0)


def replayed(measured: float, predicted: float, first: float | None = None) -> ReplayedQuestion:
    return ReplayedQuestion("a", measured, predicted, first, first)


@pytest.mark.parametrize(
    ("measured", "predicted", "within"),
    [
        (1.2, 1.0, True),
        (0.8, 1.0, True),
        (1.25, 1.0, False),
        (0.009, 0.004, True),  # 5 ms
        (0.010, 0.004, False),
    ],
)
def test_a_prediction_is_good_within_20_percent_or_5_milliseconds(measured, predicted, within):
    assert replayed(measured, predicted).within is within


def test_a_row_of_the_table_has_the_medians():
    row = summarize(
        "parallel", 150.0, [replayed(1.0, 1.0), replayed(3.0, 2.0, 0.5), replayed(9.0, 9.1)]
    )
    assert (row.measured_seconds, row.predicted_seconds) == (3.0, 2.0)
    assert row.off_seconds == pytest.approx(0.1)  # of 0, 1 and 0.1
    assert row.within == pytest.approx(2 / 3)
    assert row.first_measured_seconds == 0.5
    assert table([row]).splitlines()[-1] == (
        "| parallel | 150 | 3 | 3.000 | 2.000 | 100.0 | 67% | 0.500 | 0.500 |"
    )


@pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def test_the_prediction_is_the_clocks_for_that_very_rollout(taught, tokenizer, streaming):
    """At half a second a token: what the last thought and the answer's tokens take, whatever was measured."""
    reasoner = reasoner_of(taught, tokenizer, streaming)
    found = play(reasoner, EPISODE, clock_of(PROFILE, Clock(60_000.0)))
    stream = reasoner.start(EPISODE.question)
    for chunk in EPISODE.chunks:
        stream.read(chunk)
    stream.finish()
    rollout = stream.rollout
    tokens = sum(rollout.thought_tokens()) + rollout.answer_tokens
    assert found.predicted_seconds == pytest.approx(0.5 * tokens, abs=0.1)  # all arrive at once
    assert 0 < found.measured_seconds < 5


def test_an_episode_longer_than_the_positions_is_refused(taught, tokenizer):
    longer = dataclasses.replace(EPISODE, chunks=EPISODE.chunks * 100)
    with pytest.raises(UserError, match="longer than the model's positions"):
        play(reasoner_of(taught, tokenizer, STREAMING), longer, clock_of(PROFILE, Clock(600_000.0)))


@pytest.fixture
def run(tmp_path, taught, tokenizer, monkeypatch):
    monkeypatch.setattr(device_rates, "GAP_SECONDS", 0.0)
    monkeypatch.setattr(device_rates, "ROUNDS", 2)
    taught.save_pretrained(tmp_path / "run")
    tokenizer.save_pretrained(tmp_path / "run")
    save_streaming(tmp_path / "run", STREAMING)
    return tmp_path / "run"


def test_the_command_prints_a_row_for_every_speed(run, capsys):
    write_episodes(run / "eval" / "episodes.jsonl", [EPISODE])
    flags = ["--wpm", "30000", "60000", "--layout", "interleaved", "--json"]
    assert adasr(["replay", str(run), "--count", "1", *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["layout"], row["words_per_minute"]) for row in found["table"]] == [
        ("interleaved", 30000),
        ("interleaved", 60000),
    ]
    assert len(found["questions"]) == 2
    assert set(found["profiles"]) == {"interleaved"}


def test_the_taught_layouts_rates_are_kept_in_the_run(run, tmp_path, capsys):
    write_episodes(tmp_path / "some.jsonl", [EPISODE])
    flags = ["--episodes", str(tmp_path / "some.jsonl"), "--wpm", "60000"]
    assert adasr(["replay", str(run), *flags]) == 0
    assert "| interleaved | 60000 | 1 |" in capsys.readouterr().out
    assert (run / "device.json").is_file()


def test_without_episodes_it_says_which_flag_names_them(run, capsys):
    assert adasr(["replay", str(run)]) == 2
    assert "name one with --episodes FILE" in capsys.readouterr().err
