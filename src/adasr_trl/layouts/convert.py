"""A trajectory in another layout: the same written tokens, laid out again.

    >>> moved = converted(rollout, episode, Mode.STREAMING, Parallel(streaming, codec))

What the model wrote, and what an engine forced, is taken over token by token; given tokens are those of the new layout.
Log-probabilities are dropped: they were of another context.
"""

from __future__ import annotations

import dataclasses

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.layouts.base import Layout


def converted(rollout: Rollout, episode: Episode, mode: Mode, layout: Layout) -> Rollout:
    """The rollout in ``layout``; a rollout that broke off early stays as long as it was."""
    segments = _segments(rollout)
    token_ids: list[int] = []
    phases: list[Phase] = []
    chunks: list[int] = []
    turns = layout.turns(episode, mode)
    for turn in turns:
        if turn.writes is not Phase.READ and turn.chunk not in segments:
            break
        token_ids += turn.token_ids
        phases += [Phase.READ] * len(turn.token_ids)
        chunks += [turn.chunk] * len(turn.token_ids)
        for token_id, phase in segments[turn.chunk] if turn.writes is not Phase.READ else ():
            token_ids.append(token_id)
            phases.append(phase)
            chunks.append(turn.chunk)
    return dataclasses.replace(
        rollout,
        prompt_length=layout.prompt_length(turns),
        token_ids=tuple(token_ids),
        phases=tuple(phases),
        chunk_of_token=tuple(chunks),
        logprobs=None,
    )


def _segments(rollout: Rollout) -> dict[int, list[tuple[int, Phase]]]:
    """Chunk to what was written behind it: sampled tokens, and those forced behind them."""
    segments: dict[int, list[tuple[int, Phase]]] = {}
    columns = zip(rollout.token_ids, rollout.phases, rollout.chunk_of_token, strict=True)
    for token_id, phase, chunk in columns:
        if phase is not Phase.READ:
            segments.setdefault(chunk, []).append((token_id, phase))
        elif chunk in segments:
            segments[chunk].append((token_id, phase))
    return segments
