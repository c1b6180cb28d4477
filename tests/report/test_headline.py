"""The head of the report: the verdict, and the model, data and date behind it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest

from adasr_trl.report import Wanted
from adasr_trl.report.gathering import gather
from adasr_trl.report.headline import facts, verdict
from support import reported


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return reported.comparison(tmp_path_factory.mktemp("runs"))


def test_the_verdict_is_of_the_last_method_and_names_the_others(root):
    methods = gather([str(root)], Wanted())
    right, seconds = [], []
    for run in methods[-1].outcomes:
        right += [outcome.right for outcome in run]
        seconds += [outcome.answer_latency_seconds for outcome in run]
    first, rest = verdict(methods)
    assert first == (
        f"HRPO: {100 * sum(right) / len(right):.0f} % right, "
        f"{sum(seconds) / len(seconds):.2f} s after the last sentence"
    )
    assert rest.startswith("SFT: ")


def test_data_seeds_and_date_are_named(root):
    named = dict(facts(gather([str(root)], Wanted())))
    assert named["Data"] == "40 questions of made up (test)"
    day = datetime.now(tz=UTC).strftime("%Y-%m-%d")
    assert named["Runs"] == f"2 seeds a method, evaluated {day}"


@pytest.mark.parametrize(
    ("origin", "config", "said"),
    [
        ({"path": "me/tiny-model"}, None, "tiny-model"),
        (None, {"model_type": "qwen3", "num_hidden_layers": 4, "hidden_size": 128}, "qwen3 archi"),
        (None, None, "not recorded"),
    ],
)
def test_the_model_is_named(root, tmp_path, origin, config, said):
    run = shutil.copytree(root / "seed-0" / "sft", tmp_path / "sft")
    if origin:
        (run / "origin.json").write_text(json.dumps(origin))
    if config:
        (run / "config.json").write_text(json.dumps(config))
    assert dict(facts(gather([str(run)], Wanted())))["Model"].startswith(said)
