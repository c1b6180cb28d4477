"""A reward that the user wrote: found by name, checked before and after it is called."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.errors import UserError
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import RewardError, ScoredRollout, build_rewards, source_digests
from support.scripted import write
from support.settings import STREAMING

DOCS = Path(__file__).parents[2] / "docs" / "REWARDS.md"
(GROUP_RELATIVE,) = re.findall(
    r"```python\n(@dataclass.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL
)
MODULE = f"""
import math
from dataclasses import dataclass
from adasr_trl.rewards import RewardValue, Rule

{GROUP_RELATIVE}

def brevity(rollout, episode, limit=20):
    return rollout.answer_tokens <= limit

def each(rollout, episode):
    return [None, *[0.5] * (len(episode.chunks) - 1)]

def short_list(rollout, episode):
    return [1.0]

def unknown(rollout, episode):
    return None

def word(rollout, episode):
    return "good"

def nan(rollout, episode):
    return math.nan

def broken(rollout, episode):
    return rollout.nothing

def huge(rollout, episode):
    return 10**400

def large(rollout, episode):
    return 1e9 + 1

def mapping(rollout, episode):
    return dict.fromkeys(range(len(episode.chunks)), 0.5)

def word_number(rollout, episode):
    return "1.5"

def array(rollout, episode):
    import torch
    return torch.full((len(episode.chunks),), 0.25)

def no_arguments():
    return 1.0

not_a_function = 3
"""


@pytest.fixture
def _module(tmp_path, monkeypatch):
    (tmp_path / "own_rewards.py").write_text(MODULE)
    (tmp_path / "not_python.py").write_text("def f(:")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_rewards", None)


@pytest.fixture
def graded(tokenizer, episodes):
    codec = Codec(tokenizer, STREAMING.markers)
    parts = (codec, build_layout(STREAMING, codec), STREAMING)
    rollout = write(episodes[0], parts, [""] * len(episodes[0].chunks), "", "8")
    return ScoredRollout(rollout, episodes[0], right=True)


def reward(name, scope="deep", **settings):
    return build_rewards([RewardConfig(f"own_rewards:{name}", scope, 1.0, settings)], STREAMING)[0]


@pytest.mark.usefixtures("_module")
def test_it_gets_rollout_episode_and_settings_and_a_bool_is_a_number(graded):
    assert reward("brevity").measure(graded).value == 1.0
    assert reward("brevity", limit=1).measure(graded).value == 0.0


@pytest.mark.usefixtures("_module")
def test_in_the_stream_it_may_return_one_value_a_chunk_whose_mean_is_the_whole(graded):
    found = reward("each", "streaming").measure(graded)
    assert found.value == 0.5
    assert found.chunks == (None, *[0.5] * (len(graded.episode.chunks) - 1))


@pytest.mark.usefixtures("_module")
def test_an_array_of_one_value_a_chunk_will_do(graded):
    assert reward("array", "streaming").measure(graded).value == 0.25


@pytest.mark.usefixtures("_module")
def test_a_run_is_another_one_when_the_functions_file_changes(tmp_path):
    rewards = (reward("brevity"), reward("each", "streaming"))
    before = source_digests(rewards)
    assert [len(digest) for digest in before.values()] == [64]
    (tmp_path / "own_rewards.py").write_text(MODULE + "\n")
    assert source_digests(rewards) != before
    assert list(source_digests([reward("ShortestRight")])) == list(before)  # a class counts too


@pytest.mark.usefixtures("_module")
def test_a_class_is_measured_alone_and_then_relative_to_its_group(graded):
    """The example of docs/REWARDS.md: the right answers of about the group's least tokens."""
    shortest = reward("ShortestRight", slack=1.0)
    assert shortest.measure(graded).value == graded.rollout.answer_tokens
    tokens_NG = torch.tensor([[4.0, 5.0, 6.0, 4.0], [9.0, 9.0, 9.0, 9.0]])
    right_NG = torch.tensor([[True, True, True, False], [False, True, False, True]])
    found = shortest.rule.within_group(tokens_NG, right_NG, 0.0)
    assert found.tolist() == [[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]


@pytest.mark.usefixtures("_module")
def test_none_means_that_it_cannot_be_scored(graded):
    assert reward("unknown").measure(graded).value is None


@pytest.mark.usefixtures("_module")
@pytest.mark.parametrize(
    ("name", "scope", "said"),
    [
        ("word", "deep", "returned 'good' for episode"),
        ("nan", "deep", "expected -1e+09 to 1e+09, or None"),
        ("broken", "deep", "raised AttributeError for episode"),
        ("each", "deep", "only in scope streaming"),
        ("short_list", "streaming", "expected a list of"),
        ("huge", "deep", "expected -1e+09 to 1e+09, or None"),
        ("large", "deep", "returned 1000000001.0 for episode"),
        ("mapping", "streaming", "a number or None"),
        ("word_number", "deep", "a number or None"),
    ],
)
def test_what_it_returns_is_checked_and_blamed_on_it_by_name(graded, name, scope, said):
    with pytest.raises(UserError, match=f"reward own_rewards:{name}: ") as caught:
        reward(name, scope).measure(graded)
    assert said in str(caught.value)


@pytest.mark.usefixtures("_module")
@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("own_rewards:", {}, "expected module:function"),
        (":brevity", {}, "expected module:function"),
        ("own_rewards:absent", {}, "has no function 'absent'"),
        ("own_rewards:not_a_function", {}, "has no function"),
        ("no_such_module:f", {}, "cannot be imported"),
        ("not_python:f", {}, "cannot be imported (SyntaxError"),
        (".own_rewards:brevity", {}, "expected module:function"),
        ("own_rewards:brevity", {"speed": 1}, "must take (rollout, episode) and its settings"),
        ("own_rewards:no_arguments", {}, "must take"),
        ("own_rewards:ShortestRight", {"speed": 1}, "unknown key settings.speed"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_when_the_config_is_read(name, settings, said):
    with pytest.raises(RewardError) as caught:
        build_rewards([RewardConfig(name, "global", 1.0, settings)], STREAMING)
    assert said in str(caught.value)
    assert caught.value.position == 0
