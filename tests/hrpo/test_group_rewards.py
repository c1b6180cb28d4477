"""Rewards relative to the group, against numbers by hand and the properties that their docstrings promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.hrpo.advantages import by_column
from adasr_trl.hrpo.group_rewards import adaptive_thinking, diversity, kimi_length

NAN = math.nan


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


def test_kimi_length_goes_from_a_half_for_the_shortest_to_minus_a_half_for_the_longest():
    tokens = torch.tensor([10.0, 20.0, 30.0, 10.0, 30.0, 20.0])
    right = torch.tensor([True, True, True, False, False, False])
    found = kimi_length(tokens, right, 6)
    assert found.tolist() == [0.5, 0.0, -0.5, 0.0, -0.5, 0.0]


def test_kimi_length_is_0_where_all_are_equally_long_and_unknown_where_one_is_not_known():
    found = kimi_length(torch.tensor([7.0, 7.0, NAN, 4.0]), torch.tensor([True] * 4), 2)
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2].isnan()
    assert found[3].item() == 0.0


def test_diversity_pays_the_only_skipper_of_four_fourfold_at_first_and_once_at_last():
    kinds = torch.tensor([2.0, 0.0, 0.0, 0.0])
    right = torch.tensor([True, True, True, False])
    assert diversity(kinds, right, 4, 0.0).tolist() == pytest.approx([4.0, 4 / 3, 4 / 3, 0.0])
    assert diversity(kinds, right, 4, 0.5).tolist() == pytest.approx([2.5, 7 / 6, 7 / 6, 0.0])
    assert diversity(kinds, right, 4, 1.0).tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0])


def test_diversity_counts_only_rollouts_whose_kind_is_known():
    found = diversity(torch.tensor([1.0, NAN, 0.0, 0.0]), torch.tensor([True] * 4), 4, 0.0)
    assert found[1].isnan()
    assert found[[0, 2, 3]].tolist() == pytest.approx([3.0, 1.5, 1.5])


def test_each_chunk_is_shaped_as_a_reward_of_its_own():
    cost = torch.tensor([[10.0, 5.0], [30.0, 5.0]])
    right = torch.tensor([True, True])
    found = by_column(lambda column: adaptive_thinking(column, right, 2), cost)
    assert found.tolist() == [[1.5, 1.0], [0.5, 1.0]]
