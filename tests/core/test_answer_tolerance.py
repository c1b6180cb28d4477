"""The tolerance of a number: stored in the episode, and obeyed wherever an answer is judged."""

import dataclasses
import json

import pytest

from adasr_trl.core.episode import AnswerType, Episode, EpisodeError, Source, from_json, to_json
from adasr_trl.rewards import answered_right
from adasr_trl.training.episode_rows import as_episodes
from data_builders.pipeline.quality import Bounds
from data_builders.tools import teacher
from support.building import custom, refused, write_rows
from support.timelines import build

EXACT = Episode(
    id="a",
    group="a",
    question="How long is a third of a mile, in miles?",
    chunks=("Tom walks a mile.",),
    answer="0.3333333",
    answer_type=AnswerType.NUMBER,
    source=Source("own", "1", "MIT", "train"),
)
NEAR = dataclasses.replace(EXACT, tolerance=0.001)


def test_it_is_one_key_of_an_episode_s_line_and_absent_where_it_is_none():
    assert from_json(to_json(NEAR)) == NEAR
    assert "tolerance" not in json.loads(to_json(EXACT))
    assert from_json(to_json(EXACT)).tolerance == 0.0
    null = json.dumps({**json.loads(to_json(EXACT)), "tolerance": None})
    assert from_json(null) == EXACT


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "0.1", True])
def test_a_tolerance_that_is_no_share_is_refused(value):
    line = json.dumps({**json.loads(to_json(EXACT)), "tolerance": value})
    with pytest.raises(EpisodeError, match="tolerance is"):
        from_json(line)


def test_only_numbers_have_one():
    with pytest.raises(EpisodeError, match="answer_type is text; only numbers have one"):
        dataclasses.replace(NEAR, answer_type=AnswerType.TEXT)


@pytest.mark.parametrize(("answer", "right"), [("0.333", True), ("0.33", False), ("-0.333", False)])
def test_rewards_evaluation_and_teacher_obey_it(answer, right):
    rollout = dataclasses.replace(build([1], [1], 1), answer=answer)
    assert answered_right(rollout, NEAR) is right
    assert not answered_right(rollout, EXACT)
    reply = teacher.read_reply(f"1: a third\ndeep: <skip>\nanswer: {answer}")
    faults = [teacher.fault_of_reply(episode, reply, Bounds()) for episode in (NEAR, EXACT)]
    wrong = [fault is not None and fault[0] == "wrong_answer" for fault in faults]
    assert wrong == [not right, True]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


ROWS = [{"ask": "How long?", "story": "Tom walks. He rests.", "gold": "0.3333333"}]


def test_a_build_stores_it_in_each_episode(tmp_path, out):
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    more = ("--answer-type", "number", "--answer-tolerance", "0.001", "--test-share", "0")
    assert custom(path, out, *more) == 0
    text = (out / "train.jsonl").read_text()
    assert json.loads(text)["tolerance"] == 0.001


def test_a_build_without_numbers_or_with_another_value_refuses_it(tmp_path, out, capsys):
    path = write_rows(tmp_path / "a.jsonl", [{**ROWS[0], "gold": "long"}])
    status = custom(path, out, "--answer-tolerance", "0.001")
    refused(status, capsys, "--answer-tolerance", "no answer is a number")
    for value in ("1", "x", "-0.1", "nan"):
        status = custom(path, out, f"--answer-tolerance={value}")
        refused(status, capsys, "--answer-tolerance", "expected 0 or more, below 1")


def test_rows_from_python_have_it_too():
    row = {"question": "How long?", "text": "Tom walks.", "answer": "0.3333333", "tolerance": 0.001}
    assert as_episodes([row], "train").episodes[0].tolerance == 0.001
    with pytest.raises(EpisodeError, match="tolerance is 'much'"):
        as_episodes([{**row, "tolerance": "much"}], "train")
