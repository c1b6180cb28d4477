"""Engines turn episodes and sampling settings into rollouts; they know token ids, not rewards.

``registry`` lists them by name and ability. The names below are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adasr_trl.engines.base import Engine as Engine
    from adasr_trl.engines.hf import HFEngine as HFEngine
    from adasr_trl.engines.memory import CacheBudget as CacheBudget
    from adasr_trl.engines.request import Request as Request
    from adasr_trl.engines.request import Sampling as Sampling
    from adasr_trl.engines.vllm import VLLMEngine as VLLMEngine

_HOMES = {
    "CacheBudget": "memory",
    "Engine": "base",
    "HFEngine": "hf",
    "Request": "request",
    "Sampling": "request",
    "VLLMEngine": "vllm",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adasr_trl.engines' has no attribute {name!r}")
    return getattr(importlib.import_module(f"adasr_trl.engines.{_HOMES[name]}"), name)
