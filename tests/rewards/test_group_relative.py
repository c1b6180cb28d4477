"""Rewards relative to the group, against numbers by hand and the properties that their docstrings promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.rewards.length import AdaptiveThinking, KimiLength
from adasr_trl.rewards.skipping import Diversity

NAN = math.nan


def within_group(rule, values, right, size=4, progress=0.0):
    """The rewards of groups of this size, as one row of numbers."""
    values_NG, right_NG = values.view(-1, size), right.view(-1, size)
    return rule.within_group(values_NG, right_NG, progress).flatten()


def test_adaptive_thinking_pays_a_right_answer_by_its_cost_within_the_group():
    cost = torch.tensor([10.0, 20.0, 30.0, 1.0])
    right = torch.tensor([True, True, True, False])
    found = within_group(AdaptiveThinking(0.5), cost, right)
    assert found.tolist() == pytest.approx([1.25, 1.0, 0.75, 0.0])


def test_below_a_bar_of_accuracy_a_right_answer_is_worth_one_whatever_it_cost():
    """Two of four right, then one of four; the bar is a half."""
    cost = torch.tensor([10.0, 30.0, 5.0, NAN, 10.0, 30.0, 5.0, 1.0])
    right = torch.tensor([True, True, False, False, True, False, False, False])
    found = within_group(AdaptiveThinking(0.5, when_accuracy=0.5), cost, right)
    assert found[:3].tolist() == pytest.approx([1.25, 0.75, 0.0])
    assert found[3].isnan()
    assert found[4:].tolist() == [1.0, 0.0, 0.0, 0.0]
    hard = within_group(AdaptiveThinking(0.5, when_accuracy=0.75), cost, right)
    assert hard[:3].tolist() == [1.0, 1.0, 0.0]
    assert hard[3].isnan()


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.booleans()), min_size=4, max_size=4),
    st.floats(0, 100),
)
@settings(deadline=None, max_examples=200)
def test_a_right_answer_never_scores_below_a_wrong_one_whatever_it_cost(rollouts, strength):
    cost = torch.tensor([each[0] for each in rollouts])
    right = torch.tensor([each[1] for each in rollouts])
    found = within_group(AdaptiveThinking(strength), cost, right)
    assert (found[right] >= 0.5).all()
    assert (found[~right] == 0.0).all()


def test_kimi_length_goes_from_a_half_for_the_shortest_to_minus_a_half_for_the_longest():
    tokens = torch.tensor([10.0, 20.0, 30.0, 10.0, 30.0, 20.0])
    right = torch.tensor([True, True, True, False, False, False])
    found = within_group(KimiLength(), tokens, right, 6)
    assert found.tolist() == [0.5, 0.0, -0.5, 0.0, -0.5, 0.0]


def test_kimi_length_is_0_where_all_are_equally_long_and_unknown_where_one_is_not_known():
    found = within_group(KimiLength(), torch.tensor([7.0, 7.0, NAN, 4.0]), torch.ones(4).bool(), 2)
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2].isnan()
    assert found[3].item() == 0.0


def test_diversity_pays_the_only_skipper_of_four_fourfold_at_first_and_once_at_last():
    kinds = torch.tensor([2.0, 0.0, 0.0, 0.0])
    right = torch.tensor([True, True, True, False])
    assert within_group(Diversity(), kinds, right, 4, 0.0).tolist() == pytest.approx(
        [4.0, 4 / 3, 4 / 3, 0.0]
    )
    assert within_group(Diversity(), kinds, right, 4, 0.5).tolist() == pytest.approx(
        [2.5, 7 / 6, 7 / 6, 0.0]
    )
    assert within_group(Diversity(), kinds, right, 4, 1.0).tolist() == pytest.approx(
        [1.0, 1.0, 1.0, 0.0]
    )


def test_diversity_counts_only_rollouts_whose_kind_is_known():
    found = within_group(Diversity(), torch.tensor([1.0, NAN, 0.0, 0.0]), torch.ones(4).bool())
    assert found[1].isnan()
    assert found[[0, 2, 3]].tolist() == pytest.approx([3.0, 1.5, 1.5])
