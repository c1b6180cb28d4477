"""Two processes against one on the same rollouts: the same advantages to the bit, the same weights to float rounding."""

from __future__ import annotations

import pytest
import torch

from support.launching import TORCHRUN, launch_script
from support.two_processes import FORMS

TOLERANCE = 5e-7  # gradients of 24 rows are summed in one order by one process, in another by two


def launch(out, *launcher):
    out.mkdir()
    launch_script("two_processes", out, launcher=launcher)
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("processes")
    one = launch(base / "one")
    return one, launch(base / "two", *TORCHRUN, 2)


def load(folder, name, rank=0):
    return torch.load(folder / f"{name}-{rank}.pt", weights_only=True)


@pytest.mark.parametrize("name", list(FORMS))
def test_the_rollouts_and_advantages_of_two_processes_are_those_of_one(runs, name):
    one, two = load(runs[0], name), [load(runs[1], name, rank) for rank in (0, 1)]
    whole = one["records"]
    halves = [found["records"] for found in two]
    steps = len(whole) // 24
    joined = [row for s in range(steps) for half in halves for row in half[s * 12 : (s + 1) * 12]]
    assert len(whole) == len(joined) == 72
    assert [row[:2] for row in joined] == [row[:2] for row in whole]  # the same rollouts
    assert [row[2] for row in joined] == [row[2] for row in whole]  # the same advantages
    assert any(value != 0.0 for row in whole for value in row[2])
    assert [found["redrawn"] for found in two] == [one["redrawn"]] * 2


@pytest.mark.parametrize("name", list(FORMS))
def test_the_weights_after_three_steps_are_the_same(runs, name):
    one, two = load(runs[0], name), load(runs[1], name)
    pairs = [(one["weights"][key], two["weights"][key]) for key in one["weights"]]
    difference = max((a - b).abs().max().item() for a, b in pairs)
    assert one["moved"] > 1e-3
    assert difference < TOLERANCE


def test_the_filter_drew_groups_again(runs):
    assert load(runs[0], "filter")["redrawn"] > 0
