"""Sample rollouts of a training: their rows, and the settings that are refused."""

import pytest

from adasr_trl.hrpo import HRPOConfig
from adasr_trl.hrpo.sample_callback import spread


def test_places_to_sample_are_far_apart_and_never_doubled():
    assert spread(2, 16) == [0, 8]
    assert spread(3, 2) == [0, 1]


def test_trls_table_of_completions_is_refused_with_what_to_use_instead(tmp_path):
    with pytest.raises(ValueError, match=r"log_completions: has no effect here.*--samples"):
        HRPOConfig(str(tmp_path), log_completions=True, use_cpu=True, bf16=False)
    with pytest.raises(ValueError, match="sample_rollouts: got 0; expected 1 or more"):
        HRPOConfig(str(tmp_path), sample_rollouts=0, use_cpu=True, bf16=False)
