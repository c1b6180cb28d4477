"""The engine with other models than a plain one in float32: adapters, 16 bits, autocast, 4 bits, ZeRO-3."""

from __future__ import annotations

import socket

import pytest
import torch
from peft import LoraConfig, get_peft_model

from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import from_record
from adasr_trl.engines import HFEngine, Request, Sampling
from support.launching import launch_script


def rolled(model, parts, episodes):
    requests = [Request(episodes[n % 2], n) for n in range(8)]
    return HFEngine(model, *parts).rollout(requests, Sampling(1.0))


def apart(model, rollouts):
    """The largest difference of a recorded log-probability from that of one forward of the same model."""
    worst = 0.0
    for each in rollouts:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([each.token_ids])).logits[0].float()
        logp = torch.log_softmax(logits, dim=-1)
        for t, phase in enumerate(each.phases):
            if phase is not Phase.READ:
                found = logp[t - 1, each.token_ids[t]].item()
                worst = max(worst, abs(found - each.logprobs[t]))
    return worst


def adapted(model):
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    return get_peft_model(model, config)


def test_rollouts_of_an_adapter_are_those_of_the_merged_model(model, parts, episodes):
    with_adapter = adapted(model)
    found = rolled(with_adapter, parts, episodes)
    assert apart(with_adapter.eval(), found) < 1e-4
    merged = with_adapter.merge_and_unload()
    assert [r.token_ids for r in rolled(merged, parts, episodes)] == [r.token_ids for r in found]


def test_in_16_bits_log_probabilities_are_as_near_as_16_bits_allow(model, parts, episodes):
    """A bfloat16 has 8 bits of mantissa; logits here are around 10."""
    half = model.to(torch.bfloat16)
    assert apart(half.eval(), rolled(half, parts, episodes)) < 0.5


def test_under_autocast_rollouts_run_as_the_training_forward_does(model, parts, episodes):
    with torch.autocast("cpu", torch.bfloat16):
        found = rolled(model, parts, episodes)
        near = apart(model.eval(), found)
    assert near < 0.5
    assert near > 0  # it was in 16 bits


def test_with_4_bit_weights_log_probabilities_are_those_of_one_forward(model, parts, episodes):
    import bitsandbytes as bnb

    for layer in model.model.layers:
        for block, name in ((layer.mlp, "gate_proj"), (layer.self_attn, "q_proj")):
            linear = getattr(block, name)
            four = bnb.nn.Linear4bit(
                linear.in_features, linear.out_features, bias=False, quant_type="nf4"
            )
            four.load_state_dict({"weight": linear.weight.data})
            four.support_avx512bf16_for_cpu = False
            setattr(block, name, four.to("cpu"))
    with_adapter = adapted(model)
    found = rolled(with_adapter, parts, episodes)
    assert apart(with_adapter.eval(), found) < 1e-3
    assert model.model.layers[0].mlp.gate_proj.weight.dtype is torch.uint8


def run_zero3(folder, kind):
    """The generation batches of ``zero3`` in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    environment = alone | {"MASTER_PORT": str(port)} if kind == "zero3" else {}
    launch_script("zero3", folder, kind, **environment)
    return torch.load(folder / f"{kind}.pt", weights_only=True)


@pytest.fixture(scope="module")
def generations(tmp_path_factory):
    """Generation batches of plain training and of ZeRO-3."""
    folder = tmp_path_factory.mktemp("zero3")
    return run_zero3(folder, "plain"), run_zero3(folder, "zero3")


def test_zero_3_rolls_out_and_trains_as_plain_training_does(generations):
    """Weights are compared where both trained on the same tokens: an update's rounding may change a later sample."""
    plain, zero3 = generations
    for (a, _), (b, _) in zip(plain[0]["rows"], zero3[0]["rows"], strict=True):
        assert a["token_ids"] == b["token_ids"]
        assert b["logprobs"] == pytest.approx(a["logprobs"], abs=1e-4)
    initial, updated = plain[0]["weights"], plain[1]["weights"]
    assert max((updated[name] - initial[name]).abs().max() for name in initial) > 1e-3
    for name, weight in updated.items():
        torch.testing.assert_close(zero3[1]["weights"][name].float(), weight, atol=1e-5, rtol=0.0)


def test_zero_3_rolls_out_with_the_updated_weights_of_plain_training(model, generations):
    """The rollouts' log-probabilities are those of the same tokens under plain training's weights."""
    plain, zero3 = generations
    rollouts = [from_record(record) for record, _ in zero3[1]["rows"]]
    model.load_state_dict(plain[1]["weights"])
    assert apart(model.eval(), rollouts) < 1e-3
    model.load_state_dict(plain[0]["weights"])
    assert apart(model.eval(), rollouts) > 1e-1
