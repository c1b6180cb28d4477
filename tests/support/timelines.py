"""Rollouts of given token counts, for the clock."""

from __future__ import annotations

import dataclasses

from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout


def build(read: list[int], written: list[int], answer_tokens: int) -> Rollout:
    """A rollout with a prompt of 3 tokens."""
    deep = len(read) - 1
    parts = [(Phase.READ, -1)] * 3
    for k in range(len(read)):
        parts += [(Phase.READ, k)] * read[k]
        parts += [(Phase.DEEP if k == deep else Phase.STREAM, k)] * written[k]
    return Rollout(
        episode_id="a",
        prompt_length=3,
        token_ids=tuple(range(len(parts))),
        phases=tuple(phase for phase, _ in parts),
        chunk_of_token=tuple(chunk for _, chunk in parts),
        thought_endings=(Ending.THOUGHT,) * deep,
        ending=Ending.ANSWERED,
        logprobs=None,
        thoughts=("x",) * deep,
        deep="x",
        answer="8",
        answer_tokens=answer_tokens,
    )


def beside(rollout: Rollout) -> Rollout:
    """The same in the parallel layout: all that is read lies in the prompt."""
    columns = sorted(
        zip(rollout.phases, rollout.chunk_of_token, strict=True),
        key=lambda column: column[0] is not Phase.READ,
    )
    return dataclasses.replace(
        rollout,
        prompt_length=rollout.phases.count(Phase.READ),
        phases=tuple(phase for phase, _ in columns),
        chunk_of_token=tuple(chunk for _, chunk in columns),
    )
