"""From rollouts to scores of single thoughts: skips count, thoughts that were never begun do not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
import torch

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.hrpo.advantages import (
    AdvantageSettings,
    Granularity,
    Mixing,
    Normalisation,
    Tokens,
    hierarchical,
    relative,
    scoped,
)
from adasr_trl.hrpo.scoring import scopes_of, score, score_rollouts
from adasr_trl.rewards import Reward, RewardValue, Rule, Scope, build_rewards
from adasr_trl.rewards.base import HEAVIEST, LARGEST
from support.group_scoring import ALONE, EPISODE
from support.scripted import write
from support.settings import STREAMING

SENTENCE = AdvantageSettings(3, granularity=Granularity.SENTENCE)


def sums(rollouts, *configs):
    rewards = build_rewards(configs, STREAMING)
    rows = score_rollouts(rollouts, [EPISODE] * len(rollouts), rewards)
    scores = score(rows, rewards, ALONE, SENTENCE, progress=0.0)
    return scopes_of(scores, rewards, SENTENCE).streaming_BC


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


def test_each_chunk_is_relative_to_the_groups_thoughts_on_it(parts):
    """Costs 5 and 3 of the first chunk, 1 and 1 of the others; the mean is of the same chunk."""
    rollouts = [write(EPISODE, parts, [each, "", ""], "", "8") for each in ("Tom 5 + 3", "Tom 5")]
    rewards = build_rewards([RewardConfig("adaptive_thinking", "streaming")], STREAMING)
    rows = score_rollouts(rollouts, [EPISODE] * len(rollouts), rewards)
    settings = AdvantageSettings(2, granularity=Granularity.SENTENCE)
    found = score(rows, rewards, ALONE, settings, progress=0.0).streaming_BCR[:, :, 0]
    assert found.tolist() == [[0.75, 1.0, 1.0], [1.25, 1.0, 1.0]]


@dataclass(frozen=True)
class AboveMean(Rule):
    """The tokens above the group's mean, divided by ``by``."""

    by: float = 1.0

    def measure(self, scored, *_):
        return RewardValue(float(scored.rollout.answer_tokens))

    def within_group(self, values_NG, right_NG, progress):
        return (values_NG - values_NG.mean(dim=1, keepdim=True)) / self.by


def scores_above_mean(parts, rule):
    rewards = [Reward("own:AboveMean", Scope.DEEP, 1.0, rule, STREAMING)]
    rollouts = [write(EPISODE, parts, [""] * 3, deep, "8") for deep in ("", "Tom 5 + 3")]
    rows = score_rollouts(rollouts, [EPISODE] * len(rollouts), rewards)
    return score(rows, rewards, ALONE, AdvantageSettings(2), progress=0.0).rewards_BR[:, 0]


def test_a_users_own_rule_is_relative_to_its_group(parts):
    """2 and 6 tokens."""
    assert scores_above_mean(parts, AboveMean()).tolist() == [-2.0, 2.0]


def test_a_reward_of_a_group_that_is_no_number_is_blamed_on_its_rule(parts):
    with pytest.raises(UserError, match="reward own:AboveMean: within_group returned"):
        scores_above_mean(parts, AboveMean(by=0.0))
    with pytest.raises(UserError, match=r"within_group returned .*; expected -1e\+09 to 1e\+09"):
        scores_above_mean(parts, AboveMean(by=1e-10))


@pytest.mark.parametrize("normalisation", Normalisation)
@pytest.mark.parametrize("mixing", Mixing)
def test_advantages_of_the_largest_rewards_and_weights_are_finite(mixing, normalisation):
    """Eight rewards a scope of 256 rows with five thoughts, each at either bound."""
    weight = 1.0 if mixing is Mixing.CONVEX else HEAVIEST
    settings = AdvantageSettings(
        8, weight, mixing, Granularity.SENTENCE, normalisation, difficulty_weight=HEAVIEST
    )
    signs = torch.Generator().manual_seed(0)
    shape = (256, 5, 24)
    rewards_BCR = LARGEST * (2.0 * torch.randint(2, shape, generator=signs) - 1.0)
    names = [scope.value for scope in Scope for _ in range(8)]
    weights_R = torch.full((24,), HEAVIEST)
    scopes = scoped(rewards_BCR[:, 0], rewards_BCR, weights_R, names, settings)
    scopes = dataclasses.replace(scopes, right_B=rewards_BCR[:, 0, 0] > 0)
    phases = torch.tensor([[Phase.STREAM.value] * 5 + [Phase.DEEP.value]] * 256)
    chunks = torch.arange(6).expand(256, 6)
    found = hierarchical(scopes, Tokens(phases, chunks, phases >= 0), settings)
    assert found.isfinite().all()
    assert found.abs().amax() > 0.0
