"""Muon beside AdamW: which weights are whose, and a resume that repeats the steps."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch

from adasr_trl.training.muon import CpuMuon, MuonFactory, muon_of, orthogonalised

SETTINGS = {
    "muon_learning_rate": 0.02,
    "learning_rate": 3e-3,
    "betas": (0.9, 0.95),
    "weight_decay": 0.01,
}


class Small(torch.nn.Module):
    """An embedding, a matrix and a norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = torch.nn.Embedding(5, 4)
        self.matrix = torch.nn.Linear(4, 4, bias=False)
        self.norm = torch.nn.LayerNorm(4)

    def forward(self):
        return self.norm(self.matrix(self.embed_tokens(torch.arange(5)))).square().sum()


def step(model, optimizer):
    optimizer.zero_grad()
    (model() - 3 * model.matrix.weight.sum()).backward()
    optimizer.step()


def test_matrices_are_muons_and_all_other_weights_adamws():
    model = Small()
    muon, adamw = MuonFactory()(model, **SETTINGS).param_groups
    assert [p.shape for p in muon["params"]] == [(4, 4)]
    assert {tuple(p.shape) for p in adamw["params"]} == {(5, 4), (4,)}
    assert (muon["lr"], adamw["lr"]) == (0.02, 3e-3)


def test_an_adapter_of_matrices_alone_is_muons():
    model = Small()
    model.embed_tokens.requires_grad_(False)
    model.norm.requires_grad_(False)
    optimizer = MuonFactory()(model, **SETTINGS)
    (muon,) = optimizer.param_groups
    assert [p.shape for p in muon["params"]] == [(4, 4)]
    before = model.matrix.weight.detach().clone()
    step(model, optimizer)
    assert not torch.equal(model.matrix.weight, before)


def test_a_schedule_moves_both_rates():
    model = Small()
    optimizer = MuonFactory()(model, **SETTINGS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 1.5e-3]
    before = [p.detach().clone() for p in model.parameters()]
    schedule.step()
    step(model, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_resumed_optimizer_repeats_the_steps():
    model, other = Small(), Small()
    optimizer, resumed = MuonFactory()(model, **SETTINGS), MuonFactory()(other, **SETTINGS)
    for _ in range(3):
        step(model, optimizer)
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        step(model, optimizer)
        step(other, resumed)
    assert torch.equal(model.matrix.weight, other.matrix.weight)
    assert torch.equal(model.norm.weight, other.norm.weight)


@pytest.mark.parametrize("rate", [None, 0.02])
def test_without_a_rate_the_choice_is_left_to_optim(rate):
    args = SimpleNamespace(
        muon_learning_rate=rate,
        learning_rate=1e-3,
        adam_beta1=0.9,
        adam_beta2=0.99,
        weight_decay=0.0,
    )
    assert (muon_of(args) is None) == (rate is None)


SHAPES = ((4, 4), (4, 9), (9, 4), (4, 9))


def matrices():
    torch.manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def test_steps_on_a_cpu_are_torchs_but_for_its_bfloat16():
    ours, theirs = matrices(), matrices()
    settings = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    optimizers = CpuMuon(ours, **settings), torch.optim.Muon(theirs, **settings)
    for number in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = other.grad = torch.randn(one.shape, generator=torch.manual_seed(number))
        for optimizer in optimizers:
            optimizer.step()
    for before, one, other in zip(matrices(), ours, theirs, strict=True):
        assert (one - before).abs().max() > 0.02
        assert torch.allclose(one, other, atol=2e-3)
    assert optimizers[0].state_dict()["state"].keys() == optimizers[1].state_dict()["state"].keys()


def test_a_matrix_without_a_gradient_stays_as_it_is():
    first, second = matrices()[:2]
    first.grad = torch.ones(4, 4)
    before = second.detach().clone()
    CpuMuon([first, second], lr=0.02, adjust_lr_fn="match_rms_adamw").step()
    assert torch.equal(second, before)


def test_another_scale_of_updates_is_refused():
    (matrix,) = matrices()[:1]
    with pytest.raises(ValueError, match="expected 'match_rms_adamw'"):
        CpuMuon([matrix], lr=0.02).step()


@pytest.mark.parametrize("shape", [(2, 6, 6), (2, 4, 9), (2, 9, 4)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    settings = {"coefficients": (3.4445, -4.775, 2.0315), "steps": 5, "eps": 1e-7}
    given = torch.randn(shape)
    together = orthogonalised(given, **settings)
    assert together.shape == given.shape
    singular = torch.linalg.svdvals(together)
    assert singular.min() > 0.3
    assert singular.max() < 1.3
    alone = torch.cat([orthogonalised(one[None], **settings) for one in given])
    assert torch.allclose(together, alone, atol=1e-6)
