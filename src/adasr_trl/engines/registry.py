"""Engines by name, with their abilities. A new engine is one module and one entry of ``ENGINES``.

    >>> ENGINES["vllm"].refusal("parallel")
    'the parallel layout needs an attention of its own, which vLLM does not have; ...'
    >>> generate = ENGINES["hf"].for_training(trainer, codec, layout, streaming, budget)

The module defines ``for_training`` with these arguments and a ``Generate`` as its result. No engine is imported before
it is used, so that a configuration is checked without torch.
"""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adasr_trl.engines.base import Generate
    from adasr_trl.engines.hf import HFEngine
    from adasr_trl.engines.memory import CacheBudget
    from adasr_trl.models.loading import Policy

DEFAULT_ENGINE = "hf"


@dataclass(frozen=True)
class EngineInfo:
    """Abilities of one engine.

    Attributes:
        name: Value of ``engine`` in a configuration, and name of the module with its ``for_training``.
        uses_trainer_model: Whether a rollout is a forward of the trainer's own (sharded, quantised) model.
        needs_vllm: Whether TRL's vLLM client has to be started (``use_vllm``).
        layouts: Layouts that it serves.
        other_layouts: Reason against the other layouts, with a remedy.
        untested: Reason for a warning on sharded or 4-bit weights; "" where tests train on them.
    """

    name: str
    uses_trainer_model: bool
    needs_vllm: bool
    layouts: tuple[str, ...] = ("interleaved", "parallel")
    other_layouts: str = ""
    untested: str = ""

    def refusal(self, layout: str) -> str | None:
        """Reason against a layout, or None where the engine serves it."""
        return None if layout in self.layouts else self.other_layouts

    def for_training(self, *arguments: Any) -> Generate:
        """The trainer's rollout function, on its weights of the moment; arguments as in the module's docstring."""
        module = importlib.import_module(f"adasr_trl.engines.{self.name}")
        generate: Generate = module.for_training(*arguments)
        return generate


_ALL = (
    EngineInfo(name="hf", uses_trainer_model=True, needs_vllm=False),
    EngineInfo(
        name="vllm",
        uses_trainer_model=False,
        needs_vllm=True,
        layouts=("interleaved",),
        other_layouts="the parallel layout needs an attention of its own, which vLLM does not have; use engine: hf, "
        "or streaming.layout: interleaved.",
        untested="vLLM was tried in one process, on whole weights only (docs/VLLM.md).",
    ),
)
ENGINES = {engine.name: engine for engine in _ALL}


def local_engine(
    policy: Policy, budget: CacheBudget | None = None, thought_cap: int | None = None
) -> HFEngine:
    """The engine of evaluation, doctor and live use: forwards of a model in this process.

    Args:
        policy: The model with its protocol.
        budget: Bound of the cache; by default that of the protocol.
        thought_cap: Cap on one thought, in tokens; by default that of the protocol.

    Raises:
        UserError: The model cannot be rolled out in the policy's layout.
    """
    from adasr_trl.engines.hf import HFEngine
    from adasr_trl.engines.selfcheck import check_model

    streaming = policy.streaming
    if thought_cap is not None:
        streaming = dataclasses.replace(streaming, max_thought_tokens=thought_cap)
    engine = HFEngine(policy.model, policy.codec, policy.layout, streaming, budget)
    check_model(policy.model, policy.streaming.layout)
    return engine
