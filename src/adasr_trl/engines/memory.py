"""Cache budget: how many rollouts are decoded together, and what their cache took.

>>> budget = CacheBudget(max_batch_size=64)
>>> budget.batch_size(states, bytes_per_token, max_gib=2.0)    # at most 64
>>> budget.report()
{'rollout/tokens_per_second': 812.5, 'rollout/cache_mib': 96.0, 'rollout/decode_batch': 64}
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from adasr_trl.core.errors import UserError
from adasr_trl.engines.rollout_state import SequenceState

logger = logging.getLogger(__name__)

GROWTH_TOKENS = 128  # a slot of the cache grows by so many tokens


@dataclass
class CacheBudget:
    """Memory of rollouts over a whole run; engines come and go.

    Attributes:
        max_batch_size: Rollouts decoded together at most: ``streaming.decode_batch``, or less once memory ran out.
        peak_bytes: The largest cache since the last report; ``tokens`` written and ``seconds`` taken likewise.
    """

    max_batch_size: int
    peak_bytes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    _logged: int = 0

    def batch_size(
        self, states: Iterable[SequenceState], bytes_per_token: int, max_gib: float | None
    ) -> int:
        """Number of rollouts to decode together, within ``max_gib`` GiB of cache if there is such a bound.

        Raises:
            UserError: The longest of them alone could exceed the bound.
        """
        if max_gib is None:
            return self.max_batch_size
        longest = max(state.max_length for state in states) + GROWTH_TOKENS
        fitting = int(max_gib * 2**30) // (longest * bytes_per_token)
        if fitting < 1:
            raise UserError(
                f"streaming.max_cache_gib: got {max_gib:g}; one rollout of at most {longest} tokens may take "
                f"{longest * bytes_per_token / 2**30:.2g}. Raise it, or lower max_prompt_tokens or the caps."
            )
        if fitting < self.max_batch_size and self._logged != fitting:
            self._logged = fitting
            message = "%d rollouts together fit into streaming.max_cache_gib: %g"
            logger.info(message, fitting, max_gib)
        return min(fitting, self.max_batch_size)

    def halve(self, tried: int, error: Exception) -> None:
        """Halve the batch size after memory ran out with ``tried`` rollouts; one alone raises ``error``."""
        if tried <= 1:
            raise error
        size = self.max_batch_size = tried // 2
        logger.warning(
            "out of memory with %d rollouts together: the same rollouts go on, from here %d together "
            "(streaming.decode_batch: %d avoids this)",
            *(tried, size, size),
        )

    def report(self) -> dict[str, float]:
        """Metrics since the last report; empty without a rollout."""
        if not self.seconds:
            return {}
        metrics = {
            "rollout/tokens_per_second": self.tokens / self.seconds,
            "rollout/cache_mib": self.peak_bytes / 2**20,
            "rollout/decode_batch": float(self.max_batch_size),
        }
        self.peak_bytes, self.tokens, self.seconds = 0, 0, 0.0
        return metrics


def bytes_per_token(model: Any) -> int:
    """Memory of one token's keys and values in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or the CPU's allocator, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
