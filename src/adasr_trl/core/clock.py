"""Arrival times of chunks, time of reading and writing, and the answer latency.

    >>> timeline(rollout, arrivals(episode, Clock()), Clock()).answer_latency_seconds
    0.21

Thought k of n_k tokens starts at s_k = max(a_k, f_{k-1}) and ends at f_k = s_k + prefill_k + n_k * tau. In the parallel
layout chunks are encoded beside the writing, and s_k waits for its chunk's encoding only while the model is idle. The
backlog is the work left at the last chunk's arrival. Answer latency = backlog + prefill of the transition + deep tokens
up to the end of the answer's value.

Source: AdaSR (arXiv 2606.14694) in words; this exact form is our choice. Its latencies fit tau = 30 ms at 150 words a minute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from adasr_trl.core.chunking import spoken_words
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout

_ROUNDING = 1e-9  # of a token: ten tokens of 0.03 s fit into 0.3 s


@dataclass(frozen=True)
class Clock:
    """Rates that turn words and tokens into seconds.

    Attributes:
        words_per_minute: Reading or speaking speed of the input.
        seconds_per_token: Decode time of one token (tau).
        prefill_seconds_per_token: Prefill time of one token; 0 in the paper.
        seconds_per_read: Fixed cost of reading a chunk or the transition, beyond the decode of the next token. Our
            choice; ``live.device_rates`` measures it.
        reads_beside: Parallel layout: the input is encoded beside the writing and delays none of it. False: one device
            reads and writes in turn, as in live use.
    """

    words_per_minute: float = 150.0
    seconds_per_token: float = 0.03
    prefill_seconds_per_token: float = 0.0005
    seconds_per_read: float = 0.0
    reads_beside: bool = True

    def __post_init__(self) -> None:
        """Refuse negative, endless and unknown rates; an infinite speed is input all at once (ValueError)."""
        if not self.words_per_minute > 0:
            raise ValueError(
                f"clock.words_per_minute: got {self.words_per_minute}; expected above 0."
            )
        for name in ("seconds_per_token", "prefill_seconds_per_token", "seconds_per_read"):
            if not 0 <= vars(self)[name] < math.inf:
                raise ValueError(f"clock.{name}: got {vars(self)[name]}; expected 0 or more.")


@dataclass(frozen=True)
class Timeline:
    """Times of one rollout over C chunks, in seconds since the question.

    Attributes:
        arrival_seconds: Complete arrival of chunk k (a_k). (C)
        start_seconds: Start of work on chunk k (s_k). (C)
        finish_seconds: End of thought k (f_k). (C)
        backlog_seconds: Work left at the last chunk's arrival.
        answer_latency_seconds: From the last chunk's arrival to the last token of the answer's value.
        end_latency_seconds: From the last chunk's arrival to the last token of all.
        thinking_seconds: Time of all writing, thoughts and deep part.
        hidden_seconds: Part of the thinking before the last chunk's arrival.
    """

    arrival_seconds: tuple[float, ...]
    start_seconds: tuple[float, ...]
    finish_seconds: tuple[float, ...]
    backlog_seconds: float
    answer_latency_seconds: float
    end_latency_seconds: float
    thinking_seconds: float
    hidden_seconds: float

    @property
    def overlap(self) -> float:
        """Share of the thinking hidden behind the input's arrival; 0 for a rollout without tokens."""
        return self.hidden_seconds / self.thinking_seconds if self.thinking_seconds else 0.0


def arrivals(episode: Episode, clock: Clock) -> tuple[float, ...]:
    """Complete arrival of each chunk in seconds (C): as recorded, else at the clock's reading speed."""
    if episode.arrival_seconds is not None:
        return episode.arrival_seconds
    return spoken_arrivals(episode.chunks, clock)


def spoken_arrivals(chunks: Sequence[str], clock: Clock) -> tuple[float, ...]:
    """Complete arrival of each chunk in seconds (C) at the clock's reading speed."""
    seconds_per_word = 60.0 / clock.words_per_minute
    return tuple(words * seconds_per_word for words in accumulate(map(spoken_words, chunks)))


def timeline(rollout: Rollout, arrival_seconds: tuple[float, ...], clock: Clock) -> Timeline:
    """Times of a rollout whose C chunks arrive at ``arrival_seconds``, by the rules of this module."""
    reading, writing, deep = _work_seconds(rollout, len(arrival_seconds), clock)
    is_beside = rollout.reads_beside and clock.reads_beside
    starts, finishes, previous, encoded = [], [], 0.0, 0.0
    for k, arrived in enumerate(arrival_seconds):
        encoded = max(arrived, encoded) + reading[k]
        start = max(encoded if is_beside else arrived, previous)
        previous = start + writing[k] if is_beside else start + reading[k] + writing[k]
        starts.append(start)
        finishes.append(previous)
    last = arrival_seconds[-1]
    backlog = max(0.0, finishes[-1] - last)
    transition = backlog + reading[-1]
    if is_beside:  # the end of the stream is encoded while the last thought is written
        transition = max(backlog, encoded + reading[-1] - last)
    hidden = (
        min(max(last - (finish - seconds), 0.0), seconds)
        for finish, seconds in zip(finishes, writing[:-1], strict=True)
    )
    return Timeline(
        arrival_seconds=arrival_seconds,
        start_seconds=tuple(starts),
        finish_seconds=tuple(finishes),
        backlog_seconds=backlog,
        answer_latency_seconds=transition + rollout.answer_tokens * clock.seconds_per_token,
        end_latency_seconds=transition + deep,
        thinking_seconds=sum(writing[:-1]) + deep,
        hidden_seconds=sum(hidden),
    )


def first_answer_seconds(rollout: Rollout, line: Timeline, clock: Clock, first_token: int) -> float:
    """From the last chunk's arrival to the answer's first token, which is number ``first_token`` (from 1) of the DEEP ones."""
    behind = rollout.tokens_in(Phase.DEEP) - first_token
    return line.end_latency_seconds - behind * clock.seconds_per_token


def discarded_tokens(rollout: Rollout, line: Timeline, clock: Clock) -> int:
    """Tokens that speculation writes and throws away: after each chunk but the last, until the next one arrives.

    A token that is not whole when a chunk arrives is neither counted nor waited for, so the answer latency is that of
    read-then-think. Our choice.

    Args:
        rollout: The rollout on the whole input, with the lengths of those on its beginnings (``Rollout.discarded``).
        line: Its times; it writes nothing between the chunks.
        clock: The rates.
    """
    reading, _, _ = _work_seconds(rollout, len(line.arrival_seconds), clock)
    count = 0
    for k, whole in enumerate(rollout.discarded):
        seconds = line.arrival_seconds[k + 1] - line.finish_seconds[k] - reading[-1]
        if seconds > 0:
            fitting = seconds / clock.seconds_per_token if clock.seconds_per_token else math.inf
            count += int(min(whole, fitting + _ROUNDING))
    return count


def _work_seconds(
    rollout: Rollout, chunk_count: int, clock: Clock
) -> tuple[list[float], list[float], float]:
    """Seconds of reading (C + 1) and writing (C + 1), the transition and deep part last; and of the deep tokens alone."""
    # Forced tokens are end markers that the engine put behind a cut-off segment.
    read, written, forced = ([0] * (chunk_count + 1) for _ in range(3))
    for phase, chunk in zip(rollout.phases, rollout.chunk_of_token, strict=True):
        if chunk >= 0 and phase is not Phase.READ:
            written[chunk] += 1
        elif chunk >= 0:
            (forced if written[chunk] else read)[chunk] += 1
    reading = [
        tokens * clock.prefill_seconds_per_token + (clock.seconds_per_read if tokens else 0.0)
        for tokens in read
    ]
    writing = [
        n * clock.seconds_per_token + m * clock.prefill_seconds_per_token
        for n, m in zip(written, forced, strict=True)
    ]
    return reading, writing, written[-1] * clock.seconds_per_token
