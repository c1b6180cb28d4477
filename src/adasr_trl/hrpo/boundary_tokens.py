"""Deciding tokens of a rollout: a segment's first token, its end marker, and the end of sequence.

    >>> boundary_tokens(rollout, codec)      # <chunk> Tom 5 + 3 = 8 <EOT>
    (False, True, False, False, False, False, True)

For boundary granularity. The first token chooses to think or to skip, the end marker chooses to stop. The paper
compares "boundary tokens"; which ones they are is our choice. A marker may be several tokens, and a byte-pair merge
may give its first one a character more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.layouts.codec import Codec


def boundary_tokens(rollout: Rollout, codec: Codec) -> tuple[bool, ...]:
    """True for each deciding token; only sampled ones decide. (T)."""
    segments: dict[int, list[int]] = {}  # chunk -> positions of its sampled tokens, in order
    tokens = zip(rollout.phases, rollout.chunk_of_token, strict=True)
    for position, (phase, chunk) in enumerate(tokens):
        if phase is not Phase.READ:
            segments.setdefault(chunk, []).append(position)
    deciding: set[int] = set()
    for chunk, positions in segments.items():
        deciding |= {positions[0], *_end(rollout, chunk, positions, codec)}
    return tuple(position in deciding for position in range(len(rollout.token_ids)))


def _end(rollout: Rollout, chunk: int, positions: Sequence[int], codec: Codec) -> Sequence[int]:
    """The positions of the segment's end marker; none where it did not end by itself."""
    ids = [rollout.token_ids[position] for position in positions]
    if rollout.phases[positions[0]] is Phase.STREAM:
        ending = rollout.thought_endings[chunk]
        if ending is Ending.SKIP:
            return positions
        if ending is not Ending.THOUGHT:
            return ()
        return positions[_start_of(codec.markers.thought_end, ids, codec) :]
    marker = codec.markers.reasoning_end
    ended = positions[-1:] if rollout.ending is Ending.ANSWERED else ()
    lengths = range(1, len(ids) + 1)
    shortest = bisect_left(lengths, True, key=lambda n: marker in codec.decode(ids[:n]))
    if shortest == len(lengths):
        return ended
    last = lengths[shortest]
    return (*positions[_start_of(marker, ids[:last], codec) : last], *ended)


def _start_of(marker: str, ids: Sequence[int], codec: Codec) -> int:
    """Where the shortest tail of ``ids`` that holds ``marker`` begins."""
    return next(n for n in range(len(ids) - 1, -1, -1) if marker in codec.decode(list(ids[n:])))
