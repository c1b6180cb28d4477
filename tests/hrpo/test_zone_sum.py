"""Zone sums: rewards are summed before they are normalised; numbers by hand, a loop, and refusals."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.protocol import Phase
from adasr_trl.hrpo import HRPOConfig
from adasr_trl.hrpo.advantages import (
    EPSILON,
    AdvantageSettings,
    Granularity,
    Mixing,
    Scopes,
    Tokens,
    hierarchical,
)
from adasr_trl.hrpo.group_filter import sums

NAN = math.nan
STREAM, DEEP = Phase.STREAM.value, Phase.DEEP.value
# One thought on each of two chunks, then the deep part.
TOKENS = Tokens(
    torch.tensor([[STREAM, 0, STREAM, DEEP]] * 2),
    torch.tensor([[0, 1, 1, 2]] * 2),
    torch.tensor([[True, False, False, True]] * 2),
)


def setting(size=2, **changes):
    return AdvantageSettings(size, mixing=Mixing.ZONE_SUM, **{"local_weight": 1.0, **changes})


def scopes(streaming, deep, overall, right=None):
    rows = len(deep)
    return Scopes(
        torch.tensor(streaming).view(rows, -1),
        torch.tensor(deep),
        torch.tensor(overall),
        None if right is None else torch.tensor(right),
    )


def pair(difference):
    """Normalised advantage of the higher of two rewards."""
    return difference / 2 / (difference / math.sqrt(2) + EPSILON)


def test_a_local_reward_that_outweighs_the_global_one_turns_its_phase_around():
    """Sums (1 + 0, 0 + 3) for thoughts and (1 + 0, 0 + 0) for the deep part."""
    found = hierarchical(scopes([0.0, 3.0], [0.0, 0.0], [1.0, 0.0]), TOKENS, setting())
    expected = [-pair(2.0), 0.0, -pair(2.0), pair(1.0)]
    assert found[0].tolist() == pytest.approx(expected)
    assert found[1].tolist() == pytest.approx([-value for value in expected])


def test_a_small_local_difference_cannot_cancel_the_global_one():
    """Mixed after normalising, 0.01 would count as much as a right answer and cancel it."""
    small = scopes([0.0, 0.01], [0.0, 0.0], [1.0, 0.0])
    found = hierarchical(small, TOKENS, setting())
    after = hierarchical(small, TOKENS, AdvantageSettings(2, 0.5))
    assert found[0, 0].item() == pytest.approx(pair(0.99))
    assert after[0, 0].item() == pytest.approx(0.0, abs=0.02)


def test_lambda_weighs_the_local_reward_within_the_sum():
    found = hierarchical(
        scopes([0.0, 3.0], [0.0, 0.0], [1.0, 0.0]), TOKENS, setting(local_weight=0.25)
    )
    assert found[0, 0].item() == pytest.approx(pair(0.25))  # 1 against 0.75


def test_tokens_that_decide_nothing_have_the_global_advantage():
    found = hierarchical(
        scopes([0.0, 3.0], [0.0, 0.0], [1.0, 0.0]),
        TOKENS,
        setting(granularity=Granularity.BOUNDARY),
    )
    assert found[0].tolist() == pytest.approx([-pair(2.0), 0.0, pair(1.0), pair(1.0)])


def test_without_a_local_reward_a_phase_has_the_global_advantage():
    found = hierarchical(scopes([NAN, NAN], [0.0, 0.0], [1.0, 0.0]), TOKENS, setting())
    assert found[0, 0].item() == pytest.approx(pair(1.0))


def test_a_thought_that_was_never_begun_is_left_out_of_its_baseline():
    rewards = scopes([[1.0, 1.0], [1.0, NAN], [1.0, 0.0]], [0.0] * 3, [0.0] * 3)
    tokens = Tokens(
        *(x[:1].expand(3, -1) for x in (TOKENS.phase_BT, TOKENS.chunk_BT)), TOKENS.boundary_BT
    )
    found = hierarchical(rewards, tokens, setting(3, granularity=Granularity.SENTENCE))
    assert found[:, 2].tolist() == pytest.approx([pair(1.0), 0.0, -pair(1.0)])


def test_positive_advantages_of_thoughts_count_more_where_the_group_is_often_wrong():
    """One of two is right: times 1 + 1 * 1/2; the deep part and negative advantages stay."""
    rewards = scopes([1.0, 0.0], [0.0, 0.0], [1.0, 0.0], right=[True, False])
    found = hierarchical(rewards, TOKENS, setting(difficulty_weight=1.0))
    assert found[0].tolist() == pytest.approx([1.5 * pair(2.0), 0.0, 1.5 * pair(2.0), pair(1.0)])
    assert found[1, 0].item() == pytest.approx(-pair(2.0))


REWARD = st.integers(-8, 8).map(lambda quarters: quarters / 4)


def naive(streaming, deep, overall, right, tokens, chosen):
    """One token after the other, each from its group's sums; no reward is unknown."""
    size, found = chosen.group_size, []
    for row in range(len(deep)):
        group = range(row // size * size, row // size * size + size)
        line = []
        for t in range(tokens.phase_BT.size(1)):
            phase, chunk = tokens.phase_BT[row, t].item(), tokens.chunk_BT[row, t].item()
            own = {
                0: lambda i: 0.0,
                STREAM: lambda i, c=chunk: streaming[i][c],
                DEEP: deep.__getitem__,
            }
            local = own[phase]
            if chosen.granularity is Granularity.BOUNDARY and not tokens.boundary_BT[row, t]:
                local = own[0]
            totals = {i: overall[i] + chosen.local_weight * local(i) for i in group}
            mean, std = statistics.fmean(totals.values()), statistics.stdev(totals.values())
            value = (totals[row] - mean) / (std + EPSILON)
            wrong = 1 - statistics.fmean(float(right[i]) for i in group)
            if phase == STREAM and value > 0 and local is not own[0]:
                value *= 1 + chosen.difficulty_weight * wrong
            line.append(value if phase else 0.0)
        found.append(line)
    return found


@given(
    st.data(),
    st.sampled_from(list(Granularity)),
    st.sampled_from([0.25, 1.0, 2.0]),
    st.sampled_from([0.0, 1.0]),
)
@settings(deadline=None, max_examples=60)
def test_zone_sums_equal_a_loop_over_tokens(data, granularity, weight, difficulty):
    rows, chunks = 6, 3 if granularity is Granularity.SENTENCE else 1
    chosen = setting(3, local_weight=weight, granularity=granularity, difficulty_weight=difficulty)
    column = st.lists(REWARD, min_size=rows, max_size=rows)
    deep, overall = data.draw(column), data.draw(column)
    streaming = list(zip(*[data.draw(column) for _ in range(chunks)], strict=True))
    right = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    tokens = Tokens(
        torch.randint(0, 3, (rows, 5), generator=generator),
        torch.randint(0, chunks, (rows, 5), generator=generator),
        torch.randint(0, 2, (rows, 5), generator=generator).bool(),
    )
    found = hierarchical(scopes(streaming, deep, overall, right), tokens, chosen)
    expected = naive(streaming, deep, overall, right, tokens, chosen)
    for row, wanted in zip(found.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, abs=2e-4)


def test_a_group_whose_sums_are_equal_has_no_signal():
    """The local reward takes away what the global one gives: nothing is left to learn from."""
    rewards = scopes([0.0, 1.0], [0.0, 1.0], [1.0, 0.0])
    assert sums(rewards, setting()).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert sums(rewards, setting(granularity=Granularity.BOUNDARY)).size(1) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixing": "zone_sum", "local_weight": 0.0}, "local_weight is 0"),
        ({"mixing": "zone_sum", "scale_rewards": "none"}, "equals additive"),
        ({"difficulty_weight": 1.0}, "use zone_sum"),
        ({"mixing": "zone_sum", "difficulty_weight": -1.0}, "expected 0 to 1000"),
        ({"mixing": "additive", "local_weight": 1001.0}, "additive mixing expects 0 to 1000"),
        ({"advantages": "flat", "mixing": "zone_sum"}, "mixing: got 'zone_sum', but advantages is"),
        ({"advantages": "flat", "granularity": "sentence"}, "advantages is flat"),
        ({"advantages": "flat", "local_weight": 0.3}, "advantages is flat"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        HRPOConfig(str(tmp_path), use_cpu=True, bf16=False, **changes)
