"""The advantage's arithmetic: numbers by hand, a naive loop over random groups, and TRL's own statistics."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trl.trainer.utils import nanstd

from adasr_trl.hrpo.advantages import (
    EPSILON,
    AdvantageSettings,
    Granularity,
    Mixing,
    Normalisation,
    Scopes,
    Tokens,
    group_relative,
    hierarchical,
    local_weight_at,
    nan_std,
    relative,
    scoped,
)

NAN = math.nan
REWARDS = st.one_of(st.none(), st.integers(-12, 12).map(lambda quarters: quarters / 4))  # exact


def naive(rewards, min_std=0.0):
    """One group, by a loop; None could not be scored."""
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2:
        return [0.0] * len(rewards)
    mean, std = statistics.fmean(known), max(statistics.stdev(known), min_std)
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
    streaming_BC = torch.tensor(streaming).view(len(streaming), -1)  # C is 1 for stage
    return Scopes(streaming_BC, torch.tensor(deep), torch.tensor(overall))


def relative_of_one(rewards_B, setting, min_std=0.0):
    """Advantages of a single column, (B)."""
    return relative(rewards_B.unsqueeze(1), setting, min_std)[:, 0]


# READ 0, STREAM 1, DEEP 2
PHASES = torch.tensor([[0, 1, 1, 0, 2, 2], [1, 0, 0, 2, 0, 0]])
CHUNKS = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 1, 1, 2, 0, 0]])
BOUNDARIES = torch.tensor([[0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0]]).bool()
TOKENS = Tokens(PHASES, CHUNKS, BOUNDARIES)
HALF = 0.5 / (math.sqrt(0.5) + 1e-4)  # (1 - 1/2) / std of (0, 1)


def test_each_phase_gets_its_own_mix_and_given_tokens_exactly_zero():
    found = hierarchical(
        scopes([1.0, 0.0], [0.0, 1.0], [1.0, 0.0]), TOKENS, AdvantageSettings(2, local_weight=0.25)
    )
    stream, deep = HALF, 0.25 * -HALF + 0.75 * HALF
    expected = [[0, stream, stream, 0, deep, deep], [-stream, 0, 0, -deep, 0, 0]]
    for row, wanted in zip(found.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6)
    assert found[PHASES == 0].abs().max().item() == 0.0


def test_additive_mixing_keeps_the_global_term_whole():
    settings = AdvantageSettings(2, local_weight=0.5, mixing=Mixing.ADDITIVE)
    found = hierarchical(scopes([1.0, 0.0], [0.0, 0.0], [1.0, 0.0]), TOKENS, settings)
    assert found[0, 1].item() == pytest.approx(1.5 * HALF, abs=1e-6)
    assert found[0, 4].item() == pytest.approx(HALF, abs=1e-6)


def test_sentence_granularity_compares_each_thought_with_the_groups_on_the_same_chunk():
    phases = torch.tensor([[1, 1, 1, 2], [1, 1, 1, 2]])
    chunks = torch.tensor([[0, 1, 1, 2], [0, 0, 1, 2]])
    tokens = Tokens(phases, chunks, torch.zeros_like(phases).bool())
    settings = AdvantageSettings(2, local_weight=1.0, granularity=Granularity.SENTENCE)
    rewards = scopes([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0], [0.0, 0.0])
    found = hierarchical(rewards, tokens, settings)
    assert found[0].tolist() == pytest.approx([HALF, -HALF, -HALF, HALF])
    assert found[1].tolist() == pytest.approx([-HALF, -HALF, HALF, -HALF])


def test_a_low_term_of_a_chunk_pulls_its_baseline_down():
    with_skip = relative(
        torch.tensor([[2.0], [2.0], [-1.0]]), AdvantageSettings(3, granularity=Granularity.SENTENCE)
    )
    assert with_skip[:, 0].tolist() == pytest.approx(
        [1 / (3**0.5 + 1e-4)] * 2 + [-1.15463], rel=1e-4
    )


def test_an_episode_with_fewer_chunks_leaves_no_trace_in_the_others():
    rewards = torch.tensor([[1.0, NAN], [0.0, NAN], [1.0, 1.0], [0.0, 0.0]])
    found = relative(rewards, AdvantageSettings(2, granularity=Granularity.SENTENCE))
    assert found[:2, 1].tolist() == [0.0, 0.0]
    assert found[2:, 1].tolist() == pytest.approx([HALF, -HALF])


def test_boundary_granularity_gives_the_local_term_to_deciding_tokens_only():
    settings = AdvantageSettings(2, local_weight=0.25, granularity=Granularity.BOUNDARY)
    found = hierarchical(scopes([1.0, 0.0], [1.0, 0.0], [1.0, 0.0]), TOKENS, settings)
    whole, rest = HALF, 0.75 * HALF
    assert found[0].tolist() == pytest.approx([0, whole, rest, 0, rest, whole])
    assert found[1].tolist() == pytest.approx([-whole, 0, 0, -whole, 0, 0])


def test_without_local_weight_an_unscorable_local_reward_changes_nothing():
    found = hierarchical(
        scopes([NAN, NAN], [0.0, 9.0], [1.0, 0.0]), TOKENS, AdvantageSettings(2, local_weight=0.0)
    )
    assert found[0, 1].item() == found[0, 4].item() == pytest.approx(HALF, abs=1e-6)


def test_a_minimum_standard_deviation_keeps_a_difference_of_one_token_small():
    rewards = scopes([1.0, 0.99], [0.0, 0.0], [1.0, 1.0])
    free = hierarchical(rewards, TOKENS, AdvantageSettings(2, local_weight=1.0))
    held = hierarchical(rewards, TOKENS, AdvantageSettings(2, local_weight=1.0, local_min_std=0.5))
    assert free[0, 1].item() > 0.65
    assert held[0, 1].item() == pytest.approx(0.005 / 0.5001, rel=1e-3)


def test_without_normalisation_the_difference_from_the_mean_is_the_advantage():
    found = relative_of_one(
        torch.tensor([3.0, 1.0, 8.0, NAN]), AdvantageSettings(2, normalisation=Normalisation.NONE)
    )
    assert found.tolist() == [1.0, -1.0, 0.0, 0.0]


def test_normalize_then_sum_gives_a_small_reward_the_same_say_as_a_large_one():
    """Accuracy 1 and 0 beside a format that differs by 0.01 in the other direction: they cancel."""
    rewards = torch.tensor([[1.0, 0.0], [0.0, 0.01], [1.0, 0.01], [0.0, 0.0]])
    settings = AdvantageSettings(2, 0.0, normalisation=Normalisation.NORMALIZE_THEN_SUM)
    names = ["global", "global"]
    summed = scoped(rewards, rewards.unsqueeze(1), torch.ones(2), names, settings).global_B
    assert summed.abs().tolist() == pytest.approx([0.0, 0.0, 1.4, 1.4], abs=0.03)
    found = relative_of_one(summed, settings)
    assert found.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert found.std().item() == pytest.approx(1.0, abs=1e-3)


def test_a_process_gets_its_rows_of_a_group_that_is_split():
    rewards = scopes([1.0, 0.0, 3.0, 1.0], [0.0, 1.0, 0.0, 2.0], [1.0, 0.0, 0.0, 1.0])
    phases = torch.randint(0, 3, (4, 7), generator=torch.Generator().manual_seed(1))

    def tokens(at):
        return Tokens(phases[at], torch.zeros_like(phases[at]), phases[at] > 0)

    whole = hierarchical(rewards, tokens(slice(0, 4)), AdvantageSettings(4))
    parts = [
        hierarchical(rewards, tokens(at), AdvantageSettings(4), at)
        for at in (slice(0, 1), slice(1, 4))
    ]
    assert torch.equal(whole, torch.cat(parts))


def test_scopes_sum_their_own_rewards_with_weights_and_skip_what_could_not_score():
    rewards = torch.tensor([[1.0, 0.5, NAN], [0.0, NAN, NAN]])
    names = ["global", "streaming", "streaming"]
    weights = torch.tensor([1.0, 2.0, 4.0])
    found = scoped(rewards, rewards.unsqueeze(1), weights, names, AdvantageSettings(2))
    assert found.global_B.tolist() == [1.0, 0.0]
    assert found.streaming_BC[0].tolist() == [1.0]
    assert found.streaming_BC[1].isnan().all()
    assert found.deep_B.isnan().all()


@pytest.mark.parametrize(
    ("schedule", "quarter"), [("linear", 0.75), ("cosine", 1.0 - 0.5 * (1 - math.sqrt(0.5)))]
)
def test_lambda_goes_from_its_start_to_its_end(schedule, quarter):
    found = [local_weight_at(progress, 1.0, 0.0, schedule) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([1.0, quarter, 0.5, 0.0])
    assert local_weight_at(0.7, 0.3, None, schedule) == 0.3


# ---- against a loop over tokens


def naive_terms(rows, group_size, normalisation, min_std):
    """Terms of one scope: rows of known numbers or None, by plain Python."""
    found = []
    for start in range(0, len(rows), group_size):
        group = rows[start : start + group_size]
        if normalisation is Normalisation.GROUP:
            found += naive(group, min_std)
            continue
        known = [r for r in group if r is not None]
        found += [0.0 if r is None else r - statistics.fmean(known) for r in group]
    if normalisation is Normalisation.BATCH:
        known = [r for r in rows if r is not None]
        std = max(statistics.stdev(known), min_std) if len(known) > 1 else 0.0
        found = [value / (std + EPSILON) for value in found]
    return found


def naive_hierarchical(streaming, deep, overall, tokens, setting):
    """One token after the other."""
    terms = [
        naive_terms(rows, setting.group_size, setting.normalisation, floor)
        for rows, floor in (
            (deep, setting.local_min_std),
            (overall, 0.0),
        )
    ]
    columns = list(zip(*streaming, strict=True))
    by_chunk = [
        naive_terms(column, setting.group_size, setting.normalisation, setting.local_min_std)
        for column in columns
    ]
    found = []
    for row in range(len(deep)):
        line = []
        for t in range(tokens.phase_BT.size(1)):
            phase = tokens.phase_BT[row, t].item()
            if phase == 0:
                line.append(0.0)
                continue
            chunk = tokens.chunk_BT[row, t].item() if len(columns) > 1 else 0
            local = by_chunk[chunk][row] if phase == 1 else terms[0][row]
            decides = tokens.boundary_BT[row, t].item()
            if setting.granularity is Granularity.BOUNDARY and not decides:
                local = 0.0
            weight = setting.local_weight
            share = 1 - weight if setting.mixing is Mixing.CONVEX else 1.0
            line.append(weight * local + share * terms[1][row])
        found.append(line)
    return found


@given(
    st.data(),
    st.sampled_from(list(Granularity)),
    st.sampled_from([Mixing.CONVEX, Mixing.ADDITIVE]),  # zone sums: test_zone_sum.py
    st.sampled_from([Normalisation.GROUP, Normalisation.NONE]),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([0.0, 0.5]),
)
@settings(deadline=None, max_examples=150)
def test_every_form_equals_a_loop_over_tokens_on_random_groups(
    data, granularity, mixing, normalisation, weight, floor
):
    rows, length, chunks = 6, 5, 3 if granularity is Granularity.SENTENCE else 1
    setting = AdvantageSettings(3, weight, mixing, granularity, normalisation, floor)
    column = st.lists(REWARDS, min_size=rows, max_size=rows)
    deep, overall = data.draw(column), data.draw(column)
    streaming = list(zip(*[data.draw(column) for _ in range(chunks)], strict=True))
    seed = data.draw(st.integers(0, 1000))
    generator = torch.Generator().manual_seed(seed)
    tokens = Tokens(
        torch.randint(0, 3, (rows, length), generator=generator),
        torch.randint(0, chunks, (rows, length), generator=generator),
        torch.randint(0, 2, (rows, length), generator=generator).bool(),
    )
    streaming_BC = torch.stack([tensor(row) for row in streaming])
    found = hierarchical(Scopes(streaming_BC, tensor(deep), tensor(overall)), tokens, setting)
    expected = naive_hierarchical(streaming, deep, overall, tokens, setting)
    for row, wanted in zip(found.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, abs=2e-4)


@given(st.lists(REWARDS, min_size=6, max_size=6), st.sampled_from([0.0, 0.5]))
@settings(deadline=None, max_examples=60)
def test_batch_normalisation_equals_a_loop(rows, floor):
    found = relative_of_one(
        tensor(rows), AdvantageSettings(3, normalisation=Normalisation.BATCH), floor
    )
    expected = naive_terms(rows, 3, Normalisation.BATCH, floor)
    assert found.tolist() == pytest.approx(expected, abs=2e-3)


def naive_normalize_then_sum(columns, weights, group_size):
    """Columns of rewards, None where one could not score: each by its groups, summed, then over all rows."""
    parts = []
    for column in columns:
        found = []
        for start in range(0, len(column), group_size):
            group = column[start : start + group_size]
            known = [r for r in group if r is not None]
            if len(known) < 2:
                found += [None] * group_size  # no deviation of a single number
                continue
            mean, std = statistics.fmean(known), statistics.stdev(known)
            found += [None if r is None else (r - mean) / (std + EPSILON) for r in group]
        parts.append(found)
    rows = []
    for row in zip(*parts, strict=True):
        known = [(w, r) for w, r in zip(weights, row, strict=True) if r is not None]
        rows.append(sum(w * r for w, r in known) if known else None)
    known = [r for r in rows if r is not None]
    if len(known) < 2:
        return [0.0] * len(rows)
    mean, std = statistics.fmean(known), statistics.stdev(known)
    return [0.0 if r is None else (r - mean) / (std + EPSILON) for r in rows]


@given(
    st.lists(st.lists(REWARDS, min_size=6, max_size=6), min_size=2, max_size=3),
    st.sampled_from([(1.0, 0.5, 0.25), (2.0, 0.0, 1.0)]),
)
@settings(deadline=None, max_examples=100)
def test_normalize_then_sum_equals_a_loop(columns, weights):
    weights = weights[: len(columns)]
    setting = AdvantageSettings(3, normalisation=Normalisation.NORMALIZE_THEN_SUM)
    rewards = torch.stack([tensor(column) for column in columns], dim=1)
    names = ["deep"] * len(columns)
    summed = scoped(rewards, rewards.unsqueeze(1), torch.tensor(weights), names, setting)
    found = relative_of_one(summed.deep_B, setting)
    expected = naive_normalize_then_sum(columns, weights, 3)
    assert found.tolist() == pytest.approx(expected, abs=2e-3)


@given(st.lists(st.lists(REWARDS, min_size=6, max_size=6), min_size=2, max_size=3))
@settings(deadline=None, max_examples=60)
def test_normalize_then_sum_of_thoughts_centres_all_thoughts_together(chunks):
    """One reward of C chunks: every chunk by its own group, then all of them as one set of numbers."""
    setting = AdvantageSettings(
        3, granularity=Granularity.SENTENCE, normalisation=Normalisation.NORMALIZE_THEN_SUM
    )
    chunks_BCR = torch.stack([tensor(chunk) for chunk in chunks], dim=1).unsqueeze(-1)
    ones = torch.ones(1)
    scopes = scoped(chunks_BCR[:, 0], chunks_BCR, ones, ["streaming"], setting)
    found = relative(scopes.streaming_BC, setting)
    joined = [reward for chunk in chunks for reward in chunk]  # groups of 3 stay whole
    expected = naive_normalize_then_sum([joined], (1.0,), 3)
    assert found.T.flatten().tolist() == pytest.approx(expected, abs=2e-3)
