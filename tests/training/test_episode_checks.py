"""All episodes are checked before the first step: counts, the first one, and the way out."""

from __future__ import annotations

import dataclasses

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.config.sections import DataConfig
from adasr_trl.core.episode import read_episodes, write_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers
from adasr_trl.training.data import load_data
from support import workspace


@pytest.fixture
def root(tmp_path, episodes):
    workspace.make(tmp_path, episodes)
    return tmp_path


def with_untraced(root, count):
    episodes = list(read_episodes(root / "train.jsonl"))
    bare = [dataclasses.replace(e, thoughts=None, deep=None) for e in episodes[:count]]
    write_episodes(root / "train.jsonl", [*bare, *episodes[count:]])
    return bare[0].id


@pytest.mark.parametrize("count", [1, 48])
def test_episodes_without_a_trace_are_counted_and_the_door_is_named(root, capsys, count):
    first = with_untraced(root, count)
    assert adasr(["sft", "--config", str(root / "sft.yaml")]) == 2
    message = capsys.readouterr().err
    assert f"{count} of 48 episodes" in message
    assert f"first: {first!r}" in message
    for door in (
        "adasr data teach",
        "--rationale-column",
        "data.untraced: skip",
        "docs/OWN_DATA.md",
    ):
        assert door in message
    assert not (root / "sft").exists()


def test_episodes_without_a_trace_can_be_left_out_and_are_counted(root, caplog):
    with_untraced(root, 3)
    data = load_data(
        DataConfig(train=str(root / "train.jsonl"), held_out=8, untraced="skip"), Markers()
    )
    assert len(data.train) == 37
    assert "3 of 48 episodes have no trace" in caplog.text
    with_untraced(root, 48)
    with pytest.raises(UserError, match="48 of 48 episodes have no trace"):
        load_data(DataConfig(train=str(root / "train.jsonl"), untraced="skip"), Markers())


def lengthen(root, at):
    episodes = list(read_episodes(root / "train.jsonl"))
    long = episodes[at]
    chunks = tuple(chunk + " Ann sings." * 80 for chunk in long.chunks)
    episodes[at] = dataclasses.replace(long, chunks=chunks)
    write_episodes(root / "train.jsonl", episodes)
    return long.id


@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
@pytest.mark.parametrize("command", ["sft", "hrpo"])
def test_an_episode_longer_than_the_positions_is_found_before_the_first_step(
    root, capsys, command, layout
):
    flags = ["--streaming.layout", layout, "--model.scratch.max_position_embeddings", "256"]
    if command == "hrpo":
        assert adasr(["sft", "--config", str(root / "sft.yaml"), *flags]) == 0
        flags = flags[:2]
    first = lengthen(root, 30)
    capsys.readouterr()
    assert adasr([command, "--config", str(root / f"{command}.yaml"), *flags]) == 2
    message = capsys.readouterr().err
    assert f"1 of 40 episodes are too long (first: {first!r} with " in message
    assert "of 256 positions" in message
    assert "data.too_long: skip" in message
    assert not (root / command / "run.json").exists()
    more = [*flags, "--data.too_long", "skip", "--max_steps", "2"]
    assert adasr([command, "--config", str(root / f"{command}.yaml"), *more]) == 0


def test_evaluation_refuses_questions_that_are_too_long_before_it_asks_any(root, capsys):
    flags = ["--model.scratch.max_position_embeddings", "256", "--max_steps", "2"]
    assert adasr(["sft", "--config", str(root / "sft.yaml"), *flags]) == 0
    assert adasr(["hrpo", "--config", str(root / "hrpo.yaml"), "--max_steps", "2"]) == 0
    questions = list(read_episodes(root / "test.jsonl"))
    chunks = tuple(chunk + " Ann sings." * 80 for chunk in questions[2].chunks)
    questions[2] = dataclasses.replace(questions[2], chunks=chunks)
    write_episodes(root / "test.jsonl", questions)
    capsys.readouterr()
    assert adasr(["eval", "--config", str(root / "eval.yaml")]) == 2
    assert "1 of 6 episodes are too long" in capsys.readouterr().err
    assert not list((root / "hrpo" / "eval").glob("*temperature*"))
