"""Groups without signal: which they are, how often they are drawn again, and what the trainer then trains on."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.config.sections import GroupFilter
from adasr_trl.engines import hf
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.hrpo.advantages import AdvantageSettings, Granularity, Scopes, scoped
from adasr_trl.hrpo.group_filter import sample_batch, sums, to_resample, verdicts
from adasr_trl.hrpo.scoring import Scores
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.hrpo_training import REWARDS, SETTINGS
from support.scripted import group_of_four, write
from support.settings import STREAMING

NAN = math.nan
FORMS = [["global", "deep"], ["streaming", "streaming"]]
# Five groups of two: all right and varying, all right and equal, all wrong but varying in form, one of each twice, the
# last one without any difference in what is rewarded.
RIGHT = torch.tensor([1, 1, 1, 1, 0, 0, 1, 0, 1, 0]).bool()
ANSWERED = torch.tensor([1, 1, 1, 1, 0, 0, 1, 1, 1, 1]).bool()
SUMS = torch.tensor(
    [
        [0.0, 1],
        [0, -1],
        [0, 0],
        [0, 0],
        [0, 1],
        [0, -1],
        [1, 0],
        [-1, 0],
        [0.7, NAN],
        [0.7 + 1e-8, NAN],
    ]
)


def judged(right=RIGHT):
    return verdicts(Scores(torch.zeros(10, 1), right, ANSWERED, torch.zeros(10, 1, 1)), SUMS, 2)


def test_groups_are_told_apart_by_their_answers():
    found = judged()
    assert found.all_right_N.tolist() == [True, True, False, False, False]
    assert found.all_wrong_N.tolist() == [False, False, True, False, False]
    assert found.format_dead_N.tolist() == [False, False, True, False, False]
    assert found.varies_N.tolist() == [True, False, True, True, False]


def test_by_default_all_wrong_groups_go_and_all_right_ones_stay_while_a_term_varies():
    assert to_resample(judged(), GroupFilter()).tolist() == [False, True, True, False, True]


def test_drop_all_right_is_dapos_form():
    found = to_resample(judged(), GroupFilter(drop_all_right=True))
    assert found.tolist() == [True, True, True, False, True]


def test_by_the_shaped_reward_an_all_wrong_group_stays_for_its_form():
    found = to_resample(judged(), GroupFilter(criterion="reward"))
    assert found.tolist() == [False, True, False, False, True]


@given(
    st.floats(0.05, 3.0), st.floats(0.05, 3.0), st.sampled_from([4, 8, 12]), st.sampled_from(FORMS)
)
@settings(deadline=None, max_examples=60)
def test_a_group_of_equal_rewards_does_not_vary_whatever_the_weights(a, b, size, names):
    """Normalised, rounding would make advantages of it."""
    rewards = torch.full((2 * size, 2), a)
    rewards[size:] = b
    scopes = scoped(
        rewards, rewards.unsqueeze(1), torch.tensor([a, b]), names, AdvantageSettings(size)
    )
    found = sums(scopes, AdvantageSettings(size))
    every = torch.ones(2 * size).bool()
    scores = Scores(rewards, every, every, rewards.unsqueeze(1))
    assert not verdicts(scores, found, size).varies_N.any()


def test_sums_are_those_that_enter_an_advantage():
    streaming = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    scopes = Scopes(streaming, torch.tensor([2.0, 2.0]), torch.tensor([3.0, 3.0]))
    found = sums(scopes, AdvantageSettings(2, granularity=Granularity.SENTENCE))
    assert (found[0] != found[1]).tolist() == [False, True, False, False]
    assert sums(scopes, AdvantageSettings(2, local_weight=0.0)).tolist() == [[3.0], [3.0]]
    assert sums(scopes, AdvantageSettings(2, local_weight=1.0)).shape == (
        2,
        3,
    )  # the global share is 0


class Tries:
    """Rows are numbers: the attempt that they come from. A group is without signal before its own attempt."""

    def __init__(self, good_from):
        self.good_from = good_from  # for each group
        self.asked = []

    def sample(self, places, attempt):
        self.asked.append((tuple(places), attempt))
        return [attempt] * len(places)

    def judge(self, rows):
        right = [rows[2 * g] >= good for g, good in enumerate(self.good_from)]
        right_B = torch.tensor([x for one in right for x in (one, False)])
        rewards = torch.zeros(len(rows), 1)
        scores = Scores(rewards, right_B, right_B, rewards.unsqueeze(1))
        return scores, verdicts(scores, right_B.float().unsqueeze(1), 2)


def test_only_groups_without_signal_are_drawn_again_until_they_have_some():
    tries = Tries([0, 2, 1])
    found = sample_batch(
        tries.sample, tries.judge, [0, 0, 1, 1, 2, 2], GroupFilter(max_resamples=5)
    )
    assert tries.asked == [((0, 1, 2, 3, 4, 5), 0), ((2, 3, 4, 5), 1), ((2, 3), 2)]
    assert found.rollouts == (0, 0, 2, 2, 1, 1)
    assert found.resampled == 3
    assert found.first.all_wrong_N.tolist() == [False, True, True]
    assert not found.last.no_signal.any()


def test_after_the_cap_a_group_without_signal_is_kept():
    tries = Tries([9])
    found = sample_batch(tries.sample, tries.judge, [0, 0], GroupFilter(max_resamples=2))
    assert len(tries.asked) == 3
    assert found.rollouts == (2, 2)
    assert found.last.no_signal.tolist() == [True]


def test_without_a_filter_nothing_is_drawn_again_and_the_counters_still_count():
    tries = Tries([9, 0])
    found = sample_batch(tries.sample, tries.judge, [0, 0, 1, 1], None)
    assert len(tries.asked) == 1
    assert found.first.all_wrong_N.tolist() == [True, False]


def test_a_process_without_any_row_to_draw_again_still_takes_part():
    tries = Tries([0, 9])
    sample_batch(
        tries.sample, tries.judge, [0, 0, 0, 0], GroupFilter()
    )  # its rows are all of group 0
    assert tries.asked[1:] == [((), 1), ((), 2), ((), 3)]


# ---- in the trainer


class Engine:
    """All wrong for the first episode that is asked for, until it is asked again or another one is."""

    def __init__(self, tokenizer, episodes):
        codec = Codec(tokenizer, STREAMING.markers)
        parts = (codec, build_layout(STREAMING, codec), STREAMING)
        self.good = {e.id: group_of_four(e, parts) for e in episodes}
        self.bad = {
            e.id: write(e, parts, [""] * len(e.chunks), "", str(int(e.answer) + 1))
            for e in episodes
        }
        self.calls = []

    def rollout(self, requests, _sampling):
        ids = [request.episode.id for request in requests]
        self.calls.append(ids)
        first = self.calls[0][0]
        if len(self.calls) == 1:
            return [self.bad[i] if i == first else self.good[i][n % 4] for n, i in enumerate(ids)]
        return [self.good[i][n % 4] for n, i in enumerate(ids)]


@pytest.fixture
def engine(tokenizer, episodes, monkeypatch):
    engine = Engine(tokenizer, episodes)
    monkeypatch.setattr(hf, "HFEngine", lambda *_args: engine)
    return engine


def step(model, tokenizer, episodes, out, rule, **changes):
    trainer = HRPOTrainer(
        model,
        args=HRPOConfig(str(out), **{**SETTINGS, "max_steps": 1, **changes}),
        train_dataset=episodes,
        streaming=STREAMING,
        reward_funcs=REWARDS,
        group_filter=rule,
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer


def logged(trainer, key):
    return next(line[key] for line in trainer.state.log_history if key in line)


def test_a_redrawn_group_gets_another_episode_and_its_prompt(
    model, tokenizer, episodes, engine, tmp_path
):
    trainer = step(model, tokenizer, episodes, tmp_path, GroupFilter())
    assert len(engine.calls) == 2
    assert len(set(engine.calls[1])) == 1
    assert engine.calls[1][0] != engine.calls[0][0]
    rows = [row.episode.id for row in trainer.generation_batch.rollouts]
    assert rows == engine.calls[1] + engine.calls[0][4:]
    questions = {e.id: e.question for e in episodes}
    assert list(trainer._logs["prompt"])[-8:] == [questions[i] for i in rows]
    assert logged(trainer, "groups/all_wrong") == 0.5
    assert logged(trainer, "groups/redrawn") == 0.5
    assert logged(trainer, "groups/no_signal") == 0.0


def test_new_rollouts_of_the_same_episode_are_the_other_way(
    model, tokenizer, episodes, engine, tmp_path
):
    step(model, tokenizer, episodes, tmp_path, GroupFilter(redraw="rollouts"))
    assert engine.calls[1] == engine.calls[0][:4]


def test_without_a_filter_the_trainer_asks_once(model, tokenizer, episodes, engine, tmp_path):
    trainer = step(model, tokenizer, episodes, tmp_path, None)
    assert len(engine.calls) == 1
    assert logged(trainer, "groups/no_signal") == 0.5


def test_the_flat_baseline_can_be_filtered_too(model, tokenizer, episodes, engine, tmp_path):
    trainer = step(model, tokenizer, episodes, tmp_path, GroupFilter(), advantages="flat")
    assert len(engine.calls) == 2
    assert logged(trainer, "groups/redrawn") == 0.5


def test_a_filter_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match=r"group_filter\.drop_all_right"):
        GroupFilter(criterion="reward", drop_all_right=True)
    with pytest.raises(ValueError, match=r"group_filter\.max_resamples: got 0"):
        dataclasses.replace(GroupFilter(), max_resamples=0)


def test_two_generation_batches_of_one_step_draw_different_rollouts(
    model, tokenizer, episodes, tmp_path
):
    """The same episodes come twice; with the step alone as the key, so would their rollouts."""
    trainer = HRPOTrainer(
        model,
        args=HRPOConfig(
            str(tmp_path),
            **{**SETTINGS, "generation_batch_size": 4, "max_steps": 1, "temperature": 1.0},
        ),
        train_dataset=[episodes[0], episodes[0]],
        streaming=STREAMING,
        reward_funcs=REWARDS,
        processing_class=tokenizer,
    )
    seen = []
    plain = trainer._generate_batch
    trainer._generate_batch = lambda asked: seen.append(plain(asked)) or seen[-1]
    trainer.train()
    rollouts = [[row.rollout.token_ids for row in found.rollouts] for found in seen]
    assert len(rollouts) == 2
    assert rollouts[0] != rollouts[1]


def test_an_evaluation_with_more_rows_than_a_generation_batch_is_logged(
    model, tokenizer, episodes, tmp_path
):
    changes = {"per_device_eval_batch_size": 16, "num_generations_eval": 1, "max_steps": 1}
    trainer = HRPOTrainer(
        model,
        args=HRPOConfig(str(tmp_path), **{**SETTINGS, **changes}),
        train_dataset=episodes[:4],
        eval_dataset=episodes[4:20],
        streaming=STREAMING,
        reward_funcs=REWARDS,
        processing_class=tokenizer,
    )
    assert 0.0 <= trainer.evaluate()["eval_accuracy"] <= 1.0


def test_what_is_logged_is_of_the_first_draw(model, tokenizer, episodes, engine, tmp_path):
    """4 all wrong, 3 of 4 right: 3/8, although 6/8 are trained on."""
    trainer = step(model, tokenizer, episodes, tmp_path, GroupFilter())
    assert logged(trainer, "accuracy") == pytest.approx(3 / 8)
    assert sum(row.right for row in trainer.generation_batch.rollouts) == 6
