"""Checks before training: layers of an adapter, and errors of other libraries as one line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.training.preflight import check_targets, one_line


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["q_proj", "c_attn"], "no layer 'c_attn'; it has "),  # PEFT would adapt the other one only
        ("q_proj,v_proj", "no layer 'q_proj,v_proj'"),
        (".*[", "no pattern"),
    ],
)
def test_layers_that_a_model_does_not_have_are_refused(model, targets, words):
    with pytest.raises(UserError, match=r"lora\.target_modules") as caught:
        check_targets(model, targets)
    assert words in str(caught.value)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "mlp.up_proj"], r".*\.q_proj"])
def test_layers_that_a_model_has_pass(model, targets):
    check_targets(model, targets)


def trainer_at(step):
    return SimpleNamespace(state=SimpleNamespace(global_step=step))


def test_an_error_of_the_first_step_is_one_line_and_a_later_one_passes():
    words = "no such\n   mode"
    with pytest.raises(UserError) as caught, one_line("run.yaml", trainer_at(0)):
        raise ValueError(words)
    assert str(caught.value) == "run.yaml: ValueError: no such mode"
    with pytest.raises(KeyError), one_line("run.yaml", trainer_at(3)):
        raise KeyError("x")
    with pytest.raises(UserError, match="metric"), one_line("run.yaml", trainer_at(3)):
        raise KeyError("metric_for_best_model is 'f1'")
