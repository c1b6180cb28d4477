"""From rollouts to scores of single thoughts: skips count, thoughts that were never begun do not."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from adasr_trl.config.sections import RewardConfig
from adasr_trl.hrpo.advantages import Granularity, Settings, relative
from adasr_trl.hrpo.scoring import grade, scopes_of, score
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import build_rewards
from support.group_scoring import ALONE, EPISODE
from support.scripted import write
from support.settings import STREAMING

SENTENCE = Settings(3, granularity=Granularity.SENTENCE)


@pytest.fixture
def parts(tokenizer):
    codec = Codec(tokenizer, STREAMING.markers)
    return codec, build_layout(STREAMING, codec), STREAMING


def sums(rollouts, *configs):
    rewards = build_rewards(configs, STREAMING)
    rows = [grade(rollout, EPISODE, rewards) for rollout in rollouts]
    scores = score(rows, rewards, ALONE, SENTENCE, progress=0.0)
    return scopes_of(scores, rewards, SENTENCE).streaming


def test_a_skipped_sentence_is_a_term_of_its_chunk(parts):
    """Costs of chunk 1: two thoughts of 3 tokens and a skip of 1; the skip is the cheap one, not missing."""
    thoughts = [["Tom 5", "Tom 5", ""], ["Tom 5", "Tom 5", ""], ["Tom 5", "", ""]]
    rollouts = [write(EPISODE, parts, each, "", "8") for each in thoughts]
    found = sums(rollouts, RewardConfig("adaptive_thinking", "streaming"))
    assert found[:, 0].tolist() == [1.0, 1.0, 1.0]
    mean = (3 + 3 + 1) / 3
    expected = [1 - (3 - mean) / mean, 1 - (3 - mean) / mean, 1.5]
    assert found[:, 1].tolist() == pytest.approx(expected)
    advantage = relative(found, SENTENCE)[:, 1]
    assert advantage[2] > 0 > advantage[0]


def test_no_reward_speaks_of_a_thought_that_was_never_begun(parts):
    codec, layout, streaming = parts
    stopping = (codec, layout, dataclasses.replace(streaming, on_malformed="stop"))
    broken = write(EPISODE, stopping, ["Tom <EOR>", "", ""], "", "8")
    whole = write(EPISODE, parts, ["Tom 5", "", ""], "", "9")
    configs = [RewardConfig("accuracy", "streaming"), RewardConfig("cosine", "streaming")]
    found = sums([broken, whole, whole], *configs)
    assert torch.isnan(found[0]).tolist() == [False, True, True]
    assert relative(found, SENTENCE)[0, 1:].tolist() == [0.0, 0.0]
