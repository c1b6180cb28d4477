"""What a cluster's job leaves in the environment is no launch: torch would wait for processes that nobody starts."""

from __future__ import annotations

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.training.distributed import begin_processes

LAUNCHED = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (
            {"WORLD_SIZE": "4"},
            "WORLD_SIZE: got '4' from the environment without RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT, so no launcher "
            "started this process; unset WORLD_SIZE, or start it with torchrun or accelerate launch.",
        ),
        ({"LOCAL_RANK": "0"}, "LOCAL_RANK: got '0' from the environment without RANK, WORLD_SIZE,"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE: got '2' .*; unset RANK, WORLD_SIZE, or"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE: got ''"),
        (
            {k: v for k, v in LAUNCHED.items() if k != "MASTER_ADDR"},
            "RANK: .* without MASTER_ADDR,",
        ),
    ],
)
@pytest.mark.parametrize("flat", [{}, {"deepspeed": {"zero_optimization": {"stage": 2}}}])
def test_a_part_of_a_launch_is_refused_by_name(monkeypatch, left, said, flat):
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said):
        begin_processes(flat)


@pytest.mark.parametrize("whole", [{}, LAUNCHED, {"RANK": "0", "WORLD_SIZE": "1"}])
def test_a_launch_and_a_process_alone_are_taken(monkeypatch, whole):
    for name, value in whole.items():
        monkeypatch.setenv(name, value)
    begin_processes({})


def test_deepspeed_of_another_job_is_refused_and_a_launchers_is_taken(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(UserError, match=r"ACCELERATE_USE_DEEPSPEED: got true .*; unset it, or"):
        begin_processes({})
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    begin_processes({})
