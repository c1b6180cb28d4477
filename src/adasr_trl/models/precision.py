"""Precision of a model's weights: the choice of ``dtype: auto``, the precision that layers compute in, finite numbers.

    >>> choose_dtype()      # on a CPU with AVX2 only
    'float32'

bfloat16 halves the memory of a model. A CPU without instructions for it emulates it, several times slower than float32,
so there it is chosen only where a matrix product is as fast. A run records the choice (``cli.run_plan``).
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SLOW = 1.5  # times float32's time from which on bfloat16 is warned of
_ROWS, _WIDTH, _REPEATS = 64, 1024, 5  # of the product that is timed: a small batch against a layer


def choose_dtype() -> Literal["float32", "bfloat16"]:
    """The precision that ``auto`` stands for on this device; says the choice and its reason."""
    if torch.cuda.is_available():
        chosen: Literal["float32", "bfloat16"] = (
            "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        )
        logger.info("model.dtype: auto is %s on this GPU", chosen)
        return chosen
    ratio = bfloat16_slowdown()
    chosen = "bfloat16" if ratio <= 1.0 else "float32"
    logger.info("model.dtype: auto is %s (%s)", chosen, cost_words(ratio))
    return chosen


def cost_words(ratio: float) -> str:
    """A measured cost of bfloat16 in words."""
    return f"on this CPU a step in bfloat16 takes about {ratio:.2g} times as long as in float32"


def slow_bfloat16(model: Any) -> str | None:
    """Warning of a model that computes in bfloat16 on a CPU that is slow at it, with the remedy; None for any other."""
    is_bfloat16 = computing_dtype(model) is torch.bfloat16 and model.device.type == "cpu"
    if not is_bfloat16 or (ratio := bfloat16_slowdown()) <= SLOW:
        return None
    is_four_bit = model.dtype is not torch.bfloat16
    key = "model.quantization.compute_dtype: float32" if is_four_bit else "model.dtype: auto"
    return f"{cost_words(ratio)}: set {key}"


@lru_cache(maxsize=1)
def bfloat16_slowdown() -> float:
    """Time of a matrix product in bfloat16 over float32's on this CPU, medians of a few."""
    seconds = {dtype: _seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return seconds[torch.bfloat16] / seconds[torch.float32]


def _seconds(dtype: torch.dtype) -> float:
    rows = torch.ones(_ROWS, _WIDTH, dtype=dtype)
    weight = torch.ones(_WIDTH, _WIDTH, dtype=dtype)
    times = []
    for _ in range(_REPEATS + 1):  # the first one prepares
        start = time.perf_counter()
        torch.mm(rows, weight)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def computing_dtype(model: Any) -> torch.dtype:
    """The lowest precision that layers compute in: the weights', or that of 4-bit layers."""
    dtypes: set[torch.dtype] = {model.dtype}
    for module in model.modules():
        # PEFT's layer around it has the same name, and no precision of its own.
        if type(module).__name__ == "Linear4bit" and hasattr(module, "compute_dtype"):
            dtypes.add(module.compute_dtype or model.dtype)
    return min(dtypes, key=lambda dtype: (dtype.itemsize, dtype is not torch.bfloat16))


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every number of every tensor is finite; true for none."""
    norms = [
        torch.linalg.vector_norm(tensor.detach(), ord=torch.inf)
        for tensor in tensors
        if tensor.is_floating_point() and tensor.numel()
    ]
    return not norms or bool(torch.stack([norm.float().cpu() for norm in norms]).isfinite().all())
