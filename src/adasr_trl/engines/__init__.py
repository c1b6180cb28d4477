"""Engines turn episodes and sampling settings into rollouts; they know token ids, not rewards."""

from adasr_trl.engines.base import Engine, Request, Sampling
from adasr_trl.engines.hf import HFEngine
from adasr_trl.engines.memory import Room
from adasr_trl.engines.vllm import VLLMEngine

__all__ = ["Engine", "HFEngine", "Request", "Room", "Sampling", "VLLMEngine"]
