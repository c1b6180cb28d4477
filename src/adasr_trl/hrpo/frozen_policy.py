"""Log-probabilities under a trainer's policy of the moment, or under a frozen copy of the weights before its first step.

    >>> asked = AskedPolicy(trainer, freezes=True)
    >>> with asked.under("reference") as token_logps:
    ...     logps_BT = token_logps(ids_BT, visibility_BT, counted_BT)

Only trained weights are copied: an adapter's, or all. TRL keeps a reference model for its KL term alone (``beta``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor

from adasr_trl.engines.hf import evaluating, unwrapped
from adasr_trl.hrpo.gold_answer import TokenLogps


class AskedPolicy:
    """See the module."""

    def __init__(self, trainer: Any, *, freezes: bool) -> None:
        """Copy the trained weights if ``freezes``.

        Raises:
            ValueError: The weights are sharded, so that no process has them whole.
        """
        self._trainer = trainer
        self._frozen: dict[str, Tensor] = {}
        if freezes:
            _refuse_sharding(trainer)
            trained = trainer.model.named_parameters()
            self._frozen = {n: p.detach().clone() for n, p in trained if p.requires_grad}

    @contextmanager
    def under(self, weights: str) -> Iterator[TokenLogps]:
        """The log-probabilities under ``policy`` or ``reference``, at the trainer's temperature; every process must enter."""
        with unwrapped(self._trainer) as model, evaluating(model):
            token_logps = partial(self._trainer.token_logps, model)
            if weights == "policy":
                yield token_logps
                return
            own = {name: parameter.data for name, parameter in model.named_parameters()}
            try:
                _set(model, own | self._frozen)
                yield token_logps
            finally:
                _set(model, own)


def _set(model: Any, weights: Mapping[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.data = weights[name]


def _refuse_sharding(trainer: Any) -> None:
    plugin = trainer.accelerator.state.deepspeed_plugin
    if trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3):
        raise ValueError(
            "rewards: gold_gain: settings.under: got reference, but the weights are sharded over the processes; use "
            "under: policy, or ZeRO-2."
        )
