"""LoRA on weights of 4 bits: exact gradients behind a rollout, one adapter from SFT to HRPO, resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from adasr_trl.artifacts.saved_config import load_origin
from adasr_trl.config.sections import ModelConfig, QuantizationSection
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers
from adasr_trl.engines import selfcheck
from adasr_trl.engines.selfcheck import check_model
from adasr_trl.models.loading import load_model, load_tokenizer, model_is_quantized
from support import workspace
from support.four_bits import FOUR_BITS, make_runs
from support.json_lines import json_lines
from support.runs import kill_at, logits, run


@pytest.fixture(scope="module")
def root(tmp_path_factory, episodes):
    """A base model, and an SFT run with an adapter on its weights in 4 bits."""
    root = tmp_path_factory.mktemp("qlora")
    make_runs(root, episodes)
    return root


def load(path: Path, **changes) -> torch.nn.Module:
    config = ModelConfig(path=str(path), **changes)
    return load_model(config, load_tokenizer(config, Markers(), ()), seed=0)


def adapted(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(model, config)


def gradients(model: torch.nn.Module, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    model.train()
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_behind_a_rollout_4_bit_gradients_are_those_of_the_dequantised_weights(root):
    """Where a CPU has avx512_bf16, bitsandbytes alone repacks the weights here, and half of each gradient is gone."""
    four = QuantizationSection(compute_dtype="float32")
    ids = torch.arange(5, 69).unsqueeze(0)
    model = load(root / "base", quantization=four)
    assert model_is_quantized(model)
    packed = adapted(model)
    logits(packed, ids)
    twin = adapted(load(root / "base", quantization=four).dequantize())
    found, expected = gradients(packed, ids), gradients(twin, ids)
    assert len(found) == 28  # A and B of 7 layers, twice
    for name, gradient in found.items():
        reference = expected[name]
        assert (gradient - reference).norm() < 1e-3 * reference.norm(), name


@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
@pytest.mark.parametrize("compute", ["bfloat16", "float16"])
def test_float32_weights_in_4_bits_are_checked_by_the_precision_that_they_compute_in(
    root, layout, compute
):
    """Rounding moves the logits by far more than whole float32 weights would."""
    four = QuantizationSection(compute_dtype=compute)
    model = load(root / "base", dtype="float32", quantization=four)
    check_model(model, layout)


def test_a_fault_in_16_bits_names_the_precision_and_its_way_out_before_the_model(root, monkeypatch):
    monkeypatch.setattr(selfcheck, "_TOLERANCE_HALF", 0.0)
    model = load(root / "base", dtype="float32", quantization=QuantizationSection())
    with pytest.raises(UserError, match=r"compute in torch\.bfloat16, so try float32 before"):
        check_model(model, "interleaved")


def test_the_adapter_is_bfloat16_as_trl_trains_it_and_its_base_is_loaded_as_it_was_trained(root):
    assert load_origin(root / "sft").quantization == QuantizationSection(compute_dtype="float32")
    model = load(root / "sft")
    assert model_is_quantized(model)
    trained = {p.dtype for p in model.parameters() if p.requires_grad}
    assert trained == {torch.bfloat16}
    whole = load(root / "sft", quantization=QuantizationSection(kind="none"))
    assert not model_is_quantized(whole)
    ids = torch.arange(5, 45).unsqueeze(0)
    apart = (logits(whole, ids) - logits(model, ids)).abs().max()
    assert 0.001 < apart < 3.0  # the rounding to 4 bits, no more


def test_hrpo_continues_the_4_bit_adapter_and_starts_with_its_logits(root, monkeypatch):
    from adasr_trl.hrpo import HRPOTrainer

    ids, first, train = torch.arange(5, 45).unsqueeze(0), [], HRPOTrainer.train

    def spy(self, *args, **kwargs):
        names = [name for name, p in self.model.named_parameters() if p.requires_grad]
        first.append((logits(self.model, ids), names))
        return train(self, *args, **kwargs)

    monkeypatch.setattr(HRPOTrainer, "train", spy)
    out = root / "continued"
    assert run("hrpo", root, "--max_steps", "2", "--output_dir", str(out)) == 0
    found, trained = first[0]
    assert torch.equal(found, logits(load(root / "sft"), ids))
    assert sum("lora_A" in name for name in trained) == 14  # 7 layers twice: one adapter
    assert load_origin(out).quantization.kind == "nf4"
    config = workspace.load(root, "eval")
    workspace.save(root, "eval", {**config, "model": {"path": str(out)}})
    assert run("eval", root, "--eval.max_questions", "2", "--eval.modes", "[streaming]") == 0


@pytest.mark.parametrize("command", ["sft", "hrpo"])
@pytest.mark.parametrize("bits", [4, 32])
def test_a_killed_run_with_an_adapter_resumes_to_the_weights_of_an_uninterrupted_one(
    root, tmp_path, monkeypatch, command, bits
):
    kind = FOUR_BITS if bits == 4 else "{kind: none}"
    start = {"sft": f"path: {root / 'base'}", "hrpo": f"path: {root / 'sft'}"}[command]
    flags = ["--model", f"{{{start}, quantization: {kind}}}", "--max_steps", "4"]
    if command == "sft":
        flags += ["--lora.r", "4", "--lora.dropout", "0.1", "--save_steps", "1"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(command, root, *flags, "--output_dir", str(whole)) == 0
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        assert run(command, root, *flags, "--output_dir", str(cut)) == 130
    assert run(command, root, *flags, "--output_dir", str(cut), "--resume") == 0
    left, right = (load_file(each / "adapter_model.safetensors") for each in (whole, cut))
    assert left.keys() == right.keys()
    assert max((left[name] - right[name]).abs().max().item() for name in left) == 0.0
    steps = [line["step"] for line in json_lines(cut / "metrics.jsonl")]
    assert {1, 2, 3, 4} <= set(steps)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("{init: scratch, quantization: {kind: nf4}}", "init: scratch"),
        ("{path: a/b, gguf_file: x.gguf, quantization: {kind: nf4}}", "gguf_file"),
        ("{path: a/b, quantization: {kind: nf5}}", "nf4"),
    ],
)
def test_4_bits_of_weights_that_bitsandbytes_cannot_load_are_refused(root, capsys, model, said):
    assert run("sft", root, "--model", model, "--output_dir", str(root / "refused")) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "model" in error
    assert not (root / "refused").exists()
