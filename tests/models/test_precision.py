"""Precision: the choice of auto, the precision of 4-bit layers, weights that are no numbers."""

import logging

import pytest
import torch

from adasr_trl.core.errors import UserError
from adasr_trl.engines.selfcheck import check_model
from adasr_trl.models import precision


@pytest.mark.parametrize(("slowdown", "chosen"), [(5.8, "float32"), (0.6, "bfloat16")])
def test_auto_takes_bfloat16_only_where_it_is_as_fast_and_says_so(
    monkeypatch, caplog, slowdown, chosen
):
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda: slowdown)
    with caplog.at_level(logging.INFO):
        assert precision.choose_dtype() == chosen
    assert f"auto is {chosen}: bfloat16 takes {slowdown} times" in caplog.text


def test_the_slowdown_is_measured():
    assert 0.01 < precision.bfloat16_slowdown() < 1000


def test_weights_that_are_no_numbers_are_named_and_the_model_is_not_blamed(model):
    broken = next(model.parameters())
    before = broken.data.clone()
    broken.data[0, 0] = float("nan")
    try:
        with pytest.raises(UserError, match=r"1 weights are not finite, such as .*diverged"):
            check_model(model, "interleaved")
    finally:
        broken.data = before


def test_layers_of_4_bits_compute_in_their_own_precision():
    class Linear4bit(torch.nn.Linear):
        compute_dtype = torch.bfloat16

    class Model(torch.nn.Module):
        dtype = torch.float32

        def __init__(self):
            super().__init__()
            self.layer = Linear4bit(2, 2)

    assert precision.computing_dtype(Model()) is torch.bfloat16
