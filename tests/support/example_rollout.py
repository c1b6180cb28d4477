"""One question in three chunks and its rollout: a thought, a thought out of tokens, a skip, an answer."""

from __future__ import annotations

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout

R, S, D = Phase.READ, Phase.STREAM, Phase.DEEP

EPISODE = Episode(
    id="ledger-7",
    group="ledger",
    question="How many apples has Tom?",
    chunks=("Tom has 5 apples.", " He buys 3.", " It rains."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("ledger", "1", "CC0-1.0", "train"),
)
ROLLOUT = Rollout(
    episode_id="ledger-7",
    prompt_length=1,
    token_ids=tuple(range(13)),
    phases=(R, R, S, S, R, S, S, S, R, S, D, D, D),
    chunk_of_token=(-1, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3),
    thought_endings=(Ending.THOUGHT, Ending.OUT_OF_TOKENS, Ending.SKIP),
    ending=Ending.ANSWERED,
    logprobs=None,
    thoughts=("Tom 5", "Tom 5 + 3", ""),
    deep="5 + 3 = 8",
    answer="8",
    answer_tokens=2,
)
