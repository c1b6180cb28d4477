"""When chunks arrive, how fast tokens are written, and how long the user waits.

    >>> timeline(rollout, arrivals(episode, Clock()), Clock()).answer_latency_seconds
    0.21

Ours, exact form of the paper's accounting: thought k of n_k tokens starts at s_k = max(a_k, f_{k-1}) and ends at
f_k = s_k + prefill_k + n_k * tau; in the parallel layout chunks are encoded beside the writing, and s_k waits for its
chunk's encoding only if the model is idle. What is unfinished when the last chunk has arrived is the backlog; the wait
is the backlog, the transition's prefill, and the deep tokens up to the answer's value. The paper's latencies fit
tau = 30 ms at 150 words a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adasr_trl.core.chunking import spoken_words
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout


@dataclass(frozen=True)
class Clock:
    """The rates that turn tokens into seconds.

    Attributes:
        words_per_minute: Reading or speaking speed of the input.
        seconds_per_token: Time to write one token (tau).
        prefill_seconds_per_token: Time to read one token (ours; the paper neglects it).
        seconds_per_read: Fixed time of reading a chunk, or the transition, however long it is, beyond that of the token
            which is written behind it (ours; ``profile`` measures it on a device).
        reads_beside: Whether the parallel layout's input is read beside the writing and delays none of it; False: one
            device does both in turn, as live use here does (``profile.clock_of``).
    """

    words_per_minute: float = 150.0
    seconds_per_token: float = 0.03
    prefill_seconds_per_token: float = 0.0005
    seconds_per_read: float = 0.0
    reads_beside: bool = True

    def __post_init__(self) -> None:
        """Refuse rates that no clock can have."""
        if self.words_per_minute <= 0:
            raise ValueError(
                f"clock.words_per_minute: got {self.words_per_minute}; expected above 0."
            )
        if self.seconds_per_token < 0 or self.prefill_seconds_per_token < 0:
            raise ValueError("clock: seconds per token must be 0 or more.")
        if self.seconds_per_read < 0:
            raise ValueError(
                f"clock.seconds_per_read: got {self.seconds_per_read}; expected 0 or more."
            )


@dataclass(frozen=True)
class Timeline:
    """What happened when, in seconds since the question was asked.

    Attributes:
        arrival_seconds: When each chunk had arrived (a_k). (C)
        start_seconds: When work on chunk k began (s_k). (C)
        finish_seconds: When thought k was finished (f_k). (C)
        backlog_seconds: Work left when the last chunk had arrived.
        answer_latency_seconds: From the last chunk's arrival to the last token of the answer's value.
        to_end_seconds: The same to the last token of all.
        thinking_seconds: Time that was spent writing, thoughts and deep part.
        hidden_seconds: The part of it before the last chunk had arrived.
    """

    arrival_seconds: tuple[float, ...]
    start_seconds: tuple[float, ...]
    finish_seconds: tuple[float, ...]
    backlog_seconds: float
    answer_latency_seconds: float
    to_end_seconds: float
    thinking_seconds: float
    hidden_seconds: float

    @property
    def overlap(self) -> float:
        """Share of the thinking that was hidden behind reading; 0 where nothing was written."""
        return self.hidden_seconds / self.thinking_seconds if self.thinking_seconds else 0.0


def arrivals(episode: Episode, clock: Clock) -> tuple[float, ...]:
    """When each chunk has arrived completely: as recorded, else at the clock's reading speed."""
    if episode.arrival_seconds is not None:
        return episode.arrival_seconds
    return spoken_arrivals(episode.chunks, clock)


def spoken_arrivals(chunks: Sequence[str], clock: Clock) -> tuple[float, ...]:
    """When each chunk has arrived completely at the clock's reading speed."""
    seconds_per_word = 60.0 / clock.words_per_minute
    words, times = 0.0, []
    for chunk in chunks:
        words += spoken_words(chunk)
        times.append(words * seconds_per_word)
    return tuple(times)


def timeline(rollout: Rollout, arrival_seconds: tuple[float, ...], clock: Clock) -> Timeline:
    """Play the rollout against the arrivals of its C chunks.

    Where the input is read beside the writing (parallel layout), a chunk is encoded as soon as it has arrived and the
    one before is encoded; a thought waits for its chunk's encoding only if the model is idle.
    """
    chunk_count = len(arrival_seconds)
    read = [0] * (chunk_count + 1)
    written = [0] * (chunk_count + 1)
    forced = [0] * (chunk_count + 1)  # end markers that the engine put behind what was cut off
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
    beside = rollout.reads_beside and clock.reads_beside
    starts, finishes, previous, encoded = [], [], 0.0, 0.0
    for k, arrived in enumerate(arrival_seconds):
        encoded = max(arrived, encoded) + reading[k]
        if beside:
            start = max(encoded, previous)
            previous = start + writing[k]
        else:
            start = max(arrived, previous)
            previous = start + reading[k] + writing[k]
        starts.append(start)
        finishes.append(previous)
    backlog = max(0.0, finishes[-1] - arrival_seconds[-1])
    transition = backlog + reading[chunk_count]
    if beside:  # the end of the stream is encoded while the last thought is written
        transition = max(backlog, encoded + reading[chunk_count] - arrival_seconds[-1])
    deep = written[chunk_count] * clock.seconds_per_token
    hidden = (
        min(max(arrival_seconds[-1] - (finish - seconds), 0.0), seconds)
        for finish, seconds in zip(finishes, writing[:chunk_count], strict=True)
    )
    return Timeline(
        arrival_seconds=arrival_seconds,
        start_seconds=tuple(starts),
        finish_seconds=tuple(finishes),
        backlog_seconds=backlog,
        answer_latency_seconds=transition + rollout.answer_tokens * clock.seconds_per_token,
        to_end_seconds=transition + deep,
        thinking_seconds=sum(writing[:chunk_count]) + deep,
        hidden_seconds=sum(hidden),
    )
