"""Each reward against values that a reader can check, and bad rewards refused."""

from __future__ import annotations

import pytest
from conftest import STREAMING
from scripted import write

from adasr_trl.clock import Clock
from adasr_trl.codec import Codec
from adasr_trl.config_sections import RewardConfig
from adasr_trl.episode import AnswerType, Episode, Source
from adasr_trl.layouts import build_layout
from adasr_trl.rewards import build_rewards

EPISODE = Episode(
    id="e",
    group="e",
    question="How many coins does Tom have?",
    chunks=("Tom has 5 coins.", " Tom finds 3 coins."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("test", "1", "Apache-2.0", "train"),
)


@pytest.fixture
def parts(tokenizer):
    codec = Codec(tokenizer, STREAMING.markers)
    return codec, build_layout(STREAMING, codec), STREAMING


def score(name, scope, rollout, **settings):
    clock = Clock(150, seconds_per_token=0.1, prefill_seconds_per_token=0.01)
    (reward,) = build_rewards([RewardConfig(name, scope, 1.0, settings)], clock)
    return reward.measure(rollout, EPISODE)


def test_accuracy_is_1_for_the_right_answer_and_0_for_a_wrong_one(parts):
    assert score("accuracy", "global", write(EPISODE, parts, ["Tom 5", ""], "", "8")) == 1.0
    assert score("accuracy", "global", write(EPISODE, parts, ["Tom 5", ""], "", "9")) == 0.0


def test_streaming_format_asks_that_every_thought_ended_by_itself(parts):
    kept = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    endless = write(EPISODE, parts, ["Tom 5", "Tom " * 20], "", "8")
    assert score("format", "streaming", kept) == 1.0
    assert score("format", "streaming", endless) == 0.0


def test_deep_format_asks_for_one_answer(parts):
    assert score("format", "deep", write(EPISODE, parts, ["", ""], "", "8")) == 1.0
    endless = write(EPISODE, parts, ["", ""], "Tom " * 40, "8")
    assert score("format", "deep", endless) == 0.0


def test_the_streaming_cost_is_tokens_a_chunk_with_skips_counted(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    # " Tom", " 5" and the end marker, then the skip: 4 tokens over 2 chunks
    assert score("adaptive_thinking", "streaming", rollout) == 2.0


def test_the_deep_cost_is_tokens_up_to_the_answers_value(parts):
    rollout = write(EPISODE, parts, ["", ""], "Tom 5 + 3", "8")
    # Tom 5 + 3, the end marker, 8; the end of sequence is behind the value
    assert score("adaptive_thinking", "deep", rollout, cost="tokens") == 6.0


def test_the_deep_cost_as_latency_adds_the_backlog_of_the_last_thought(parts):
    short = write(EPISODE, parts, ["", ""], "", "8")
    late = write(EPISODE, parts, ["", "Tom 5 + 3"], "", "8")
    a, b = (score("adaptive_thinking", "deep", r, cost="latency") for r in (short, late))
    assert b - a == pytest.approx(4 * 0.1)  # 5 tokens of thought instead of 1 skip


@pytest.mark.parametrize(
    ("configs", "said"),
    [
        ([RewardConfig("speed", "global")], "unknown reward 'speed'"),
        ([RewardConfig("accuracy", "deep")], "scope global"),
        ([RewardConfig("accuracy", "global", 0.0)], "every weight is 0"),
        ([], "every weight is 0"),
        ([RewardConfig("accuracy", "global", -1.0)], "weight -1"),
        ([RewardConfig("accuracy", "global", 1.0, {"cost": 1})], "no setting 'cost'"),
        ([RewardConfig("adaptive_thinking", "streaming", 1.0, {"cost": "latency"})], "latency"),
        ([RewardConfig("adaptive_thinking", "deep", 1.0, {"strength": -1})], "strength"),
        ([RewardConfig("accuracy", "global")] * 2, "listed twice"),
    ],
)
def test_a_bad_reward_is_refused_with_its_name(configs, said):
    with pytest.raises(ValueError, match="rewards: ") as caught:
        build_rewards(configs, Clock())
    assert said in str(caught.value)
