"""Tokens whose GRPO advantage opposes their phase's own: by hand, on one group."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import Phase
from adasr_trl.hrpo.advantages import AdvantageSettings
from adasr_trl.hrpo.metrics import credit_metrics, opposed
from adasr_trl.hrpo.scoring import score, score_rollouts
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import build_rewards
from support.group_scoring import ALONE
from support.scripted import write
from support.settings import STREAMING

EPISODE = Episode(
    id="e",
    group="e",
    question="How many?",
    chunks=("Tom has 5 coins.", " Tom finds 3 coins."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("test", "1", "Apache-2.0", "train"),
)
COSTS = [
    RewardConfig("accuracy", "global"),
    RewardConfig("adaptive_thinking", "streaming", 0.2),
    RewardConfig("adaptive_thinking", "deep", 1.0),
]


def test_opposite_signs_count_with_their_tokens_and_zeros_are_not_judged():
    first = torch.tensor([1.0, -1.0, 2.0, 0.0, 0.5])
    second = torch.tensor([0.5, 1.0, -1.0, 1.0, 0.0])
    assert opposed(first, second, torch.tensor([10, 20, 30, 40, 50])) == (50, 60)


def test_a_long_stream_before_a_short_deep_part_is_wronged_and_so_is_the_short_one(tokenizer):
    """Both are right; the deep part's cost decides the flat sum, so each stream gets the other's sign."""
    codec = Codec(tokenizer, STREAMING.markers)
    parts = (codec, build_layout(STREAMING, codec), STREAMING)
    rollouts = [
        write(EPISODE, parts, ["Tom Tom Tom Tom 5", "Tom 5 + 3 = 8"], "", "8"),
        write(EPISODE, parts, ["5", ""], "Tom 5 + 3 = 8 so", "8"),
    ]
    rewards = build_rewards(COSTS, STREAMING)
    rows = score_rollouts(rollouts, [EPISODE] * len(rollouts), rewards)
    settings = AdvantageSettings(2)
    batch = SimpleNamespace(rollouts=rows, scores=score(rows, rewards, ALONE, settings, 0.0))
    found = credit_metrics(batch, rewards, settings, slice(0, 2))
    streamed = sum(rollout.tokens_in(Phase.STREAM) for rollout in rollouts)
    deep = sum(rollout.tokens_in(Phase.DEEP) for rollout in rollouts)
    assert found == {
        "credit/flat_against_streaming": (float(streamed), streamed),
        "credit/flat_against_deep": (0.0, deep),
    }


def test_an_evaluation_without_groups_is_not_judged():
    found = credit_metrics(SimpleNamespace(), (), AdvantageSettings(1), slice(0, 1))
    assert set(found.values()) == {(0.0, 0)}
