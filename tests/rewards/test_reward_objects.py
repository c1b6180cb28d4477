"""Rewards that are no plain function: partials, instances, wrapped functions, coroutines; and lists that are none."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from array import array
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from adasr_trl.artifacts.directory import Existing
from adasr_trl.cli.prepare import prepare
from adasr_trl.cli.run_plan import plan_run
from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.errors import UserError
from adasr_trl.rewards import ScoredRollout, build_rewards, source_digests
from adasr_trl.rewards.awaiting import settled
from support import workspace
from support.example_rollout import EPISODE, ROLLOUT
from support.settings import STREAMING

SCORED = ScoredRollout(ROLLOUT, EPISODE, right=True)
PAIR = [SCORED, replace(SCORED, episode=replace(EPISODE, id="other"))]
UNDER = """
def scaled(rollout, episode, scale=1.0):
    return scale

class Constant:
    def __init__(self, value):
        self.value = value

    def __call__(self, completions, **columns):
        return [self.value for _ in completions]

    def of_one(self, rollout, episode):
        return self.value

def passed(function):
    import functools
    @functools.wraps(function)
    def wrapper(*given, **more):
        return function(*given, **more)
    return wrapper
"""
NAMED = """
import asyncio, functools, operator
from under_rewards import Constant, passed, scaled

part = functools.partial(scaled, scale=0.5)
part_of_part = functools.partial(functools.partial(scaled), scale=0.5)
instance = Constant(0.5)
method = instance.of_one
of_c = operator.eq

@functools.lru_cache
def cached(completions=(), value=0.5):
    return value

@passed
def wrapped(rollout, episode):
    return 0.5

async def later(rollout, episode):
    await asyncio.sleep(0)
    return 0.5

async def each_later(rollout, episode):
    return [0.5 for _ in episode.chunks]
"""


@pytest.fixture
def _modules(tmp_path, monkeypatch):
    (tmp_path / "under_rewards.py").write_text(UNDER)
    (tmp_path / "named_rewards.py").write_text(NAMED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("named_rewards", "under_rewards"):
        sys.modules.pop(name, None)


def named(name, scope="deep"):
    return build_rewards([RewardConfig(f"named_rewards:{name}", scope, 1.0, {})], STREAMING)[0]


def given(function, scope="deep"):
    return build_rewards([{"name": function, "scope": scope}], STREAMING)[0]


def files(name):
    return {Path(file).stem for file in source_digests([named(name)])}


@pytest.mark.usefixtures("_modules")
@pytest.mark.parametrize("name", ["part", "part_of_part", "instance", "method", "wrapped", "later"])
def test_an_object_that_can_be_called_is_a_reward_by_name(name):
    assert [value.value for value in named(name).measure_batch(PAIR)] == [0.5, 0.5]


@pytest.mark.usefixtures("_modules")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("part", {"named_rewards", "under_rewards"}),
        ("part_of_part", {"named_rewards", "under_rewards"}),
        ("instance", {"named_rewards", "under_rewards"}),
        ("wrapped", {"named_rewards", "under_rewards"}),
        ("cached", {"named_rewards"}),
        ("later", {"named_rewards"}),
        ("method", {"under_rewards"}),
        ("scaled", {"under_rewards"}),
    ],
)
def test_a_run_notes_the_files_of_what_lies_under_an_object(name, expected):
    """Of an object, that of the module which makes it, too; a Python library's own files are none of the user's."""
    assert files(name) == expected


@pytest.mark.usefixtures("_modules")
def test_a_run_of_the_command_line_is_planned_with_them(tmp_path, episodes):
    workspace.make(tmp_path, episodes)
    config = workspace.load(tmp_path, "sft")
    names = ("part", "instance", "cached", "later")
    rewards = [{"name": f"named_rewards:{name}", "scope": "global"} for name in names]
    workspace.save(tmp_path, "hrpo", {**workspace.load(tmp_path, "hrpo"), "rewards": rewards})
    prepared = prepare(str(tmp_path / "hrpo.yaml"), ["--model", str(config["model"])], "hrpo")
    code = plan_run(prepared, Existing.REFUSE).identity["code"]
    assert {Path(file).stem for file in code} == {"named_rewards", "under_rewards"}


@pytest.mark.usefixtures("_modules")
def test_a_callable_of_c_has_the_file_that_makes_it():
    assert files("of_c") == {"named_rewards"}


@pytest.mark.usefixtures("_modules")
def test_a_coroutine_of_one_rollout_is_awaited():
    assert named("each_later", "streaming").measure(SCORED).value == 0.5


def test_coroutines_run_in_a_running_loop_and_share_one_for_what_they_keep():
    bound = asyncio.Semaphore(1)

    async def judge(completions, **_columns):
        async def one():
            async with bound:
                await asyncio.sleep(0.001)
            return 0.25

        return await asyncio.gather(*(one() for _ in completions))

    reward = given(judge)

    async def notebook():
        return [value.value for value in reward.measure_batch(PAIR)]

    assert asyncio.run(notebook()) == [0.25, 0.25]
    assert [value.value for value in reward.measure_batch(PAIR)] == [0.25, 0.25]
    own = [thread for thread in threading.enumerate() if thread.name == "coroutines of rewards"]
    assert len(own) == 1
    assert own[0].daemon


def test_a_coroutine_that_raises_is_blamed_by_name():
    async def broken(rollout, episode):
        raise asyncio.CancelledError

    with pytest.raises(UserError, match="reward broken: raised CancelledError for episode"):
        given(broken).measure(SCORED)


def test_a_forked_process_has_a_loop_of_its_own():
    async def process():
        return os.getpid()

    assert settled(process()) == os.getpid()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        signal.alarm(30)  # ends it if it hangs
        os.write(writing, str(settled(process())).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    assert os.read(reading, 20).decode() == str(child)
    os.close(reading)


@pytest.mark.parametrize(
    "made",
    [
        {0: 1.0, 1: 1.0},
        {0.0, 1.0},
        frozenset((0.0, 1.0)),
        b"ab",
        bytearray(b"ab"),
        memoryview(b"ab"),
        "ab",
        {0: 1.0, 1: 1.0}.values(),
        pd.DataFrame({"a": [1.0, 2.0]}),
        np.array(1.0),
    ],
    ids=lambda made: type(made).__name__,
)
def test_what_is_no_list_of_numbers_in_order_is_refused_in_one_line(made):
    def judge(completions):
        return made

    with pytest.raises(UserError, match="expected a list with one number a completion") as caught:
        given(judge).measure_batch(PAIR)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "made",
    [
        [1, None],
        (1.0, None),
        deque((1.0, None)),
        np.array([1.0, 2.0]),
        [np.float32(1.0), np.int64(2)],
        torch.tensor([1.0, 2.0]),
        [torch.tensor(1.0), torch.tensor(2)],
        pd.Series([1.0, 2.0]),
        array("d", (1.0, 2.0)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_a_sequence_or_an_array_will_do(made):
    def judge(completions):
        return made

    assert given(judge).measure_batch(PAIR)[0].value == 1.0
