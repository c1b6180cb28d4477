"""An episode and a stand-in for accelerate, for scoring groups of rollouts in one process."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from adasr_trl.core.episode import AnswerType, Episode, Source

EPISODE = Episode(
    id="e",
    group="e",
    question="How many coins does Tom have?",
    chunks=("Tom has 5 coins.", " He sings.", " Tom finds 3 coins."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("test", "1", "Apache-2.0", "train"),
    thoughts=("Tom 5", "", "Tom 5 + 3 = 8"),
    deep="",
)
ALONE = SimpleNamespace(
    device=torch.device("cpu"), gather=lambda x: x, pad_across_processes=lambda x, **_: x
)
