"""Precision: the choice of auto, the precision of 4-bit layers, weights that are no numbers."""

import logging
from types import SimpleNamespace

import pytest
import torch
import yaml

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.engines.selfcheck import check_model
from adasr_trl.models import precision
from adasr_trl.models.loading import load_policy
from support import workspace
from support.runs import kill_at, run, weights


@pytest.mark.parametrize(("slowdown", "chosen"), [(5.8, "float32"), (0.6, "bfloat16")])
def test_auto_takes_bfloat16_only_where_it_is_as_fast_and_says_so(
    monkeypatch, caplog, slowdown, chosen
):
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda: slowdown)
    with caplog.at_level(logging.INFO):
        assert precision.choose_dtype() == chosen
    assert (
        f"auto is {chosen} (on this CPU a step in bfloat16 takes about {slowdown} times"
        in caplog.text
    )


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


@pytest.mark.parametrize(
    ("dtype", "slowdown", "warns"),
    [(torch.bfloat16, 5.8, True), (torch.bfloat16, 0.4, False), (torch.float32, 5.8, False)],
)
def test_slow_bfloat16_is_warned_of_with_its_cost_and_the_way_out(
    model, monkeypatch, dtype, slowdown, warns
):
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda: slowdown)
    warning = precision.slow_bfloat16(model.to(dtype))
    assert (warning is not None) == warns
    if warns:
        assert "5.8 times as long" in warning
        assert "model.dtype: auto" in warning


def test_slow_layers_of_4_bits_on_whole_weights_have_a_key_of_their_own(monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda: 5.8)
    monkeypatch.setattr(precision, "computing_dtype", lambda _: torch.bfloat16)
    whole = SimpleNamespace(dtype=torch.float32, device=torch.device("cpu"))
    assert "compute_dtype: float32" in precision.slow_bfloat16(whole)


def test_auto_is_recorded_so_that_a_resumed_run_and_an_evaluation_keep_it_on_another_machine(
    tmp_path, episodes, monkeypatch, caplog
):
    workspace.make(tmp_path, episodes)
    assert run("sft", tmp_path) == 0
    out, auto = tmp_path / "hrpo", f"{{path: {tmp_path / 'sft'}, dtype: auto}}"
    with monkeypatch.context() as fast:
        fast.setattr(precision, "bfloat16_slowdown", lambda: 0.5)
        kill_at(fast, 2)
        assert run("hrpo", tmp_path, "--model", auto) == 130
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda: 6.0)
    with caplog.at_level(logging.INFO):
        assert run("hrpo", tmp_path, "--model", auto, "--resume") == 0
    assert "a step in bfloat16 takes about 6 times as long" in caplog.text
    assert yaml.safe_load((out / "config.yaml").read_text())["model"]["dtype"] == "bfloat16"
    assert {weight.dtype for weight in weights(out).values()} == {torch.bfloat16}
    for path in (out, out / "checkpoint-4"):
        policy = load_policy(ModelConfig(path=str(path), dtype="auto"))
        assert policy.config.dtype == "bfloat16"
