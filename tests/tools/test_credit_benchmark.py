"""The table of wrong signs: its intervals, and the settings that it takes from a configuration."""

from __future__ import annotations

import re

import pytest
import torch

from adasr_trl.cli.prepare import RL_SECTIONS
from adasr_trl.config.loading import load_config
from adasr_trl.config.values import ConfigError
from adasr_trl.hrpo.advantages import Mixing
from benchmarks.credit import difference, lines_of_each, main, settings_of, spread


def loaded(*overrides: str):
    return load_config("configs/demo/hrpo.yaml", overrides, RL_SECTIONS)


def test_a_share_of_none_or_all_has_wilsons_width_over_the_judged_groups():
    judged = torch.tensor([5.0, 0.0, *[3.0] * 9])  # ten groups hold a judged token
    assert spread(torch.zeros(11), judged) == "0.000 (0.000 to 0.278)"
    assert spread(judged, judged) == "1.000 (0.722 to 1.000)"


def test_a_share_of_no_judged_token_is_none():
    assert spread(torch.zeros(3), torch.zeros(3)) == "-"


def test_a_share_between_lies_in_its_interval():
    found = spread(torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.full((4,), 2.0))
    share, low, high = map(float, re.findall(r"\d\.\d+", found))
    assert (share, low <= share <= high) == (0.25, True)


def test_advantages_are_those_of_the_configuration_in_groups_of_another_size():
    found = settings_of(loaded("--mixing", "zone_sum", "--local_weight", "4.0"), 4)
    assert (found.group_size, found.mixing, found.local_weight) == (4, Mixing.ZONE_SUM, 4.0)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--granularity", "sentence", "granularity: got sentence; a phase is judged as a whole"),
        ("--mixing", "zone", "mixing: got 'zone'"),
        ("--local_weight", "-1", "local_weight: got -1"),
    ],
)
def test_settings_that_it_cannot_judge_are_refused(flag, value, message):
    with pytest.raises(ConfigError, match=message):
        settings_of(loaded(flag, value), 4)


def test_a_group_of_one_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--config", "configs/demo/hrpo.yaml", "--group", "1"])
    assert "--group: got 1; expected 2 or more" in capsys.readouterr().err


def test_a_difference_is_of_the_same_groups():
    judged = torch.tensor([4.0, 4.0, 0.0])
    same = torch.tensor([1.0, 3.0, 0.0])
    assert difference(same, same, judged) == "+0.000 (+0.000 to +0.000)"
    found = difference(same, torch.tensor([0.0, 2.0, 0.0]), judged)  # one token less in each group
    assert found == "-0.250 (-0.250 to -0.250)"
    assert difference(same, same, torch.zeros(3)) == "-"


def test_each_reward_is_judged_in_its_own_phases_against_the_same_verdict():
    deserved = torch.tensor([[0.5, 0.0], [-0.5, 0.0]])
    tokens = torch.tensor([[3, 1], [1, 1]])
    streaming = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    forms = {
        "flat, all rewards": torch.tensor([[-1.0, -1.0], [1.0, 1.0]]),
        "HRPO, stage": streaming,
        "a alone": streaming,
    }
    assert lines_of_each(deserved, tokens, {"a": forms}, 2) == [
        ["streaming", "a", "1.000 (0.207 to 1.000)", "0.000 (0.000 to 0.793)", "-1.000 (-1.000 to -1.000)"]
    ]  # fmt: skip
