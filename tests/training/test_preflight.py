"""Checks before training: layers of an adapter, and errors of other libraries as one line."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from adasr_trl.config.loading import load_config
from adasr_trl.config.sections import LoraSection
from adasr_trl.core.errors import UserError
from adasr_trl.training.preflight import (
    check_head,
    check_loading,
    check_optimizer,
    check_targets,
    one_line,
)
from adasr_trl.training.sft import StreamingSFTConfig


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
    args = SimpleNamespace(output_dir="runs/x")
    return SimpleNamespace(state=SimpleNamespace(global_step=step), args=args)


def test_an_error_of_the_first_step_is_one_line_and_a_later_one_passes():
    words = "no such\n   mode"
    with pytest.raises(UserError) as caught, one_line("run.yaml", trainer_at(0)):
        raise ValueError(words)
    assert str(caught.value) == "run.yaml: ValueError: no such mode"
    with pytest.raises(KeyError), one_line("run.yaml", trainer_at(3)):
        raise KeyError("x")
    with pytest.raises(UserError, match="metric"), one_line("run.yaml", trainer_at(3)):
        raise KeyError("metric_for_best_model is 'f1'")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "runs/x/checkpoint-4/trainer_state.json"),
        SafetensorError("Error while serializing: I/O error: File too large (os error 27)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_full_disk_is_one_line_that_says_where_and_how_to_go_on(error):
    with pytest.raises(UserError) as caught, one_line("run.yaml", trainer_at(4)):
        raise KeyError("of a library") from error
    line = str(caught.value)
    assert line.startswith("runs/x: no room for what is written at step 4")
    assert line.endswith("Whole checkpoints are kept: free some room, and go on with --resume.")
    with pytest.raises(RuntimeError), one_line("run.yaml", trainer_at(4)):
        raise RuntimeError("[enforce fail at inline_container.cc:1] PytorchStreamReader failed")


@pytest.mark.parametrize("kind", [AttributeError, AssertionError, IndexError, ZeroDivisionError])
def test_an_error_while_a_trainer_is_built_names_the_key_of_the_file(kind, tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 0\nrouter_aux_loss_coef: 0.1\n")
    loaded = load_config(tmp_path / "run.yaml", (), {})
    with pytest.raises(UserError) as caught, one_line("run.yaml", loaded=loaded):
        raise kind("`router_aux_loss_coef` is set")
    assert str(caught.value).startswith(
        f"{tmp_path}/run.yaml:2: router_aux_loss_coef: {kind.__name__}"
    )
    with pytest.raises(UserError) as caught, one_line("run.yaml", loaded=loaded):
        raise kind("the seed is of no type")
    assert str(caught.value) == f"run.yaml: {kind.__name__}: the seed is of no type"


def sft(tmp_path, **settings):
    return StreamingSFTConfig(str(tmp_path), use_cpu=True, bf16=False, **settings)


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({"optim": "sgd", "adam_beta1": 0.5}, "adam_beta1"),
        ({"optim": "adafactor", "adam_epsilon": 1e-6}, "adam_epsilon"),
        ({"optim": "sgd", "adam_beta2": 0.999}, None),  # the default
        ({"optim": "adamw_torch", "adam_beta1": 0.5, "adam_beta2": 0.9}, None),
    ],
)
def test_adams_settings_are_refused_on_an_optimizer_that_does_not_read_them(
    tmp_path, settings, idle
):
    args = sft(tmp_path, **settings)
    if idle is None:
        check_optimizer(args)
        return
    with pytest.raises(UserError, match=f"{idle}: got .* no effect on {settings['optim']}"):
        check_optimizer(args)


def test_activations_have_no_other_memory_on_a_cpu(tmp_path):
    check_loading(sft(tmp_path))
    with pytest.raises(UserError, match="activation_offloading: got true"):
        check_loading(sft(tmp_path, activation_offloading=True))


def test_the_head_is_not_cast_beside_an_adapter(tmp_path):
    args = SimpleNamespace(cast_lm_head_to_fp32=True)
    check_head(args, str(tmp_path), None)
    with pytest.raises(UserError, match="cast_lm_head_to_fp32: got true"):
        check_head(args, None, LoraSection(r=4))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="cast_lm_head_to_fp32: got true"):
        check_head(args, str(tmp_path), None)
    check_head(SimpleNamespace(cast_lm_head_to_fp32=False), str(tmp_path), LoraSection(r=4))
