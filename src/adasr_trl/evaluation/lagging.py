"""Lag of writing behind reading, as simultaneous translation measures it: AL and LAAL.

    >>> average_lagging([1, 2, 3, 3], source_length=3, target_length=4)    # a word behind, at the input's own pace
    1.25

Average lagging (AL) is Ma et al. 2019 (STACL, arXiv 1810.08398):

    AL = 1 / tau * sum over t = 1 .. tau of [ g(t) - (t - 1) * |x| / |y| ],    tau = the first t with g(t) >= |x|

where g(t) is how much of the source x had been read when target unit t was written. Length-adaptive average lagging
(LAAL) is Papi et al. 2022 (arXiv 2206.05807): max(|y|, |y*|) in place of |y|, with the reference y*, so that
writing more than the reference earns nothing. The units are our choice, not specified in the paper:

- Source units are spoken words (``chunking.spoken_words``). A chunk is read as a whole, so g jumps by a chunk's words:
  a token of the thought behind chunk k has g = the words of chunks 0 to k, a token of the deep part has g = |x|.
- Target units are all sampled tokens, markers and end of sequence included: thoughts first, then the deep part.
- The reference y* is the episode's own trace, in tokens as supervised training writes it. Without a trace: no LAAL.
- In seconds, g(t) is the clock's time of writing token t (computation-aware, as in SimulEval, arXiv 2007.16193), and |x|
  the arrival of the last chunk.
- Read-then-think has g(1) = |x|: AL and LAAL are the whole input. Neither looks at what the tokens say.
"""

from __future__ import annotations

from collections.abc import Sequence

from adasr_trl.core.clock import Clock, Timeline
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout


def average_lagging(
    delays: Sequence[float], source_length: float, target_length: float
) -> float | None:
    """AL where ``target_length`` is the number of delays, LAAL where it is at least the reference's.

    Args:
        delays: g(t) of each target unit.
        source_length: The whole source, in the unit of the delays.
        target_length: Number of target units that the source is compared with.

    Returns:
        The mean lag up to the first unit that had seen all of the source; None where nothing was written.
    """
    if not delays:
        return None
    tau = next((t for t, delay in enumerate(delays, 1) if delay >= source_length), len(delays))
    pace = source_length / target_length
    return sum(delay - t * pace for t, delay in enumerate(delays[:tau])) / tau


def lags(
    delays: Sequence[float], source_length: float, reference: int | None
) -> tuple[float | None, float | None]:
    """AL and LAAL of one rollout; no LAAL without a reference, which is counted in target units."""
    lagging = average_lagging(delays, source_length, len(delays))
    if reference is None:
        return lagging, None
    return lagging, average_lagging(delays, source_length, max(len(delays), reference))


def word_delays(rollout: Rollout, words: Sequence[float]) -> list[float]:
    """Words read before each written token (T).

    Args:
        rollout: The written tokens.
        words: Words of chunks 0 to k, for each chunk k. (C)
    """
    whole = words[-1]
    pairs = zip(rollout.phases, rollout.chunk_of_token, strict=True)
    return [
        words[chunk] if phase is Phase.STREAM else whole
        for phase, chunk in pairs
        if phase is not Phase.READ
    ]


def second_delays(rollout: Rollout, line: Timeline, clock: Clock) -> list[float]:
    """Seconds from the question to each written token (T); the last one of a thought is at its finish."""
    delays: list[float] = []
    for count, finish in zip(rollout.thought_tokens(), line.finish_seconds, strict=False):
        delays += _until(finish, count, clock)
    end = line.arrival_seconds[-1] + line.end_latency_seconds
    return delays + _until(end, rollout.tokens_in(Phase.DEEP), clock)


def _until(end: float, count: int, clock: Clock) -> list[float]:
    return [end - left * clock.seconds_per_token for left in range(count - 1, -1, -1)]
