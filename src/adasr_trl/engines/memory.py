"""How many rollouts are decoded together, so that their cache fits into memory, and what that took.

>>> room = Room(limit=64)
>>> room.fitting(rows, bytes_per_token, max_gib=2.0)    # at most 64
>>> room.report()
{'rollout/tokens_per_second': 812.5, 'rollout/cache_mib': 96.0, 'rollout/decode_batch': 64}
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from adasr_trl.core.errors import UserError
from adasr_trl.engines.rollout_state import Row

logger = logging.getLogger(__name__)

SLOTS_AT_ONCE = 128  # a row's part of the cache grows by so many tokens


@dataclass
class Room:
    """Lives as long as a run; engines come and go.

    Attributes:
        limit: Rollouts together at most: ``streaming.decode_batch``, or less once memory ran out.
        peak_bytes: The largest cache since the last report; ``tokens`` written and ``seconds`` taken likewise.
    """

    limit: int
    peak_bytes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    _said: int = 0

    def fitting(self, rows: Iterable[Row], bytes_per_token: int, max_gib: float | None) -> int:
        """How many rollouts may be decoded together.

        Args:
            rows: Those to come.
            bytes_per_token: Of the cache.
            max_gib: What the cache may take, or None for no bound.

        Raises:
            UserError: The longest of them alone could take more.
        """
        if max_gib is None:
            return self.limit
        bound = int(max_gib * 2**30)
        longest = max(row.longest for row in rows) + SLOTS_AT_ONCE
        found = bound // (longest * bytes_per_token)
        if found < 1:
            raise UserError(
                f"streaming.max_cache_gib: got {max_gib:g}; one rollout of at most {longest} tokens may take "
                f"{longest * bytes_per_token / 2**30:.2g}. Raise it, or lower max_prompt_tokens or the caps."
            )
        if found < self.limit and self._said != found:
            logger.info("%d rollouts together fit into streaming.max_cache_gib: %g", found, max_gib)
            self._said = found
        return min(found, self.limit)

    def halve(self, tried: int, error: Exception) -> None:
        """After running out of memory with ``tried`` rollouts; the error again if that was one alone."""
        if tried <= 1:
            raise error
        self.limit = tried // 2
        logger.warning(
            "out of memory with %d rollouts together: the same rollouts go on, from here %d together "
            "(streaming.decode_batch: %d avoids this)",
            tried,
            self.limit,
            self.limit,
        )

    def report(self) -> dict[str, float]:
        """What happened since the last report; empty if nothing was rolled out here."""
        if not self.seconds:
            return {}
        speed = self.tokens / self.seconds
        found = {
            "rollout/tokens_per_second": speed,
            "rollout/cache_mib": self.peak_bytes / 2**20,
            "rollout/decode_batch": float(self.limit),
        }
        self.peak_bytes, self.tokens, self.seconds = 0, 0, 0.0
        return found


def bytes_per_token(model: Any) -> int:
    """Of the keys and values of all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or the CPU's allocator, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
