"""Engines turn episodes and sampling settings into rollouts; they know token ids, not rewards."""

from adasr_trl.engines.base import Engine, Request, Sampling
from adasr_trl.engines.hf import HFEngine

__all__ = ["Engine", "HFEngine", "Request", "Sampling"]
