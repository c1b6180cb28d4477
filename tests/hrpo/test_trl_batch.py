"""The columns that TRL gets of rollouts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adasr_trl.core.protocol import Ending
from adasr_trl.hrpo.trl_batch import trl_rollouts
from support.timelines import build

ROLLOUT = build([2, 1], [1, 2], 1)  # read, read, written, read, written, written


@pytest.mark.parametrize("ending", [Ending.ANSWERED, Ending.MALFORMED, Ending.OUT_OF_TOKENS])
@pytest.mark.parametrize("mask_truncated", [False, True])
def test_only_a_rollout_that_ran_out_of_tokens_is_masked_so_the_format_is_learnt(
    ending, mask_truncated
):
    (mask,) = trl_rollouts([replace(ROLLOUT, ending=ending)], mask_truncated)["env_mask"]
    is_masked = mask_truncated and ending is Ending.OUT_OF_TOKENS
    assert mask == ([0] * 6 if is_masked else [0, 0, 1, 0, 1, 1])
