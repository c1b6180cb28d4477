"""Each built-in reward against values that a reader can check, TRL's where it has the same, and bad ones refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from trl.rewards import get_cosine_scaled_reward, get_repetition_penalty_reward
from trl.rewards import get_soft_overlong_punishment as soft_overlong_of_trl

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.protocol import Ending, Mode
from adasr_trl.engines import Request
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.rewards import BUILT_IN, RewardError, build_rewards
from support.measured_rewards import EPISODE, chunks, measured, score
from support.scripted import play, write
from support.settings import STREAMING

# ---- accuracy and format


@pytest.mark.parametrize("scope", ["global", "streaming", "deep"])
def test_accuracy_is_1_for_the_right_answer_and_0_for_a_wrong_one(parts, scope):
    assert score("accuracy", scope, write(EPISODE, parts, ["Tom 5", ""], "", "8")) == 1.0
    assert score("accuracy", scope, write(EPISODE, parts, ["Tom 5", ""], "", "9")) == 0.0


def test_streaming_format_asks_that_every_thought_ended_by_itself(parts):
    kept = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    endless = write(EPISODE, parts, ["Tom 5", "Tom " * 20], "", "8")
    assert score("format", "streaming", kept) == 1.0
    assert score("format", "streaming", endless) == 0.0
    assert chunks("format", endless) == [1.0, 0.0]


def test_partial_credit_for_the_stream_is_the_share_of_thoughts_that_kept_the_format(parts):
    endless = write(EPISODE, parts, ["Tom 5", "Tom " * 20], "", "8")
    assert score("format", "streaming", endless, partial_credit=True) == 0.5


def test_deep_format_asks_for_one_answer(parts):
    assert score("format", "deep", write(EPISODE, parts, ["", ""], "", "8")) == 1.0
    endless = write(EPISODE, parts, ["", ""], "Tom " * 40, "8")
    assert score("format", "deep", endless) == 0.0


def test_partial_credit_for_the_deep_part_is_a_half_for_running_out_of_tokens_only(parts):
    endless = write(EPISODE, parts, ["", ""], "Tom " * 40, "8")
    early = write(EPISODE, parts, ["", ""], "", "Tom " * 40)  # the end marker first: no more
    broken = dataclasses.replace(endless, ending=Ending.MALFORMED)
    found = [score("format", "deep", x, partial_credit=True) for x in (endless, early, broken)]
    assert found == [0.5, 0.5, 0.0]


# ---- lengths


def test_the_streaming_cost_is_tokens_a_chunk_with_skips_counted(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    # " Tom", " 5" and the end marker, then the skip: 4 tokens over 2 chunks
    assert score("adaptive_thinking", "streaming", rollout) == 2.0
    assert chunks("adaptive_thinking", rollout) == [3.0, 1.0]


def test_the_deep_cost_is_tokens_up_to_the_answers_value(parts):
    rollout = write(EPISODE, parts, ["", ""], "Tom 5 + 3", "8")
    # Tom 5 + 3, the end marker, 8; the end of sequence is behind the value
    assert score("adaptive_thinking", "deep", rollout, cost="tokens") == 6.0


def test_the_global_cost_is_both_together(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "Tom 5 + 3", "8")
    assert score("adaptive_thinking", "global", rollout) == 10.0
    assert score("kimi_length", "global", rollout) == 10.0


def test_the_deep_cost_as_latency_adds_the_backlog_of_the_last_thought(parts):
    short = write(EPISODE, parts, ["", ""], "", "8")
    late = write(EPISODE, parts, ["", "Tom 5 + 3"], "", "8")
    a, b = (score("adaptive_thinking", "deep", r, cost="latency") for r in (short, late))
    assert b - a == pytest.approx(4 * 0.1)  # 5 tokens of thought instead of 1 skip


def test_l1_exact_takes_off_alpha_for_each_token_away_from_the_target(parts):
    settings = {"target_tokens": 9, "alpha": 0.1}
    right = write(EPISODE, parts, ["", ""], "Tom 5 + 3", "8")  # 6 tokens
    wrong = write(EPISODE, parts, ["", ""], "Tom 5 + 3", "9")
    assert score("l1_exact", "deep", right, **settings) == pytest.approx(1 - 0.3)
    assert score("l1_exact", "deep", wrong, **settings) == pytest.approx(-0.3)
    assert score("l1_exact", "deep", wrong, target_tokens=900, alpha=0.1) == -1.0


def test_l1_in_the_stream_has_its_target_for_each_thought(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "", "8")  # 3 tokens and 1
    found = measured("l1_exact", "streaming", rollout, target_tokens=2, alpha=0.1)
    assert list(found.chunks) == pytest.approx([0.9, 0.9])
    assert found.value == pytest.approx(0.9)


def test_l1_max_pays_a_half_at_the_limit_and_nothing_to_a_wrong_answer(parts):
    right = write(EPISODE, parts, ["", ""], "Tom 5 + 3", "8")  # 6 tokens
    wrong = write(EPISODE, parts, ["", ""], "Tom 5 + 3", "9")
    found = [score("l1_max", "deep", right, max_tokens=n, alpha=0.1) for n in (6, 8, 60, 1)]
    assert found == pytest.approx([0.5, 0.7, 1.0, 0.0])
    assert score("l1_max", "deep", wrong, max_tokens=60) == 0.0


@pytest.mark.parametrize("words", range(1, 24, 2))
def test_soft_overlong_is_trls(parts, words):
    rollout = write(EPISODE, parts, ["", ""], "Tom " * words, "8")
    tokens = sum(phase == 2 for phase in rollout.phases)
    (expected,) = soft_overlong_of_trl(20, 8)(completion_ids=[[1] * tokens])
    found = score("soft_overlong", "deep", rollout, max_tokens=20, buffer_tokens=8)
    assert found == pytest.approx(expected)


def test_soft_overlong_takes_the_engines_cap_as_its_limit(parts):
    rollout = write(EPISODE, parts, ["Tom 5 + 3 = 8 Tom 5 +", ""], "", "8")  # 10 of 12, and 1
    assert chunks("soft_overlong", rollout, buffer_tokens=4) == [-0.5, 0.0]
    assert score("soft_overlong", "streaming", rollout, buffer_tokens=4) == -0.25


@pytest.mark.parametrize("answer", ["8", "9"])
@pytest.mark.parametrize("words", [1, 6, 18])
def test_cosine_is_trls(parts, answer, words):
    rollout = write(EPISODE, parts, ["", ""], "Tom " * words, answer)
    messages = [[{"content": rf"\boxed{{{answer}}}"}]]
    (expected,) = get_cosine_scaled_reward(16)(
        messages, ["8"], completion_ids=[[1] * rollout.answer_tokens]
    )
    found = score("cosine", "deep", rollout, max_tokens=16)
    assert found == pytest.approx(expected)


# ---- choice and repetition


def test_the_skip_bonus_is_paid_by_the_share_of_skipped_chunks(parts):
    rollout = write(EPISODE, parts, ["Tom 5", ""], "", "8")
    assert score("skip_bonus", "streaming", rollout, bonus=0.2) == pytest.approx(1.1)
    assert chunks("skip_bonus", rollout, bonus=0.2) == [1.0, 1.2]
    wrong = write(EPISODE, parts, ["", ""], "", "9")
    assert score("skip_bonus", "global", wrong, bonus=0.2) == pytest.approx(0.2)


def test_diversity_knows_three_kinds_of_rollout_and_two_of_chunk(parts):
    kinds = [["Tom 5", "Tom 8"], ["Tom 5", ""], ["", ""]]
    rollouts = [write(EPISODE, parts, thoughts, "", "8") for thoughts in kinds]
    assert [score("diversity", "streaming", r) for r in rollouts] == [0.0, 1.0, 2.0]
    assert [chunks("diversity", r) for r in rollouts] == [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


def test_repetition_is_the_share_of_word_pairs_that_stood_before(parts):
    rollout = write(EPISODE, parts, ["Tom 5 Tom 5", "Tom 5"], "", "8")
    # Tom 5, 5 Tom, Tom 5 | Tom 5: 2 of 4 stood before
    assert score("repetition", "streaming", rollout, words=2) == -0.5
    assert chunks("repetition", rollout, words=2) == pytest.approx([-1 / 3, -1.0])


def test_repetition_of_one_text_is_trls(parts):
    rollout = write(EPISODE, parts, ["", ""], "5 5 5 5 3 5 5", "5")
    numbers = [5, 5, 5, 5, 3, 5, 5, 5]
    (expected,) = get_repetition_penalty_reward(2, -0.6)([numbers])
    found = score("repetition", "deep", rollout, words=2, max_penalty=0.6)
    assert found == pytest.approx(expected)
    assert score("repetition", "deep", write(EPISODE, parts, ["", ""], "", "8")) == 0.0


def test_what_needs_thoughts_cannot_be_scored_without_any(parts):
    codec, layout, streaming = parts
    request = Request(EPISODE, 0, Mode.READ_THEN_THINK)
    final = (*codec.marker("reasoning_end"), *codec.encode_text("8"), codec.eos_id)
    rollout = play(SequenceState(request, layout, codec, streaming), [final])
    assert score("accuracy", "deep", rollout) == 1.0
    for name in ("format", "adaptive_thinking", "kimi_length", "skip_bonus", "diversity"):
        assert score(name, "streaming", rollout) is None
    assert score("repetition", "streaming", rollout) is None
    assert score("cosine", "streaming", rollout) is None


def test_a_thought_that_was_never_begun_has_no_value_of_its_own_and_breaks_the_format(parts):
    codec, layout, streaming = parts
    stopping = (codec, layout, dataclasses.replace(streaming, on_malformed="stop"))
    broken = write(EPISODE, stopping, ["Tom <EOR>", ""], "", "8")
    assert broken.thought_endings == (Ending.MALFORMED,)
    assert chunks("format", broken) == [0.0, None]
    assert score("format", "streaming", broken, partial_credit=True) == 0.0
    assert chunks("adaptive_thinking", broken)[1] is None
    for name in ("skip_bonus", "diversity", "repetition"):
        assert chunks(name, broken)[1] is None


# ---- refusals


@pytest.mark.parametrize(
    ("configs", "said"),
    [
        ([RewardConfig("speed", "global")], "unknown reward 'speed'"),
        ([RewardConfig("format", "global")], "scope deep or streaming, not global"),
        ([RewardConfig("repetition", "global")], "scope deep or streaming"),
        ([RewardConfig("skip_bonus", "deep")], "scope global or streaming"),
        ([RewardConfig("accuracy", "global", 0.0)], "every weight is 0"),
        ([], "every weight is 0"),
        ([RewardConfig("accuracy", "global", -1.0)], "weight -1"),
        ([RewardConfig("accuracy", "global", float("nan"))], "weight nan"),
        ([RewardConfig("accuracy", "global", 1001.0)], "weight 1001; expected 0 to 1000"),
        ([RewardConfig("accuracy", "global", 1.0, {"cost": 1})], "settings.cost"),
        ([RewardConfig("adaptive_thinking", "streaming", 1.0, {"cost": "latency"})], "latency"),
        ([RewardConfig("adaptive_thinking", "deep", 1.0, {"cost": "money"})], "tokens or latency"),
        ([RewardConfig("adaptive_thinking", "deep", 1.0, {"strength": -1})], "strength"),
        ([RewardConfig("adaptive_thinking", "deep", 1.0, {"strength": "1"})], "a number"),
        ([RewardConfig("l1_exact", "deep")], "target_tokens is missing"),
        ([RewardConfig("l1_max", "deep", 1.0, {"max_tokens": 0})], "expected 1 or more"),
        ([RewardConfig("cosine", "global")], "max_tokens: missing"),
        ([RewardConfig("soft_overlong", "global", 1.0, {"buffer_tokens": 4})], "max_tokens"),
        ([RewardConfig("soft_overlong", "deep", 1.0, {"buffer_tokens": 400})], "24 at most"),
        ([RewardConfig("skip_bonus", "streaming", 1.0, {"bonus": 1.5})], "expected 0 to 1"),
        ([RewardConfig("repetition", "deep", 1.0, {"words": 0})], "expected 1 or more"),
        ([RewardConfig("accuracy", "global")] * 2, "listed twice"),
        ([RewardConfig("cosine", "deep", 1.0, {"right_long": float("nan")})], "a finite number"),
        ([RewardConfig("cosine", "deep", 1.0, {"max_tokens": 0})], "expected 1 or more"),
        ([RewardConfig("adaptive_thinking", "deep", 1.0, {"min_cost": 0.0})], "above 0"),
    ],
)
def test_a_bad_reward_is_refused_with_its_name(configs, said):
    with pytest.raises(RewardError, match="rewards: ") as caught:
        build_rewards(configs, STREAMING)
    assert said in str(caught.value)
    assert caught.value.position in (None, len(configs) - 1)


def test_a_sum_in_which_a_right_answer_may_score_below_a_wrong_one_is_refused_with_the_cure():
    kimi, right = RewardConfig("kimi_length", "deep", 2.0), RewardConfig("accuracy", "deep", 0.5)
    with pytest.raises(RewardError, match="give accuracy of scope deep a weight of 1 or more"):
        build_rewards([kimi, right], STREAMING)
    assert build_rewards([kimi, dataclasses.replace(right, weight=1.0)], STREAMING)


def test_a_function_of_the_users_does_not_switch_that_check_off(monkeypatch, tmp_path):
    (tmp_path / "idle_rewards.py").write_text("def f(rollout, episode):\n    return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    configs = [RewardConfig("kimi_length", "deep"), RewardConfig("idle_rewards:f", "deep", 0.0)]
    with pytest.raises(RewardError, match="give accuracy"):
        build_rewards(configs, STREAMING)


def test_the_weight_that_a_refusal_names_is_enough():
    weight = 0.6666667
    with pytest.raises(RewardError) as caught:
        build_rewards([RewardConfig("kimi_length", "deep", weight)], STREAMING)
    named = float(str(caught.value).split("a weight of ")[1].split(" ")[0])
    configs = [RewardConfig("kimi_length", "deep", weight), RewardConfig("accuracy", "deep", named)]
    assert build_rewards(configs, STREAMING)


def test_in_the_flat_sum_accuracy_of_one_scope_carries_the_penalties_of_all():
    configs = [RewardConfig("accuracy", "global"), RewardConfig("repetition", "deep", 0.5)]
    assert build_rewards(configs, STREAMING, flat=True)
    with pytest.raises(RewardError, match="scope deep"):
        build_rewards(configs, STREAMING)


def test_every_built_in_reward_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "REWARDS.md").read_text(encoding="utf-8")
    for name, rule in BUILT_IN.items():
        assert not (rule.__doc__ or "").startswith(f"{rule.__name__}("), name  # dataclasses' own
        assert f"| `{name}` |" in page
