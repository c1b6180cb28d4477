"""Each alarm rings on the histories it is for, not on others, and says which setting to change."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from adasr_trl.config.sections import AlarmConfig
from adasr_trl.hrpo.alarms import CHECKS, CollapseAlarms, raised

RULE = AlarmConfig(patience=5)
HEALTHY = {
    "accuracy": 0.5,
    "accuracy/needs_deep": 0.4,
    "streaming/skip_rate": 0.4,
    "streaming/capped": 0.0,
    "deep/tokens_needs_deep": 30.0,
    "ending/answered": 0.95,
    "groups/no_signal": 0.3,
    "groups/all_wrong": 0.2,
}


def history(steps=20, **last):
    """``steps`` healthy logs whose last five have other values; keys with __ for /."""
    changes = {key.replace("__", "/"): value for key, value in last.items()}
    logs = [{**HEALTHY, "step": step} for step in range(1, steps + 1)]
    return [*logs[:-5], *({**log, **changes} for log in logs[-5:])]


def names(logs, rule=RULE):
    return [alarm.name for alarm in raised(logs, rule)]


def test_a_healthy_run_rings_nothing():
    assert names(history()) == []
    assert names([]) == []


CASES = [
    ("skips everything", {"streaming__skip_rate": 1.0}, "diversity"),
    ("never skips", {"streaming__skip_rate": 0.0}, "skip_bonus"),
    ("thoughts at the cap", {"streaming__capped": 0.3}, "streaming.max_thought_tokens"),
    (
        "deep part empties",
        {"accuracy__needs_deep": 0.2, "deep__tokens_needs_deep": 5.0},
        "deep adaptive_thinking",
    ),
    ("format falls", {"ending__answered": 0.8}, "weight of format"),
    ("accuracy falls", {"accuracy": 0.35}, "learning_rate"),
    ("no signal", {"groups__no_signal": 1.0, "groups__all_wrong": 1.0}, "num_generations"),
    ("no signal", {"groups__no_signal": 1.0, "groups__all_wrong": 0.0}, "harder ones"),
]


@pytest.mark.parametrize(("name", "changes", "setting"), CASES)
def test_an_alarm_rings_for_its_condition_alone_and_names_a_setting(name, changes, setting):
    (alarm,) = raised(history(**changes), RULE)
    assert alarm.name == name
    assert setting in alarm.message
    assert "up to step 20" in alarm.message


def test_every_alarm_is_among_the_cases():
    assert {name for name, _, _ in CASES} == set(CHECKS)


@pytest.mark.parametrize(
    "changes",
    [
        {"streaming__skip_rate": 0.98},
        {"streaming__skip_rate": 0.02},
        {"streaming__capped": 0.2},
        {"deep__tokens_needs_deep": 5.0},  # shorter, and as often right
        {"accuracy__needs_deep": 0.2},  # less often right, but not for being empty
        {"ending__answered": 0.9},
        {"accuracy": 0.45},
        {"groups__no_signal": 0.99},
    ],
)
def test_near_misses_ring_nothing(changes):
    assert names(history(**changes)) == []


def test_a_condition_must_last():
    logs = history(streaming__skip_rate=1.0)
    assert names(logs[:-1]) == []
    logs[-2] = {**logs[-2], "streaming/skip_rate": 0.5}
    assert names(logs) == []


def test_a_bad_start_is_no_fall_and_evaluation_logs_do_not_count():
    assert names(history(steps=5, accuracy=0.0)) == []
    assert names([*history(), {"eval_accuracy": 0.0, "step": 20}]) == []


def test_episodes_without_tags_or_thoughts_ring_nothing():
    logs = [{"step": s, "accuracy": 0.5, "groups/no_signal": 0.0} for s in range(1, 21)]
    assert names(logs) == []


def test_logs_further_apart_than_the_patience_are_seen():
    logs = [log for log in history(40, accuracy=0.1) if log["step"] % 10 == 0]
    assert names(logs, AlarmConfig(patience=3)) == ["accuracy falls"]  # the first log is before
    assert names(logs, AlarmConfig(patience=10)) == ["accuracy falls"]


def play(alarms, logs):
    control = SimpleNamespace(should_training_stop=False)
    for end in range(1, len(logs) + 1):
        state = SimpleNamespace(log_history=logs[:end], is_world_process_zero=True)
        alarms.on_log(None, state, control)
    return control


def test_it_warns_once_while_the_condition_lasts_and_again_when_it_returns(caplog):
    logs = history(streaming__skip_rate=1.0)
    more = [{**logs[-1], "step": step} for step in range(21, 25)]
    well = [{**HEALTHY, "step": step} for step in range(25, 30)]
    again = [{**logs[-1], "step": step} for step in range(30, 36)]
    with caplog.at_level(logging.WARNING):
        control = play(CollapseAlarms(RULE), [*logs, *more, *well, *again])
    assert len(caplog.records) == 2
    assert "skips everything" in caplog.text
    assert not control.should_training_stop


def test_it_ends_the_training_where_that_was_asked_for():
    alarms = CollapseAlarms(AlarmConfig(patience=5, stop=True))
    assert play(alarms, history(accuracy=0.1)).should_training_stop
    assert "accuracy falls" in alarms.verdict(history(accuracy=0.1))
    assert alarms.verdict(history()) is None
    assert CollapseAlarms(RULE).verdict(history(accuracy=0.1)) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"patience": 0}, "alarms.patience"),
        ({"drop": 0.0}, "alarms.drop"),
        ({"capped": 1.5}, "1.5"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match="alarms") as caught:
        AlarmConfig(**settings)
    assert said in str(caught.value)
