"""Rewards that compare a rollout with its episode's trace: trace_values and follows_stream."""

from __future__ import annotations

import dataclasses

import pytest

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.protocol import Ending
from adasr_trl.rewards import ScoredRollout, answered_right, build_rewards
from support.measured_rewards import EPISODE, score
from support.scripted import write
from support.settings import STREAMING

TRACED = dataclasses.replace(EPISODE, thoughts=("Tom 5", "Tom 5 + 3 = 8"), deep="")


@pytest.mark.parametrize(
    ("thoughts", "each"),
    [
        (["so 5", "5 + 3 = 8"], (1.0, 1.0)),  # other words, the same values
        (["Tom 5", "Tom 5 + 3 = 9"], (1.0, 0.0)),
        (["Tom 5", ""], (1.0, 0.0)),  # a skip where the trace works something out
        (["15", "8.0"], (0.0, 0.0)),  # other numbers, and another way to write one
    ],
)
def test_trace_values_is_the_share_of_thoughts_that_do_what_the_trace_does(parts, thoughts, each):
    rollout = write(TRACED, parts, thoughts, "", "8")
    reward = build_rewards([RewardConfig("trace_values", "streaming", 1.0)], STREAMING)[0]
    found = reward.measure(ScoredRollout(rollout, TRACED, right=True))
    assert found.chunks == each
    assert found.value == sum(each) / 2


@pytest.mark.parametrize(
    ("thoughts", "each"),
    [
        (["Tom 6", "Tom 6 + 3 = 9"], (0.0, 1.0)),  # right from a wrong count
        (["Tom 6", "Tom 6 + 3 = 8"], (0.0, 0.0)),  # the trace's count, by a wrong step
        (["", "Tom 3"], (0.0, 1.0)),  # nothing was said before: from 0
        (["so", "Tom 5 + 3 = 8"], (0.0, 0.0)),
    ],
)
def test_trace_values_can_judge_each_step_from_where_the_rollout_was(parts, thoughts, each):
    rollout = write(TRACED, parts, thoughts, "", "8")
    config = RewardConfig("trace_values", "streaming", 1.0, {"relative": True})
    found = build_rewards([config], STREAMING)[0].measure(
        ScoredRollout(rollout, TRACED, right=True)
    )
    assert found.chunks == each


def test_trace_values_knows_nothing_of_an_episode_without_a_trace(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    assert score("trace_values", "streaming", rollout) is None


def test_trace_values_counts_a_thought_where_the_trace_skips_as_wrong_and_a_skip_as_right(parts):
    skipped = dataclasses.replace(EPISODE, thoughts=("Tom 5", ""), deep="")
    reward = build_rewards([RewardConfig("trace_values", "streaming", 1.0)], STREAMING)[0]
    for second, value in (("", 1.0), ("no change", 0.0), ("Tom 5", 0.0)):
        rollout = write(skipped, parts, ["Tom 5", second], "", "8")
        found = reward.measure(ScoredRollout(rollout, skipped, right=True))
        assert found.chunks == (1.0, value)


ASKED = dataclasses.replace(
    EPISODE, thoughts=("Tom 5", "Tom 5 + 3 = 8"), deep="Tom 8 + 2 = 10", answer="10"
)


@pytest.mark.parametrize(
    ("thoughts", "deep", "answer", "value"),
    [
        (["Tom 5", "Tom 5 + 3 = 8"], "Tom 8 + 2 = 10", "10", 1.0),
        (["Tom 5", "Tom 5 + 3 = 9"], "Tom 9 + 2 = 11", "11", 1.0),  # rightly from a wrong count
        (["Tom 5", "Tom 5 + 3 = 9"], "Tom 5 + 3 = 8 , Tom 8 + 2 = 10", "10", 1.0),  # corrected
        (["Tom 5", "Tom 5 + 3 = 8"], "Tom 8 + 2 = 11", "11", 0.0),
        (["Tom 5", "Tom 5 + 3 = 9"], "Tom 9 + 2 = 12", "12", 0.0),
        (["", ""], "", "2", 1.0),  # nothing was said: from 0
        (["Tom 5", "Tom 5 + 3 = 8"], "", "many", 0.0),
    ],
)
def test_follows_stream_judges_the_deep_part_from_where_the_stream_ended(
    parts, thoughts, deep, answer, value
):
    rollout = write(ASKED, parts, thoughts, deep, answer)
    reward = build_rewards([RewardConfig("follows_stream", "deep", 1.0)], STREAMING)[0]
    right = answered_right(rollout, ASKED)
    assert reward.measure(ScoredRollout(rollout, ASKED, right)).value == value


def test_follows_stream_gives_nothing_to_a_rollout_that_did_not_answer(parts):
    rollout = write(ASKED, parts, ["Tom 5", "Tom 5 + 3 = 9"], "Tom 9 + 2 = 11", "11")
    cut = dataclasses.replace(rollout, ending=Ending.OUT_OF_TOKENS)
    reward = build_rewards([RewardConfig("follows_stream", "deep", 1.0)], STREAMING)[0]
    assert reward.measure(ScoredRollout(cut, ASKED, right=False)).value == 0.0


def test_follows_stream_cannot_score_without_a_trace_or_a_number(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    assert score("follows_stream", "deep", rollout) is None
    chosen = dataclasses.replace(ASKED, answer="yes", answer_type=AnswerType.CHOICE)
    reward = build_rewards([RewardConfig("follows_stream", "deep", 1.0)], STREAMING)[0]
    assert reward.measure(ScoredRollout(rollout, chosen, right=False)).value is None
