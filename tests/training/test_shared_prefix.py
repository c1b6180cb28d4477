"""Forwards over distinct tokens against forwards of whole rows: numbers, gradients, weights, and models that differ."""

from __future__ import annotations

import logging

import pytest
import torch
from peft import LoraConfig, get_peft_model
from trl.trainer.utils import add_fused_lm_head

from adasr_trl.config.sections import ModelConfig, QuantizationSection
from adasr_trl.hrpo.streaming_attention import kept_by_group
from adasr_trl.layouts.visibility import StreamingForward
from adasr_trl.models.loading import load_model
from adasr_trl.training import shared_attention, shared_prefix
from adasr_trl.training.shared_forward import IGNORED, SharedForward
from support.families import BAD, GOOD, build

VOCABULARY = 60


def rows_of(*, two_streams: bool):
    """Ids, visibility and labels of two groups of three rows of different lengths."""
    dice = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 50, (6, 40), generator=dice)
    ids[1, :30], ids[2, :20], ids[4:, :25] = ids[0, :30], ids[0, :20], ids[3, :25]
    visibility = torch.arange(1, 41).expand(6, 40).clone()
    if two_streams:
        visibility[:, 18:] = -torch.linspace(4, 18, 22).long()
        visibility[2, 22:] = -18
    for row, padding in enumerate((0, 5, 3, 1, 0, 2)):
        visibility[row, 40 - padding :] = 0
    labels = ids.masked_fill(visibility == 0, IGNORED)
    labels[:, :19] = labels[:, 24:27] = IGNORED
    return ids, visibility, labels


def gradients(model, forward, ids, visibility, labels, **options):
    """Log-probabilities, entropies, and gradients of a random weighting of both."""
    model.zero_grad()
    mask = (visibility != 0).long()
    outputs = forward(
        input_ids=ids, labels=labels.clone(), attention_mask=mask, fused_lm_head=True, **options
    )
    weights = torch.randn(6, 39, generator=torch.Generator().manual_seed(1))
    loss = (weights * (outputs.log_probs + 0.1 * outputs.entropy)).sum()
    if outputs.aux_loss is not None:
        loss = loss + outputs.aux_loss
    loss.backward()
    found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return outputs.log_probs.detach(), outputs.entropy.detach(), torch.cat(found)


def apart(model, inner, *, two_streams: bool, runs_again: bool = False, **options):
    """Relative differences of the two forwards: log-probabilities, entropies, gradients."""
    ids, visibility, labels = rows_of(two_streams=two_streams)
    plain = StreamingForward(model, inner, lambda _: visibility) if two_streams else model
    whole = gradients(model, plain, ids, visibility, labels, **options)
    shared = SharedForward(model, inner, plain, visibility, runs_again=runs_again)
    found = gradients(model, shared, ids, visibility, labels, **options)
    inner.config._attn_implementation = "sdpa"
    return [float((a - b).norm() / a.norm()) for a, b in zip(whole, found, strict=True)]


def fused(model):
    model.config._attn_implementation = "sdpa"
    add_fused_lm_head(model, temperature=0.8, outputs=("log_probs", "entropy", "is_top1"))
    return model


@pytest.mark.parametrize("two_streams", [False, True])
@pytest.mark.parametrize("name", list(GOOD))
def test_every_family_has_the_gradients_of_whole_rows(name, two_streams):
    model = fused(build(GOOD[name], VOCABULARY, scale=2.0))
    assert max(apart(model, model, two_streams=two_streams)) < 1e-5


@pytest.mark.parametrize("two_streams", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_and_checkpointed_layers_have_the_gradients_of_whole_rows(
    checkpointing, two_streams
):
    model = fused(build(GOOD["qwen3"], VOCABULARY, scale=2.0))
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    adapted = get_peft_model(model, config)
    if checkpointing:
        adapted.train()  # no dropout in it
        adapted.gradient_checkpointing_enable({"use_reentrant": False})
        adapted.enable_input_require_grads()
    both = apart(adapted, model, two_streams=two_streams, runs_again=checkpointing)
    assert max(both) < 1e-5


@pytest.mark.parametrize("two_streams", [False, True])
def test_an_adapter_on_weights_of_4_bits_has_the_gradients_of_whole_rows(
    tmp_path, tokenizer, two_streams
):
    shape = GOOD["qwen3"][1] | {"hidden_size": 128, "intermediate_size": 128, "head_dim": 64}
    build((GOOD["qwen3"][0], shape), len(tokenizer), scale=2.0).save_pretrained(tmp_path)
    four_bits = QuantizationSection(compute_dtype="float32")
    model = load_model(ModelConfig(path=str(tmp_path), quantization=four_bits), tokenizer, 0)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    adapted = get_peft_model(fused(model), config)
    assert max(apart(adapted, model, two_streams=two_streams)) < 1e-5


@pytest.mark.parametrize("two_streams", [False, True])
def test_the_load_of_experts_is_that_of_whole_rows(two_streams):
    """A mask of four axes does not fit the loss of routers."""
    model = fused(build(GOOD["qwen3_moe"], VOCABULARY, scale=2.0))
    model.config.router_aux_loss_coef = 1.0
    assert max(apart(model, model, two_streams=two_streams, output_router_logits=True)) < 1e-5


@pytest.mark.parametrize("two_streams", [False, True])
def test_under_autocast_numbers_differ_by_rounding_only(two_streams):
    model = fused(build(GOOD["qwen3"], VOCABULARY, scale=2.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert max(apart(model, model, two_streams=two_streams)) < 0.05


@pytest.mark.slow  # compiles a kernel
def test_flex_attention_computes_the_same():
    model = fused(build(GOOD["qwen3_moe"], VOCABULARY, scale=2.0))
    ids, visibility, labels = rows_of(two_streams=True)
    shared = SharedForward(model, model, model, visibility)
    inputs = {"input_ids": ids, "fused_lm_head": True, "output_router_logits": True}
    with torch.no_grad():  # FlexAttention has no backward pass on a CPU
        by_parts = shared(labels=labels, **inputs)
        model.config._attn_implementation = "flex_attention"
        flex = shared(labels=labels, **inputs)
    assert torch.allclose(flex.log_probs, by_parts.log_probs, atol=1e-5)
    assert torch.allclose(flex.aux_loss, by_parts.aux_loss, atol=1e-5)


def test_rows_without_a_label_leave_a_gradient_of_zero():
    model = fused(build(GOOD["qwen3"], VOCABULARY))
    ids, visibility, labels = rows_of(two_streams=False)
    nothing = torch.full_like(labels, IGNORED)
    shared = SharedForward(model, model, model, visibility)
    outputs = shared(input_ids=ids, labels=nothing, fused_lm_head=True)
    outputs.log_probs.sum().backward()
    assert not outputs.log_probs.any()
    assert all(not parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("two_streams", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_check_passes_models_that_agree_and_says_how_others_differ(
    monkeypatch, two_streams, dtype
):
    model = fused(build(GOOD["qwen3"], VOCABULARY, scale=2.0)).to(dtype)
    assert shared_prefix.check_sharing(model, model, two_streams=two_streams) is None
    real = shared_attention.sdpa_attention_forward
    monkeypatch.setattr(
        shared_attention,
        "sdpa_attention_forward",
        lambda module, q, k, v, mask, **options: real(module, q, k, v, None, **options),
    )
    fault = shared_prefix.check_sharing(model, model, two_streams=two_streams)
    assert "differ" in fault or "raises" in fault


@pytest.mark.parametrize("name", ["mistral with a window", "bloom"])
def test_a_model_with_other_attention_computes_whole_rows_and_says_so_once(name, caplog):
    trainer = shared_prefix.SharedPrefixTrainer()
    trainer.model = fused(build(BAD[name], VOCABULARY))
    if name == "bloom":
        trainer.model.config._attn_implementation = "eager"
    trainer.args = type("Args", (), {"shared_prefix": True, "torch_compile": False})
    trainer.accelerator = type(
        "Accelerator", (), {"unwrap_model": staticmethod(lambda model: model)}
    )
    with caplog.at_level(logging.WARNING):
        assert not trainer.shares(trainer.model, two_streams=False)
        assert not trainer.shares(trainer.model, two_streams=False)
    assert [record.message.split(":")[0] for record in caplog.records] == ["shared_prefix"]


def test_batches_keep_the_rows_of_a_group_together_in_the_order_of_their_first_rows():
    batches = [
        {"group": torch.tensor([1, 0]), "ids": torch.tensor([[10], [0]]), "n": torch.tensor(4)},
        {"group": torch.tensor([0, 1]), "ids": torch.tensor([[1], [11]]), "n": torch.tensor(4)},
    ]
    batches = [
        batch | {"names": [str(i) for i in batch["ids"][:, 0].tolist()]} for batch in batches
    ]
    first, second = kept_by_group(batches)
    assert first["ids"].tolist() == [[10], [11]]
    assert second["ids"].tolist() == [[0], [1]]
    assert (first["names"], second["names"]) == (["10", "11"], ["0", "1"])
    assert first["n"] == second["n"] == 4


def test_a_forward_leaves_no_hook_and_no_other_attention():
    model = fused(build(GOOD["qwen3"], VOCABULARY))
    ids, visibility, labels = rows_of(two_streams=False)
    shared = SharedForward(model, model, model, visibility)
    shared(input_ids=ids, labels=labels, fused_lm_head=True)
    assert model.config._attn_implementation == "sdpa"
    assert not model.base_model._forward_hooks
