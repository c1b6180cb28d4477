"""adasr doctor: what can learn passes, what cannot is refused with what to change, and nothing is written."""

from __future__ import annotations

import pytest

from adasr_trl.cli.doctor_checks import (
    Work,
    hours,
    rollout_faults,
    trace_faults,
    versions,
)
from adasr_trl.cli.main import main as adasr
from support import workspace

HEALTHY = {
    "streaming/capped": 0.0, "streaming/malformed": 0.1, "ending/answered": 0.8, "ending/out_of_tokens": 0.1, "accuracy": 0.5,
    "answers/parsed": 1.0, "groups/no_signal": 0.25, "groups/all_right": 0.25,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"streaming/malformed": 1.0}, "adasr sft first"),
        ({"ending/out_of_tokens": 1.0}, "max_deep_tokens"),
        ({"answers/parsed": 0.0}, "answer_type"),
        ({"groups/no_signal": 1.0, "accuracy": 0.0}, "0% of the answers are right"),
        ({"groups/no_signal": 1.0, "groups/all_right": 1.0}, "nothing to learn"),
    ],
)
def test_each_way_not_to_learn_is_named_with_what_to_change(changes, said):
    assert rollout_faults(HEALTHY) == []
    (fault,) = rollout_faults(HEALTHY | changes)
    assert said in fault


def test_traces_that_the_caps_would_cut_are_refused():
    traces = {"streaming/capped": 0.1, "deep/capped": 0.1}
    assert trace_faults(traces) == []
    assert "max_thought_tokens" in trace_faults(traces | {"streaming/capped": 0.6})[0]
    assert "max_deep_tokens" in trace_faults(traces | {"deep/capped": 0.6})[0]


def test_hours_are_steps_times_the_measured_time_of_a_step():
    """24 rollouts a step at half a second each, and 4 micro-batches of 3 s: 24 s a step; 150 steps are an hour."""
    assert hours(150, [Work("rollout", 0.5, 24), Work("micro-batch", 3.0, 4)]) == 1.0


def test_versions_outside_the_tested_range_are_found():
    found = versions(["pytest>=1", "pytest<1", "no-such-package==1"])
    assert [inside for _, _, inside in found] == [True, False]


@pytest.fixture
def root(tmp_path, episodes):
    workspace.make(tmp_path, episodes)
    return tmp_path


def examine(root, name, *flags):
    before = sorted(root.rglob("*"))
    status = adasr(["doctor", "--config", str(root / f"{name}.yaml"), *flags])
    assert sorted(root.rglob("*")) == before
    return status


def test_an_untrained_model_cannot_learn_by_rl_and_its_sft_can(root, capsys):
    scratch = workspace.load(root, "sft")["model"]
    workspace.save(root, "hrpo", {**workspace.load(root, "hrpo"), "model": scratch})
    assert examine(root, "hrpo") == 3
    said = capsys.readouterr().out
    assert "of the thoughts follow the format" in said
    assert "adasr sft" in said
    assert examine(root, "sft", "--lora.r", "4", "--streaming.max_deep_tokens", "4") == 3
    assert "deep parts are longer than streaming.max_deep_tokens" in capsys.readouterr().out
    assert examine(root, "sft", "--lora.r", "4", "--streaming.max_deep_tokens", "60") == 0
    said = capsys.readouterr().out
    assert said.endswith("This run can learn.\n")
    assert "minutes for 6 steps" in said
    assert examine(root, "sft", "--streaming.max_thought_tokens", "1") == 3


def test_a_model_whose_groups_have_right_and_wrong_answers_can_learn(
    root, tokenizer, taught, capsys, monkeypatch
):
    by_length = lambda rollout, _: len(rollout.token_ids) % 3 == 0  # noqa: E731 - it keeps the protocol, and is never right
    monkeypatch.setattr("adasr_trl.hrpo.scoring.answered_right", by_length)
    taught.save_pretrained(root / "sft")
    tokenizer.save_pretrained(root / "sft")
    assert examine(root, "hrpo", "--num_generations", "8") == 0
    said = capsys.readouterr().out
    assert "rollouts: 32 in 4 groups" in said
    assert "all 48 gold answers can" in said
    assert "minutes for 4 steps" in said


def test_a_wrong_configuration_is_refused_as_by_the_run_itself(root, capsys):
    assert examine(root, "hrpo", "--num_generations", "5") == 2
    assert "5" in capsys.readouterr().err
