"""The base below an adapter: found wherever the command runs, never another one, and never asked of the Hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from adasr_trl.artifacts.digests import input_digest
from adasr_trl.artifacts.directory import write_record
from adasr_trl.artifacts.saved_config import load_origin, save_origin, save_streaming
from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.demo import FOLDER
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers
from adasr_trl.evaluation.pretrained import pretrained_of
from adasr_trl.hub.push import Push, prepare
from adasr_trl.models.loading import load_model, load_policy, load_tokenizer, positions_of
from support.runs import logits
from support.settings import STREAMING

IDS = torch.arange(5, 25).unsqueeze(0)


def lora(run: Path, base: str) -> Path:
    """An adapter on ``base``, as a run leaves it."""
    config = ModelConfig(path=base)
    tokenizer = load_tokenizer(config, Markers(), ())
    torch.manual_seed(0)
    adapted = get_peft_model(
        load_model(config, tokenizer, seed=0),
        LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    adapted.save_pretrained(run)
    tokenizer.save_pretrained(run)
    save_streaming(run, STREAMING)
    save_origin(run, config)
    model = {"path": base, "dtype": "float32"}
    identity = {"command": "sft", "config": {"output_dir": str(run), "model": model}}
    write_record(run, {**identity, "model": input_digest(base)})
    return run


def found(run: Path | str) -> torch.Tensor:
    return logits(load_policy(ModelConfig(path=str(run))).model, IDS)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Two folders with a model of the same name; the other one's weights are halved."""
    for name in ("mine", "other"):
        base = shutil.copytree(FOLDER, tmp_path / name / "out" / "base")
        (base / "README.md").unlink()
    file = base / "model.safetensors"
    save_file({name: w / 2 for name, w in load_file(file).items()}, file, {"format": "pt"})
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path


@pytest.mark.parametrize("is_earlier", [False, True])
@pytest.mark.parametrize("base", ["out/base", "./out/base", "absolute"])
def test_an_adapter_has_its_own_base_wherever_it_is_loaded(project, monkeypatch, base, is_earlier):
    base = str(Path("out/base").resolve()) if base == "absolute" else base
    run = lora(Path("runs/lora"), base)
    if is_earlier:  # runs without base.json
        (run / "base.json").unlink()
    before, digest = found(run), str(input_digest(run))
    whole = run.resolve()
    for place in ("/", project / "other"):
        monkeypatch.chdir(place)
        assert torch.equal(found(whole), before)
        assert input_digest(whole) == digest
        assert positions_of(ModelConfig(path=str(whole)))
    if base.startswith("/") and is_earlier:
        return
    moved = Path(shutil.move(project / "mine", project / "moved")) / "runs" / "lora"
    assert torch.equal(found(moved), before)
    assert input_digest(moved) == digest


@pytest.mark.parametrize("is_earlier", [False, True])
def test_a_missing_or_other_base_is_one_line(project, monkeypatch, is_earlier):
    run = lora(Path("runs/lora"), "out/base").resolve()
    if is_earlier:
        (run / "base.json").unlink()
    shutil.move("out", "gone")
    monkeypatch.chdir("/")
    said = f"{run}: its adapter lies on out/base, which is not there; restore it, or name another model."
    with pytest.raises(UserError) as caught:
        found(run)
    assert str(caught.value) == said
    with pytest.raises(UserError) as caught:
        input_digest(run)
    assert str(caught.value) == said
    monkeypatch.chdir(project / "other")
    with pytest.raises(UserError) as caught:
        found(run)
    place = Path("out/base")
    assert str(caught.value) == (
        f"{run}: its adapter was trained on out/base, and {place} holds other weights; restore them, or train it anew."
    )


def test_a_checkpoint_and_an_adapter_that_goes_on_find_the_same_base(project, monkeypatch):
    run = lora(Path("runs/lora"), "out/base")
    before, whole = found(run), run.resolve()
    monkeypatch.chdir("/")
    for name in ("runs/next", "runs/lora/checkpoint-2"):
        further = project / "mine" / name
        shutil.copytree(whole, further, ignore=shutil.ignore_patterns("*-2", "base.json"))
        save_origin(further, ModelConfig(path=str(whole)))
        assert load_origin(further).path == "out/base"
        assert torch.equal(found_weights(further), before)


def found_weights(run: Path) -> torch.Tensor:
    config = ModelConfig(path=str(run))
    return logits(load_model(config, load_tokenizer(config, Markers(), ()), seed=0), IDS)


def test_plain_peft_loads_it_from_anywhere_and_a_name_of_the_hub_is_kept(project, monkeypatch):
    run = lora(Path("runs/lora"), "out/base").resolve()
    config = run / "adapter_config.json"
    assert json.loads(config.read_text())["base_model_name_or_path"] == str(
        project / "mine" / "out" / "base"
    )
    named = json.loads(config.read_text()) | {"base_model_name_or_path": "me/base"}
    config.write_text(json.dumps(named))
    save_origin(run, ModelConfig(path="me/base"))
    assert json.loads(config.read_text()) == named
    assert not (run / "base.json").exists()
    assert input_digest(run)


def test_an_adapter_on_a_directory_is_not_published_from_elsewhere_either(
    project, monkeypatch, tmp_path
):
    run = lora(Path("runs/lora"), "out/base").resolve()
    for place in ("/", project / "other"):
        monkeypatch.chdir(place)
        with pytest.raises(UserError, match="base is out/base, a directory that nobody else has"):
            prepare(run, Push("me/lora", without_eval=True), tmp_path, ask_hub=False)


def test_records_of_a_pretrained_model_find_it_from_elsewhere(project, monkeypatch):
    records = project / "mine" / "records"
    records.mkdir()
    save_streaming(records, STREAMING)
    save_origin(records, ModelConfig(path="out/base"))
    monkeypatch.chdir(project / "other")
    pretrained = pretrained_of(
        "a", ModelConfig(path=str(records)), EvalConfig(modes=("zero_shot",))
    )
    assert pretrained is not None
    assert pretrained.source.path == str(project / "mine" / "out" / "base")
