"""The advantage's arithmetic: numbers by hand, a naive loop, and TRL's own statistics."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trl.trainer.utils import nanstd

from adasr_trl.advantages import (
    EPSILON,
    Scopes,
    Settings,
    adaptive_thinking,
    group_relative,
    hierarchical,
    nan_std,
    scoped,
)

NAN = math.nan
REWARDS = st.one_of(st.none(), st.integers(-12, 12).map(lambda quarters: quarters / 4))  # exact


def naive(rewards):
    """One group, by a loop; None could not be scored."""
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2:
        return [0.0] * len(rewards)
    mean, std = statistics.fmean(known), statistics.stdev(known)
    return [0.0 if r is None else (r - mean) / (std + EPSILON) for r in rewards]


def tensor(rewards):
    return torch.tensor([NAN if reward is None else reward for reward in rewards])


def test_a_right_and_a_wrong_rollout_are_pulled_apart_by_the_same_amount():
    found = group_relative(torch.tensor([1.0, 0.0]), 2)
    expected = 0.5 / (math.sqrt(0.5) + 1e-4)
    assert found.tolist() == pytest.approx([expected, -expected])


def test_a_group_whose_rewards_are_equal_gets_zero():
    assert group_relative(torch.tensor([2.0, 2.0, 2.0]), 3).tolist() == [0.0, 0.0, 0.0]


@given(st.lists(st.lists(REWARDS, min_size=4, max_size=4), min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_groups_are_normalised_as_a_loop_does_it_and_unscored_rollouts_get_zero(groups):
    found = group_relative(tensor([r for group in groups for r in group]), 4)
    expected = [value for group in groups for value in naive(group)]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_the_standard_deviation_is_trls_to_the_last_bit():
    rewards_NG = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    rewards_NG[3, 2] = NAN
    assert torch.equal(nan_std(rewards_NG), nanstd(rewards_NG, dim=1))


def scopes(streaming, deep, overall):
    return Scopes(torch.tensor(streaming), torch.tensor(deep), torch.tensor(overall))


PHASES = torch.tensor([[0, 1, 1, 0, 2, 2], [1, 0, 0, 2, 0, 0]])  # READ 0, STREAM 1, DEEP 2
HALF = 0.5 / (math.sqrt(0.5) + 1e-4)  # (1 - 1/2) / std of (0, 1)


def test_each_phase_gets_its_own_mix_and_given_tokens_exactly_zero():
    found = hierarchical(
        scopes([1.0, 0.0], [0.0, 1.0], [1.0, 0.0]), PHASES, Settings(2, local_weight=0.25)
    )
    stream, deep = HALF, 0.25 * -HALF + 0.75 * HALF
    expected = [[0, stream, stream, 0, deep, deep], [-stream, 0, 0, -deep, 0, 0]]
    for row, wanted in zip(found.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6)
    assert found[PHASES == 0].abs().max().item() == 0.0


def test_additive_mixing_keeps_the_global_term_whole():
    settings = Settings(2, local_weight=0.5, mixing="additive")
    found = hierarchical(scopes([1.0, 0.0], [0.0, 0.0], [1.0, 0.0]), PHASES, settings)
    assert found[0, 1].item() == pytest.approx(1.5 * HALF, abs=1e-6)
    assert found[0, 4].item() == pytest.approx(HALF, abs=1e-6)


def test_without_local_weight_an_unscorable_local_reward_changes_nothing():
    found = hierarchical(
        scopes([NAN, NAN], [0.0, 9.0], [1.0, 0.0]), PHASES, Settings(2, local_weight=0.0)
    )
    assert found[0, 1].item() == found[0, 4].item() == pytest.approx(HALF, abs=1e-6)


def test_a_minimum_standard_deviation_keeps_a_difference_of_one_token_small():
    rewards = scopes([1.0, 0.99], [0.0, 0.0], [1.0, 1.0])
    free = hierarchical(rewards, PHASES, Settings(2, local_weight=1.0))
    held = hierarchical(rewards, PHASES, Settings(2, local_weight=1.0, local_min_std=0.5))
    assert free[0, 1].item() > 0.65
    assert held[0, 1].item() == pytest.approx(0.005 / 0.5001, rel=1e-3)


def test_a_process_gets_its_rows_of_a_group_that_is_split():
    rewards = scopes([1.0, 0.0, 3.0, 1.0], [0.0, 1.0, 0.0, 2.0], [1.0, 0.0, 0.0, 1.0])
    phases = torch.randint(0, 3, (4, 7), generator=torch.Generator().manual_seed(1))
    whole = hierarchical(rewards, phases, Settings(4))
    parts = [
        hierarchical(rewards, phases[at], Settings(4), at) for at in (slice(0, 1), slice(1, 4))
    ]
    assert torch.equal(whole, torch.cat(parts))


def test_scopes_sum_their_own_rewards_with_weights_and_skip_what_could_not_score():
    rewards = torch.tensor([[1.0, 0.5, NAN], [0.0, NAN, NAN]])
    found = scoped(rewards, torch.tensor([1.0, 2.0, 4.0]), ["global", "streaming", "streaming"])
    assert found.global_B.tolist() == [1.0, 0.0]
    assert found.streaming_B[0].item() == 1.0
    assert found.streaming_B[1].isnan()
    assert found.deep_B.isnan().all()


def test_adaptive_thinking_pays_a_right_answer_by_its_cost_within_the_group():
    cost = torch.tensor([10.0, 20.0, 30.0, 1.0])
    right = torch.tensor([True, True, True, False])
    found = adaptive_thinking(cost, right, 4, strength=0.5)
    assert found.tolist() == pytest.approx([1.25, 1.0, 0.75, 0.0])


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.booleans()), min_size=4, max_size=4),
    st.floats(0, 100),
)
@settings(deadline=None, max_examples=200)
def test_a_right_answer_never_scores_below_a_wrong_one_whatever_it_cost(rollouts, strength):
    cost = torch.tensor([each[0] for each in rollouts])
    right = torch.tensor([each[1] for each in rollouts])
    found = adaptive_thinking(cost, right, 4, strength)
    assert (found[right] >= 0.5).all()
    assert (found[~right] == 0.0).all()
