"""Speeds and budgets swept over made-up records: each point equals what a clock and a cap would have given."""

from __future__ import annotations

import math
import random

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.report.gathering import Wanted, gather
from adasr_trl.report.sweep import SPEEDS, markdown_of, sweep, with_deep_budget
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
