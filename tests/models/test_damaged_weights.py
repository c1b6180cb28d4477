"""Weights that were cut short or damaged: one line that names the file, whoever loads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adasr_trl.artifacts.names import VERIFY_FILE
from adasr_trl.cli.main import main as adasr
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.demo import FOLDER
from adasr_trl.core.errors import UserError
from adasr_trl.models.loading import load_policy
from adasr_trl.training.probe import load_probe

WHOLE = (FOLDER / "model.safetensors").read_bytes()


@pytest.fixture
def model(tmp_path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "model")


def refusal(model: Path) -> str:
    with pytest.raises(UserError) as caught:
        _ = load_policy(ModelConfig(path=str(model))).model
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [WHOLE[:100_000], WHOLE[:4], b"", bytes(len(WHOLE)), b"version https://git-lfs.github.com/spec/v1\n"],
    ids=["cut", "stump", "empty", "zeroed", "pointer"],
)  # fmt: skip
def test_damaged_safetensors_are_named(model, content):
    (model / "model.safetensors").write_bytes(content)
    assert refusal(model).startswith(f"{model / 'model.safetensors'}: is damaged or was cut short")


@pytest.mark.parametrize("content", [WHOLE[:100], b"", bytes(1000), b"hello there"])
def test_damaged_weights_in_torchs_own_form_are_named(model, content):
    (model / "model.safetensors").unlink()
    file = model / "pytorch_model.bin"
    torch.save(load_file(FOLDER / "model.safetensors"), file)
    _ = load_policy(ModelConfig(path=str(model))).model
    file.write_bytes(content)
    assert refusal(model).startswith(f"{file}: is damaged or was cut short")


def test_the_one_of_several_files_that_is_damaged_is_named_and_so_is_their_index(model):
    weights = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    first, second = (model / f"model-0000{n}-of-00002.safetensors" for n in (1, 2))
    some = sorted(weights)[:3]
    save_file({name: weights[name] for name in some}, first, {"format": "pt"})
    save_file({name: weights[name] for name in weights if name not in some}, second)
    index = model / "model.safetensors.index.json"
    places = {name: (first if name in some else second).name for name in weights}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    second.write_bytes(second.read_bytes()[:-1])
    assert refusal(model).startswith(f"{second}: is damaged")
    index.write_text("{")
    assert refusal(model).startswith(f"{index}: cannot be read as JSON")


def test_an_adapter_and_its_base(model, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = load_policy(ModelConfig(path=str(model))).model
    adapter = shutil.copytree(model, tmp_path / "adapter")
    for name in ("model.safetensors", "config.json"):
        (adapter / name).unlink()
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(adapter)
    _ = load_policy(ModelConfig(path=str(adapter))).model
    file = adapter / "adapter_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:500])
    assert refusal(adapter).startswith(f"{file}: is damaged")
    file.write_bytes(whole)
    (model / "model.safetensors").write_bytes(WHOLE[:-1])
    assert refusal(adapter).startswith(f"{model / 'model.safetensors'}: is damaged")
    (adapter / "adapter_config.json").write_text("{}")
    assert refusal(adapter).startswith(f"{adapter / 'adapter_config.json'}: got None as base_model")


def test_a_fault_that_is_not_the_files_stays_what_it_is(model, monkeypatch):
    def full(*_arguments, **_options):
        raise MemoryError("no more")

    monkeypatch.setattr("adasr_trl.models.loading.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(MemoryError, match="no more"):
        _ = load_policy(ModelConfig(path=str(model))).model


def test_a_command_says_it_in_a_line(model, tmp_path, capsys):
    (tmp_path / "story.txt").write_text("Tom has 5 coins.")
    (model / "model.safetensors").write_bytes(WHOLE[:-1])
    assert (
        adasr(
            [
                "stream",
                str(model),
                "--replay",
                str(tmp_path / "story.txt"),
                "--question",
                "How many?",
            ]
        )
        == 2
    )
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {model / 'model.safetensors'}: is damaged or was cut short")


@pytest.mark.parametrize("content", [WHOLE[:100], b"", WHOLE], ids=["cut", "empty", "another"])
def test_the_logits_of_a_run_for_verify(tmp_path, content):
    file = tmp_path / VERIFY_FILE
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{file}: is damaged .*restore it, or train the run again"):
        load_probe(tmp_path)
