"""adasr-trl: teach small language models to reason while their input is still arriving.

    >>> from adasr_trl import HRPOConfig, HRPOTrainer, StreamingConfig

AdaSR (arXiv 2606.14694) and HRPO, hierarchical relative policy optimization, on Hugging Face's TRL. Importing this
package loads no torch; the names below are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from adasr_trl.config.sections import StreamingConfig as StreamingConfig
    from adasr_trl.core.episode import Episode as Episode
    from adasr_trl.core.rollout import Rollout as Rollout
    from adasr_trl.hrpo import HRPOConfig as HRPOConfig
    from adasr_trl.hrpo import HRPOTrainer as HRPOTrainer
    from adasr_trl.live.background import BackgroundStream as BackgroundStream
    from adasr_trl.live.reasoner import StreamingReasoner as StreamingReasoner
    from adasr_trl.rewards import build_rewards as build_rewards

_HOMES = {
    "BackgroundStream": "adasr_trl.live.background",
    "Episode": "adasr_trl.core.episode",
    "HRPOConfig": "adasr_trl.hrpo",
    "HRPOTrainer": "adasr_trl.hrpo",
    "Rollout": "adasr_trl.core.rollout",
    "StreamingConfig": "adasr_trl.config.sections",
    "StreamingReasoner": "adasr_trl.live.reasoner",
    "build_rewards": "adasr_trl.rewards",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adasr_trl' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
