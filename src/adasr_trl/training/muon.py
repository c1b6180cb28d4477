"""Muon for the matrices of a model, AdamW for all other weights: fewer steps for small models that start from nothing.

    >>> trainer = SFTTrainer(model, args, optimizer_cls_and_kwargs=muon_of(args))     # args.muon_learning_rate: 0.02

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) is torch's, with updates scaled as AdamW's. Embedding,
head and norms are AdamW's, as its author advises. The schedule multiplies both learning rates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer


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
            parts.append(
                Muon(
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
