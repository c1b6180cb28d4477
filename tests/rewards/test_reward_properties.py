"""What holds of every sum of built-in rewards that a configuration may name, on random groups of rollouts."""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adasr_trl.config.sections import RewardConfig
from adasr_trl.hrpo.advantages import AdvantageSettings, Granularity, Normalisation
from adasr_trl.hrpo.scoring import scopes_of, score, score_rollouts
from adasr_trl.rewards import BUILT_IN, RewardError, build_rewards
from adasr_trl.rewards.stream_gain import BranchValue, GoldGain
from support.group_scoring import ALONE, EPISODE
from support.scripted import write
from support.settings import STREAMING

WRONG = "9"
# Judge the stream alone: rollouts of equal streams keep the order.
EXEMPT = {"trace_values", "gold_gain", "branch_value"}
SETTINGS = {
    "format": [{}, {"partial_credit": True}],
    "adaptive_thinking": [{}, {"strength": 9.0}],
    "l1_exact": [{"target_tokens": 8, "alpha": 0.2}, {"target_tokens": 1}],
    "l1_max": [{"max_tokens": 8, "alpha": 0.2}],
    "soft_overlong": [{"max_tokens": 10, "buffer_tokens": 8}],
    "cosine": [{"max_tokens": 12}, {"max_tokens": 12, "right_long": -0.5, "wrong_long": 0.0}],
    "skip_bonus": [{}, {"bonus": 1.0}],
    "repetition": [{"words": 1}],
}


@st.composite
def rewards(draw):
    name = draw(st.sampled_from(list(BUILT_IN)))
    scope = draw(st.sampled_from(sorted(each.value for each in BUILT_IN[name].SCOPES)))
    weight = draw(st.sampled_from([0.25, 1.0, 2.0]))
    return RewardConfig(name, scope, weight, draw(st.sampled_from(SETTINGS.get(name, [{}]))))


words = st.lists(st.sampled_from(["Tom", "5", "+", "3", "so"]), max_size=14).map(" ".join)


def built(configs, flat=False, args=None):
    try:
        chosen = build_rewards(configs, STREAMING, flat=flat)
    except RewardError:
        return None
    if args == Normalisation.NORMALIZE_THEN_SUM and any(r.rule.margin < 0 for r in chosen):
        return None  # HRPOConfig.check_rewards refuses these
    return chosen


def stream_values(rollout):
    """Values of streams for the rules that need them: any function of the thoughts, between 0 and 1."""
    lengths = [len(" ".join(rollout.thoughts[:n])) for n in range(len(rollout.thoughts) + 1)]
    values = tuple(length % 7 / 7 for length in lengths)
    return {GoldGain(): values, BranchValue(): values}


def of_group(
    rollouts, chosen, granularity, normalisation=Normalisation.GROUP, progress=0.3, flat=False
):
    """The scopes' sums for one group."""
    values = [stream_values(rollout) for rollout in rollouts]
    rows = score_rollouts(rollouts, [EPISODE] * len(rollouts), chosen, values)
    setting = AdvantageSettings(len(rows), granularity=granularity, normalisation=normalisation)
    scores = score(rows, chosen, ALONE, setting, progress)
    found = scopes_of(scores, chosen, setting, flat=flat)
    return rows, torch.cat(
        [found.streaming_BC, found.deep_B[:, None], found.global_B[:, None]], dim=1
    )


def form_of(row):
    """What a format reward sees."""
    chosen = built([RewardConfig("format", s, 1.0) for s in ("streaming", "deep")])
    found = score_rollouts([row.rollout], [EPISODE], chosen)[0].values
    return [(each.value, each.chunks) for each in found]


@given(
    st.data(),
    st.lists(rewards(), min_size=1, max_size=4),
    st.sampled_from([Granularity.STAGE, Granularity.SENTENCE]),
    st.sampled_from([Normalisation.GROUP, Normalisation.NORMALIZE_THEN_SUM]),
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.3, 1.0])),
)
@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_a_right_answer_never_scores_below_a_wrong_one_of_equal_format_in_any_scope(
    parts, data, configs, granularity, normalisation, flat_and_progress
):
    flat, progress = flat_and_progress
    granularity = Granularity.STAGE if flat else granularity
    chosen = built(configs, flat, normalisation)
    assume(chosen is not None)
    exempt = any(reward.name in EXEMPT for reward in chosen)
    rollouts = [
        write(
            EPISODE,
            parts,
            [data.draw(words) for _ in EPISODE.chunks],
            data.draw(words),
            data.draw(st.sampled_from([EPISODE.answer, WRONG])),
        )
        for _ in range(4)
    ]
    rows, sums = of_group(rollouts, chosen, granularity, normalisation, progress, flat)
    for a in range(4):
        for b in range(4):
            if not rows[a].right or rows[b].right:
                continue
            if form_of(rows[a]) != form_of(rows[b]):
                continue
            if exempt and rollouts[a].thoughts != rollouts[b].thoughts:
                continue
            worse = (sums[a] < sums[b] - 1e-5).nonzero().flatten().tolist()
            assert not worse, (configs, rollouts[a], rollouts[b], sums)


@given(
    st.lists(rewards(), min_size=1, max_size=4),
    st.lists(st.sampled_from(["Tom", "5 + 3", "so", "7"]), max_size=8),
    st.integers(0, 8),
    st.booleans(),
)
@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_reasoning_moved_behind_the_deep_parts_end_marker_never_raises_a_reward(
    parts, configs, reasoning, cut, right
):
    """Without a value behind the marker the end of sequence counts: one more token.

    l1_exact may pay for it (nearer the target), and so may cosine for a wrong answer.
    """
    exempt = {"l1_exact"} if right else {"l1_exact", "cosine"}
    chosen = built([config for config in configs if config.name not in exempt])
    assume(chosen is not None)
    answer = EPISODE.answer if right else WRONG
    skips = [""] * len(EPISODE.chunks)
    beside = [
        write(EPISODE, parts, skips, "Tom 5 so", EPISODE.answer),
        write(EPISODE, parts, skips, "", WRONG),
    ]
    honest = write(EPISODE, parts, skips, " ".join(reasoning), answer)
    moved = write(
        EPISODE, parts, skips, " ".join(reasoning[:cut]), " ".join([*reasoning[cut:], answer])
    )
    assert len(moved.token_ids) == len(honest.token_ids)
    _, before = of_group([honest, *beside], chosen, Granularity.STAGE)
    _, after = of_group([moved, *beside], chosen, Granularity.STAGE)
    before, after = torch.nan_to_num(before[0]), torch.nan_to_num(after[0])
    assert (after <= before + 1e-5).all(), (configs, before, after)


def test_without_the_check_of_sums_a_short_wrong_answer_would_win(parts):
    """The property above is not empty: a lone Kimi reward breaks it, and is refused for that."""
    skips = [""] * len(EPISODE.chunks)
    assert built([RewardConfig("kimi_length", "deep")]) is None
    allowed = built([RewardConfig("kimi_length", "deep"), RewardConfig("accuracy", "deep")])
    rollouts = [
        write(EPISODE, parts, skips, "Tom Tom Tom Tom", EPISODE.answer),
        write(EPISODE, parts, skips, "", WRONG),
    ]
    alone = tuple(dataclasses.replace(r, weight=float(r.name != "accuracy")) for r in allowed)
    _, sums = of_group(rollouts, alone, Granularity.STAGE)
    assert sums[0, -2] < sums[1, -2]
