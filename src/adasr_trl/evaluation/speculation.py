"""Speculative discard-and-regenerate, the baseline of voice assistants: an answer is begun after each chunk.

    >>> [len(beginning.chunks) for beginning in beginnings(episode)]
    [1, 2, 3]
    >>> speculate(engine, requests, Sampling(0.0))[0].discarded
    (31, 40)

Whenever a chunk arrives, read-then-think starts its reasoning anew on the text so far, and throws away what it had written.
So the final rollout, its accuracy and its answer latency are those of read-then-think; the tokens are more. Each beginning
is rolled out in full, and the clock says how much of it was written in time (``core.clock.discarded_tokens``).
Livekit and pipecat have this as preemptive generation; counting by a clock is our choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import Engine, Request, Sampling
from adasr_trl.engines.request import stable_hash


def beginnings(episode: Episode) -> list[Episode]:
    """The episode cut behind each of its chunks, without traces; the last one is all of it."""
    times = episode.arrival_seconds
    return [
        dataclasses.replace(
            episode,
            chunks=episode.chunks[:count],
            arrival_seconds=times and times[:count],
            thoughts=None,
            deep=None,
        )
        for count in range(1, len(episode.chunks) + 1)
    ]


def speculate(engine: Engine, requests: Sequence[Request], sampling: Sampling) -> list[Rollout]:
    """The rollout of each request, with the lengths of those on its beginnings; each has random numbers of its own."""
    cut = [
        dataclasses.replace(
            request, episode=beginning, seed=stable_hash(f"{count} of {request.seed}")
        )
        for request in requests
        for count, beginning in enumerate(beginnings(request.episode)[:-1], 1)
    ]
    rollouts = engine.rollout(requests, sampling)
    lengths = iter([x.tokens_in(Phase.DEEP) for x in engine.rollout(cut, sampling)] if cut else [])
    return [
        dataclasses.replace(
            rollout, discarded=tuple(next(lengths) for _ in request.episode.chunks[1:])
        )
        for request, rollout in zip(requests, rollouts, strict=True)
    ]
