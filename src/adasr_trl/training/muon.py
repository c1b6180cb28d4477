"""Muon for the matrices of a model, AdamW for all other weights: fewer steps for small models that start from nothing.

    >>> trainer = SFTTrainer(model, args, optimizer_cls_and_kwargs=muon_of(args))     # args.muon_learning_rate: 0.02

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) is torch's, with updates scaled as AdamW's. Embedding,
head and norms are AdamW's, as its author advises. The schedule multiplies both learning rates. On a CPU its matrices are
float32 and of one shape together: torch multiplies each in bfloat16, which most CPUs do many times slower.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer


class CpuMuon(Muon):
    """torch's Muon with its Newton-Schulz iteration in float32, for all matrices of one shape at once."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of torch's rule, ``match_rms_adamw``."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["adjust_lr_fn"] != "match_rms_adamw":
                raise ValueError(
                    f"adjust_lr_fn is {group['adjust_lr_fn']!r}; expected 'match_rms_adamw'."
                )
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for matrices in by_shape.values():
                self._step(matrices, group)
        return loss

    def _step(self, matrices: Sequence[Tensor], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        updates = []
        for matrix in matrices:
            gradient = matrix.grad
            assert gradient is not None
            state = self.state[matrix]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            buffer = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
            updates.append(gradient.lerp(buffer, momentum) if group["nesterov"] else buffer)
        directions = orthogonalised(
            torch.stack(updates).float(),
            coefficients=group["ns_coefficients"],
            steps=group["ns_steps"],
            eps=group["eps"],
        )
        rate = group["lr"] * 0.2 * math.sqrt(max(matrices[0].shape))
        for matrix, direction in zip(matrices, directions, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(direction.to(matrix.dtype), alpha=-rate)


def orthogonalised(
    matrices: Tensor, *, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Each matrix with its singular values brought near 1, by Muon's Newton-Schulz iteration. (N, R, C) -> (N, R, C)."""
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if is_tall else matrices  # (N, S, L), S <= L
    wide = wide / wide.flatten(1).norm(dim=1).clamp(min=eps)[:, None, None]
    for _ in range(steps):
        gram = wide @ wide.mT  # (N, S, S)
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.mT if is_tall else wide


class MuonAdamW(Optimizer):
    """Muon and AdamW as one: their groups side by side, one state dict. An adapter of matrices alone has only Muon."""

    def __init__(self, *parts: Muon | AdamW) -> None:
        self._parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share_groups()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()  # type: ignore[no-untyped-call]  # torch's
        return loss

    def state_dict(self) -> dict[str, Any]:
        """State of both, in their order."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of both."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()

    def _share_groups(self) -> None:
        """Let a scheduler that sets rates here set those of the parts: loading makes new groups."""
        self.param_groups = [group for part in self._parts for group in part.param_groups]


class MuonFactory:
    """transformers' form of an optimizer that needs the model."""

    def __call__(
        self,
        model: torch.nn.Module,
        *,
        muon_learning_rate: float,
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> MuonAdamW:
        """The optimizer of a model's trainable weights."""
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = {name: p for name, p in trained.items() if _is_inner_matrix(name, p)}
        others = [p for name, p in trained.items() if name not in matrices]
        parts: list[Muon | AdamW] = []
        if matrices:
            is_cpu = all(matrix.device.type == "cpu" for matrix in matrices.values())
            parts.append(
                (CpuMuon if is_cpu else Muon)(
                    list(matrices.values()),
                    lr=muon_learning_rate,
                    weight_decay=weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        if others:
            parts.append(AdamW(others, lr=learning_rate, betas=betas, weight_decay=weight_decay))
        return MuonAdamW(*parts)


def muon_of(args: Any) -> tuple[type[MuonFactory], dict[str, Any]] | None:
    """Transformers' ``optimizer_cls_and_kwargs`` for ``muon_learning_rate``; None leaves the choice to ``optim``."""
    if args.muon_learning_rate is None:
        return None
    return MuonFactory, {
        "muon_learning_rate": args.muon_learning_rate,
        "learning_rate": args.learning_rate,
        "betas": (args.adam_beta1, args.adam_beta2),
        "weight_decay": args.weight_decay,
    }


def _is_inner_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
