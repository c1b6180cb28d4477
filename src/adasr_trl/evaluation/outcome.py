"""One rollout judged: against the gold answer, the episode's trace, and clocks.

    >>> outcome(rollout, episode, Clock()).right
    True
    >>> judge = Judge([PacedClock(Clock(words_per_minute=300))], codec)
    >>> judge(rollout, episode, Mode.STREAMING).latencies[0].answer_latency_seconds
    0.32

Right is what the accuracy reward calls right (``rewards.base.answered_right``).
Intervals and means over many outcomes are in ``summary``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from adasr_trl.core.chunking import spoken_words
from adasr_trl.core.clock import Clock, discarded_tokens, first_answer_seconds, timeline
from adasr_trl.core.episode import Episode
from adasr_trl.core.number_reading import latest_number
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.evaluation.clocks import PacedClock, paced
from adasr_trl.evaluation.lagging import lags, second_delays, word_delays
from adasr_trl.rewards.base import answered_right

if TYPE_CHECKING:
    from adasr_trl.layouts.codec import Codec


_trace_number = lru_cache(maxsize=10_000)(latest_number)  # a trace recurs in every run


@dataclass(frozen=True, slots=True)
class Latencies:
    """One rollout by one clock, in seconds from the last chunk's arrival."""

    backlog_seconds: float  # thinking left when the last chunk had arrived
    answer_latency_seconds: float  # to the last token of the answer's value, backlog included
    end_seconds: float  # to the last token of all
    overlap: float  # share of the writing that was hidden behind reading
    first_seconds: float | None = None  # to the first token of the answer; None where not known
    discarded_tokens: int = 0  # of speculation: written before the last chunk, and thrown away
    lagging: float | None = None  # AL in seconds; None without a codec
    adaptive_lagging: float | None = None  # LAAL in seconds; None without a codec or a trace


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rollout over C chunks."""

    right: bool  # whether it delivered the gold answer
    # Sampled tokens of its thoughts, end markers and skips included; of speculation those thrown away by the first clock.
    streaming_tokens: int
    deep_tokens: int  # sampled tokens of the deep part, the answer and the end of sequence included
    ending: Ending
    skips: tuple[bool, ...]  # of the model, for each chunk where it had the choice (C)
    trace_skips: tuple[bool, ...]  # of the trace, for the same chunks; empty without one (C)
    latencies: tuple[Latencies, ...]  # by each clock
    tags: tuple[str, ...] = ()  # the episode's labels
    # Whether the last number of its thoughts is that of the trace; None where one of them has none.
    stream_right: bool | None = None
    lagging: float | None = None  # AL in words; None without a codec
    adaptive_lagging: float | None = None  # LAAL in words; None without a codec or a trace

    @property
    def total_tokens(self) -> int:
        """All sampled tokens: the compute."""
        return self.streaming_tokens + self.deep_tokens

    @property
    def answer_latency_seconds(self) -> float:
        """By the first clock."""
        return self.latencies[0].answer_latency_seconds


def outcome(rollout: Rollout, episode: Episode, clock: Clock) -> Outcome:
    """Judge one rollout by one clock, without what takes a tokenizer (lagging)."""
    return Judge([PacedClock(clock)])(rollout, episode, Mode.STREAMING)


class Judge:
    """Judges the rollouts of one run."""

    def __init__(self, clocks: Sequence[PacedClock], codec: Codec | None = None) -> None:
        """Take the clocks, and the run's codec for lagging."""
        self._clocks = clocks
        self._codec = codec
        self._trace_tokens = cache(trace_tokens)  # an episode is judged in many settings

    def __call__(self, rollout: Rollout, episode: Episode, mode: Mode) -> Outcome:
        """Judge one rollout; a ValueError if it answers another episode."""
        if rollout.episode_id != episode.id:
            raise ValueError(
                f"the rollout answers episode {rollout.episode_id!r} but was given episode {episode.id!r}; "
                f"match them by id."
            )
        skips = tuple(ending is Ending.SKIP for ending in rollout.thought_endings)
        trace = [not thought.strip() for thought in episode.thoughts or ()]
        first = first_answer_token(rollout, mode, self._codec)
        trace_length, (lagging, adaptive_lagging) = None, (None, None)
        if self._codec is not None:
            if episode.thoughts is not None:
                trace_length = self._trace_tokens(episode, mode, self._codec)
            words = tuple(itertools.accumulate(map(spoken_words, episode.chunks)))
            delays = word_delays(rollout, words)
            lagging, adaptive_lagging = lags(delays, words[-1], trace_length)
        latencies = tuple(
            _latencies(
                rollout, episode, clock, first, trace_length, has_lags=self._codec is not None
            )
            for clock in self._clocks
        )
        return Outcome(
            right=answered_right(rollout, episode),
            streaming_tokens=rollout.tokens_in(Phase.STREAM) + latencies[0].discarded_tokens,
            deep_tokens=rollout.tokens_in(Phase.DEEP),
            ending=rollout.ending,
            skips=skips,
            trace_skips=tuple(trace[: len(skips)]),
            latencies=latencies,
            tags=episode.tags,
            stream_right=_stream_right(rollout, episode),
            lagging=lagging,
            adaptive_lagging=adaptive_lagging,
        )


def first_answer_token(rollout: Rollout, mode: Mode, codec: Codec | None = None) -> int | None:
    """Which DEEP token is the answer's first, counted from 1; the last one where no answer was begun.

    Where ``reasoning_end`` was given, the first one is. None for an old record, without a codec to find it.
    """
    pairs = zip(rollout.token_ids, rollout.phases, strict=True)
    ids = [token_id for token_id, phase in pairs if phase is Phase.DEEP]
    if mode.answers_at_once:
        return min(1, len(ids))
    if rollout.answer is None:
        return len(ids)
    if rollout.reasoning_tokens is not None:
        return min(rollout.reasoning_tokens + 1, len(ids))
    if codec is None:
        return None
    head, separator, _ = codec.decode(ids).partition(codec.markers.reasoning_end)
    return min(codec.tokens_until(ids, len(head) + len(separator)) + 1, len(ids))


def trace_tokens(episode: Episode, mode: Mode, codec: Codec) -> int:
    """How many tokens the episode's trace has, written as supervised training writes it."""
    thoughts = [thought.strip() for thought in episode.thoughts or ()]
    deep, count = (episode.deep or "").strip(), 0
    if mode.reads_first:
        deep = " ".join(part for part in (*thoughts, deep) if part)
    else:
        end, skip = len(codec.marker("thought_end")), len(codec.marker("skip"))
        count = sum(len(codec.encode_text(text)) + end if text else skip for text in thoughts)
    answer = codec.encode_text(episode.answer.strip())
    return (
        count + len(codec.encode_text(deep)) + len(codec.marker("reasoning_end")) + len(answer) + 1
    )


def _stream_right(rollout: Rollout, episode: Episode) -> bool | None:
    own, trace = latest_number(rollout.thoughts), _trace_number(episode.thoughts or ())
    return None if own is None or trace is None else own == trace


def _latencies(
    rollout: Rollout,
    episode: Episode,
    paced_clock: PacedClock,
    first_token: int | None,
    trace_length: int | None,
    *,
    has_lags: bool,
) -> Latencies:
    clock = paced_clock.clock
    line = timeline(rollout, paced(episode, clock, paced_clock.pace), clock)
    first, (lagging, adaptive_lagging) = None, (None, None)
    if first_token is not None:
        first = first_answer_seconds(rollout, line, clock, first_token)
    if has_lags:
        delays = second_delays(rollout, line, clock)
        lagging, adaptive_lagging = lags(delays, line.arrival_seconds[-1], trace_length)
    return Latencies(
        backlog_seconds=line.backlog_seconds,
        answer_latency_seconds=line.answer_latency_seconds,
        end_seconds=line.end_latency_seconds,
        overlap=line.overlap,
        first_seconds=first,
        discarded_tokens=discarded_tokens(rollout, line, clock),
        lagging=lagging,
        adaptive_lagging=adaptive_lagging,
    )
