"""Rewards as Python writes them: names, functions of both forms, dictionaries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adasr_trl.config.sections import RewardConfig
from adasr_trl.rewards import RewardError, Scope, ScoredRollout, build_rewards
from adasr_trl.rewards.user import with_hooks
from support.example_rollout import EPISODE, ROLLOUT
from support.settings import STREAMING

SCORED = ScoredRollout(ROLLOUT, EPISODE, right=True)


def built(*forms, **more):
    return build_rewards(forms, STREAMING, **more)


def spelled(rewards):
    return [(reward.name, reward.scope.value, reward.weight) for reward in rewards]


def brief(completions, **_columns):
    return [1.0 / (1 + len(text.split())) for text in completions]


def own(rollout, episode):
    return float(len(rollout.thoughts) == len(episode.chunks))


def test_a_name_stands_for_a_reward_in_each_of_its_scopes():
    assert spelled(built("accuracy", "format")) == [
        ("accuracy", "global", 1.0),
        ("format", "streaming", 0.25),
        ("format", "deep", 0.25),
    ]


def test_a_function_is_global_and_a_dictionary_gives_it_scope_and_weight():
    assert spelled(built(brief)) == [("brief", "global", 1.0)]
    form = {"name": own, "scope": "deep", "weight": 0.5}
    assert spelled(built(form)) == [("own", "deep", 0.5)]


def test_a_function_with_the_name_of_a_reward_is_a_function():
    def format(rollout, episode):  # noqa: A001 - a user's name
        return 1.0

    assert spelled(built(format)) == [("format", "global", 1.0)]
    assert spelled(built({"name": format, "scope": "deep"})) == [("format", "deep", 1.0)]


def test_dictionaries_and_configurations_give_the_same_reward():
    config = RewardConfig("adaptive_thinking", "deep", 1.0, {"strength": 0.5})
    form = {"name": "adaptive_thinking", "scope": "deep", "settings": {"strength": 0.5}}
    assert built(form) == built(config)


def test_a_reward_that_is_built_passes():
    rewards = built("accuracy", brief)
    assert built(*rewards) == rewards


def test_a_function_of_trls_form_sees_the_text_of_its_scope_and_the_columns():
    seen = {}

    def judge(prompts, completions, completion_ids, level, answer, **columns):
        seen.update(prompts=prompts, texts=completions, level=level, answer=answer, **columns)
        return [0.5]

    texts = {}
    for scope in Scope:
        form = {"name": judge, "scope": scope.value}
        (reward,) = built(form, columns={EPISODE.id: {"level": 3}})
        assert reward.measure(SCORED).value == 0.5
        texts[scope] = seen["texts"]
    assert seen["prompts"] == [EPISODE.question]
    assert (seen["level"], seen["answer"]) == ([3], [EPISODE.answer])
    assert seen["chunks"] == [EPISODE.chunks]
    thoughts, deep = texts[Scope.STREAMING][0], texts[Scope.DEEP][0]
    assert thoughts == "\n".join(text.strip() for text in ROLLOUT.thoughts if text.strip())
    assert deep.endswith(ROLLOUT.answer.strip())
    assert texts[Scope.GLOBAL] == [f"{thoughts}\n{deep}"]


def test_columns_that_a_function_does_not_take_are_left_out():
    def judge(completions):
        return [float(len(completions))]

    assert built(judge, columns={EPISODE.id: {"level": 3}})[0].measure(SCORED).value == 1.0


def test_weights_are_one_a_form():
    assert spelled(built("format", brief, weights=[0.1, 2.0])) == [
        ("format", "streaming", 0.1),
        ("format", "deep", 0.1),
        ("brief", "global", 2.0),
    ]
    with pytest.raises(RewardError, match="got 1 reward_weights for 2 reward_funcs"):
        built("format", brief, weights=[1.0])
    for weight in (1001.0, -1001.0, float("nan")):
        with pytest.raises(RewardError, match=r"brief has weight .*; expected at most 1000"):
            built("format", brief, weights=[0.25, weight])


class Judge:
    """Looks like a torch module."""

    def state_dict(self):
        return {}

    def __call__(self, rollout, episode):
        return 0.0


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (3, "got 3; expected a function, the name of a reward"),
        ({"scope": "deep"}, "got None; expected a function"),
        ({"name": brief, "scop": "deep"}, "scop"),
        ({"name": brief, "scope": "late"}, "expected streaming or deep or global"),
        (Judge(), "call it in a function of yours"),
        (lambda completions, rubric: [0.0], "lambda: needs the column 'rubric'"),
        ("acuracy", "unknown reward 'acuracy'"),
    ],
)
def test_what_is_no_reward_is_refused(form, message):
    with pytest.raises(RewardError, match=message):
        built(form)


def test_a_function_of_trls_form_is_called_once_for_all_rollouts_with_what_the_trainer_has():
    calls, other = [], replace(EPISODE, id="other")

    def share(completions, trainer_state, level, **columns):
        calls.append((len(completions), trainer_state, level, columns["id"]))
        return [n / len(completions) for n in range(len(completions))]

    (reward,) = built(share, columns={EPISODE.id: {"level": 3}})
    (bound,) = with_hooks([reward], lambda: {"trainer_state": "step 4"})
    values = bound.measure_batch([SCORED, replace(SCORED, episode=other)])
    assert [each.value for each in values] == [0.0, 0.5]
    assert calls == [(2, "step 4", [3, None], [EPISODE.id, "other"])]
    assert bound.measure_batch([]) == []


def test_a_coroutine_is_awaited():
    async def judge(completions, **_columns):
        return [0.25 for _ in completions]

    assert built(judge)[0].measure(SCORED).value == 0.25


@pytest.mark.parametrize("values", [[1.0, 2.0], 3.0, None])
def test_a_batch_of_another_size_is_refused(values):
    def judge(completions):
        return values

    with pytest.raises(Exception, match="expected a list with one number a completion"):
        built(judge)[0].measure(SCORED)
