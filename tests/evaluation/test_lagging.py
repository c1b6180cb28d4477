"""AL and LAAL by hand, and where a rollout's tokens lie on them."""

from __future__ import annotations

import pytest

from adasr_trl.core.clock import Clock, timeline
from adasr_trl.evaluation.lagging import (
    average_lagging,
    second_delays,
    word_delays,
)
from support.timelines import beside, build

CLOCK = Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_wait_k_lags_k_words(k: int) -> None:
    # STACL: a wait-k policy at the source's own length lags behind by k exactly.
    delays = [min(t + k, 10) for t in range(10)]
    assert average_lagging(delays, 10, 10) == pytest.approx(k)


def test_reading_everything_first_lags_the_whole_source() -> None:
    assert average_lagging([7, 7, 7, 7], 7, 4) == 7


def test_the_lag_is_a_mean_up_to_the_first_unit_that_saw_everything() -> None:
    # g = 2, 2, 5, 5 of 5 words, 4 units: pace 5 / 4. (2 - 0) + (2 - 1.25) + (5 - 2.5), over 3.
    assert average_lagging([2, 2, 5, 5], 5, 4) == pytest.approx((2 + 0.75 + 2.5) / 3)


def test_a_reference_longer_than_what_was_written_slows_the_pace() -> None:
    # LAAL with a reference of 10: pace 1 / 2. (2 - 0) + (2 - 0.5) + (5 - 1), over 3.
    assert average_lagging([2, 2, 5, 5], 5, 10) == pytest.approx((2 + 1.5 + 4) / 3)


def test_nothing_written_has_no_lag() -> None:
    assert average_lagging([], 5, 1) is None


@pytest.mark.parametrize("parallel", [False, True])
def test_a_thoughts_tokens_have_read_its_chunk_and_the_deep_ones_everything(parallel: bool) -> None:
    # Two tokens behind the first chunk (4 words), none behind the second (6), one behind the third (11), three deep.
    rollout = build([5, 5, 5, 2], [2, 0, 1, 3], answer_tokens=2)
    rollout = beside(rollout) if parallel else rollout
    assert word_delays(rollout, (4, 6, 11)) == [4, 4, 11, 11, 11, 11]


def test_tokens_are_written_one_after_the_other_up_to_their_thoughts_end() -> None:
    """The example of ``test_clock``: thoughts end at 6, 7.5 and 14.5 s, the last token 10.7 s after the 10th second."""
    rollout = build([10, 5, 5, 2], [3, 1, 4, 6], answer_tokens=5)
    line = timeline(rollout, (2.0, 4.0, 10.0), CLOCK)
    found = second_delays(rollout, line, CLOCK)
    assert found[:4] == pytest.approx([4.0, 5.0, 6.0, 7.5])
    assert found[4:8] == pytest.approx([11.5, 12.5, 13.5, 14.5])
    assert found[8:] == pytest.approx([15.7, 16.7, 17.7, 18.7, 19.7, 20.7])
