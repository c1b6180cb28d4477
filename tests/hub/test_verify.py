"""A model that is loaded again says what it said at training's end: in 4 bits, merged, in both layouts, after a chain of runs."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from peft import LoraConfig, get_peft_model

from adasr_trl.artifacts.names import VERIFY_FILE
from adasr_trl.artifacts.saved_config import load_origin
from adasr_trl.cli.main import main as adasr
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.hub.push import Push, prepare
from adasr_trl.hub.verify import Form, merged, verify
from adasr_trl.models.loading import load_model, load_tokenizer, model_is_quantized
from adasr_trl.training.probe import compare, load_probe, save_probe
from support import workspace
from support.four_bits import make_runs
from support.settings import PARALLEL, STREAMING

CPU = "cpu"


@pytest.fixture(scope="module")
def root(tmp_path_factory, episodes):
    """A base model, and an SFT run with an adapter on its weights in 4 bits."""
    root = tmp_path_factory.mktemp("qlora")
    make_runs(root, episodes)
    return root


@pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def test_a_probe_finds_its_own_model_and_no_other(tmp_path, model, tokenizer, streaming):
    save_probe(tmp_path, model, tokenizer, streaming)
    probe = load_probe(tmp_path)
    assert compare(probe, model).largest == 0.0
    assert probe.dtype == "float32"
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[3, 5] += 1e-2
    assert compare(probe, model).largest > 1e-4


def test_the_parallel_probe_asks_under_streaming_attention(tmp_path, model, tokenizer):
    save_probe(tmp_path, model, tokenizer, PARALLEL)
    probe = load_probe(tmp_path)
    assert (probe.visibility_T < 0).any()
    causal = torch.arange(1, len(probe.visibility_T) + 1)
    assert compare(dataclasses.replace(probe, visibility_T=causal), model).largest > 1e-2


def test_a_large_vocabulary_is_kept_in_part_and_a_change_of_the_rest_is_seen(
    tmp_path, model, tokenizer, monkeypatch
):
    monkeypatch.setattr("adasr_trl.training.probe.KEPT_LOGITS", 100)
    save_probe(tmp_path, model, tokenizer, STREAMING)
    probe = load_probe(tmp_path)
    size = model.config.vocab_size
    assert probe.logits_TK.shape[1] == len(range(0, size, -(-size // 100)))
    likely = int(model(input_ids=probe.token_ids_T[None]).logits[0, 5].argmax())
    with torch.no_grad():
        model.lm_head.weight[likely] *= 1.1  # tied to the embedding
    assert compare(probe, model).largest > 1e-3


def test_an_adapter_on_4_bits_comes_back_the_same(root):
    saved = verify(str(root / "sft"), Form.SAVED, device=CPU)
    assert load_probe(root / "sft").four_bit
    assert (saved.limit.most, saved.limit.typical) == (1e-5, False)
    assert saved.difference.largest <= 1e-5
    found = verify(str(root / "sft"), Form.MERGED, device=CPU).difference
    assert found.typical < 0.01  # TRL's adapter computes in bfloat16, merged weights do not


def test_merging_an_adapter_on_4_bits_is_exact_but_for_the_adapters_own_precision(root, tmp_path):
    config = ModelConfig(path=str(root / "sft"))
    tokenizer = load_tokenizer(config, STREAMING.markers, ())
    packed = load_model(config, tokenizer, seed=0)
    for parameter in packed.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    save_probe(tmp_path, packed, tokenizer, STREAMING)
    whole = merged(load_model(config, tokenizer, seed=0), root / "sft")
    assert not model_is_quantized(whole)
    assert compare(load_probe(tmp_path), whole).largest < 1e-4


def test_whole_weights_put_into_4_bits_are_judged_by_the_loose_limit(root, capsys):
    verdict = verify(str(root / "base"), Form.FOUR_BIT, device=CPU)
    assert verdict.within
    assert 1e-3 < verdict.difference.typical < 0.5
    assert adasr(["verify", str(root / "base"), "--form", "4bit", "--device", CPU]) == 0
    assert "allowed 0.5 for weights in 4 bits" in capsys.readouterr().out


def test_an_adapter_trained_on_4_bits_can_be_published_merged(root, tmp_path):
    how = Push("me/merged", merge=True, without_eval=True)
    prepared = prepare(root / "sft", how, tmp_path, ask_hub=False)
    assert "model.safetensors" in prepared.files
    config = prepared.files["config.json"].read_text()
    assert "quantization_config" not in config
    assert "whole model" not in prepared.card
    assert "library_name: transformers" in prepared.card


def test_an_adapter_on_a_run_that_trained_all_weights_is_loaded_onto_those(root, tmp_path):
    """Not onto the model that this run had started from."""
    workspace_config = workspace.load(root, "sft")
    data = workspace_config["data"]
    workspace.save(tmp_path, "sft", {**workspace_config, "data": data, "learning_rate": 0.01})
    whole, adapter = str(tmp_path / "whole"), str(tmp_path / "adapter")
    flags = ("--model", f"{{path: {root / 'base'}}}", "--output_dir", whole)
    assert _sft(tmp_path, *flags) == 0
    assert load_origin(tmp_path / "whole").path == str(root / "base")
    # Servers load every such file of a directory as weights.
    assert [p.name for p in (tmp_path / "whole").glob("*.safetensors")] == ["model.safetensors"]
    flags = ("--model", f"{{path: {whole}}}", "--lora.r", "2", "--output_dir", adapter)
    assert _sft(tmp_path, *flags) == 0
    assert load_origin(tmp_path / "adapter").path == whole
    assert verify(adapter, Form.SAVED, device=CPU).within
    (tmp_path / "adapter" / VERIFY_FILE).unlink()
    with pytest.raises(UserError, match="train it again"):
        verify(adapter, Form.SAVED)
    with pytest.raises(UserError, match="no adapter"):
        verify(whole, Form.MERGED, device=CPU)


def _sft(folder, *flags):
    return adasr(["sft", "--config", str(folder / "sft.yaml"), *flags])


def test_an_adapter_that_the_weights_below_cannot_hold_is_not_merged(model):
    lora = LoraConfig(r=2, target_modules=["q_proj"], lora_bias=True, task_type="CAUSAL_LM")
    with pytest.raises(
        UserError, match=r"^runs/x: its adapter cannot be merged \(RuntimeError: .*\); use it"
    ):
        merged(get_peft_model(copy.deepcopy(model), lora), "runs/x")
