"""Records against gold answers, traces and clocks: what is counted of each rollout. Nothing is rolled out.

    >>> judge = Judge(plan, clocks_of(plan.run, sections))
    >>> judged = judge.read(Setting(Mode.STREAMING, 0.0))
    >>> judged[0].right, judged[0].timed[0].answer_seconds
    (True, 0.32)

Records are read one by one; what is kept of each is a few numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from adasr_trl.core.chunking import spoken_words
from adasr_trl.core.clock import timeline
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.evaluation.arrivals import paced
from adasr_trl.evaluation.clocks import Ticking
from adasr_trl.evaluation.lagging import (
    average_lagging,
    first_answer_seconds,
    second_delays,
    word_delays,
)
from adasr_trl.evaluation.outcome import outcome
from adasr_trl.evaluation.plan import Planned
from adasr_trl.evaluation.records import Setting, load_rollouts

if TYPE_CHECKING:
    from adasr_trl.layouts.codec import Codec


@dataclass(frozen=True, slots=True)
class Timed:
    """One rollout by one clock; waits count from the last chunk's arrival.

    Attributes:
        backlog_seconds: Thinking left when the last chunk had arrived.
        first_seconds: To the first token of the answer.
        answer_seconds: To the last token of the answer's value.
        end_seconds: To the last token of all.
        overlap: Share of the writing that was hidden behind reading.
        lagging: AL in seconds.
        adaptive_lagging: LAAL in seconds, or None without a trace.
    """

    backlog_seconds: float
    first_seconds: float
    answer_seconds: float
    end_seconds: float
    overlap: float
    lagging: float | None
    adaptive_lagging: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """One rollout.

    Attributes:
        right: Whether it delivered the gold answer.
        streaming_tokens: Sampled tokens of its thoughts.
        deep_tokens: Sampled tokens of the deep part.
        ending: How it ended.
        thoughts: Chunks after which the model chose to think or to skip; 0 where it had no choice.
        skipped: After how many of them it skipped.
        traced: After how many of them the episode's trace says what to do.
        traced_skipped: The model's skips among those.
        skippable: The trace's skips among those.
        rightly_skipped: Both.
        lagging: AL in words.
        adaptive_lagging: LAAL in words, or None without a trace.
        timed: By each clock.
    """

    right: bool
    streaming_tokens: int
    deep_tokens: int
    ending: Ending
    thoughts: int
    skipped: int
    traced: int
    traced_skipped: int
    skippable: int
    rightly_skipped: int
    lagging: float | None
    adaptive_lagging: float | None
    timed: tuple[Timed, ...]


class Judge:
    """Reads the records of one run on one set of questions."""

    def __init__(self, plan: Planned, clocks: Mapping[str, Ticking]) -> None:
        """Keep what to judge by."""
        self._plan = plan
        self._clocks = tuple(clocks.values())
        self._trace_tokens: dict[tuple[str, bool], int] = {}

    def read(self, setting: Setting) -> list[Judged]:
        """Every record of a setting, in order of the questions."""
        records = load_rollouts(self._plan.folder, setting)
        return [self._judge(rollout, episode, setting.mode) for rollout, episode in records]

    def _judge(self, rollout: Rollout, episode: Episode, mode: Mode) -> Judged:
        right = outcome(rollout, episode, self._clocks[0].clock).right
        skips = [ending is Ending.SKIP for ending in rollout.thought_endings]
        trace = [not thought.strip() for thought in episode.thoughts or ()][: len(skips)]
        traced = skips[: len(trace)]
        words = tuple(itertools.accumulate(map(spoken_words, episode.chunks)))
        delays, reference = word_delays(rollout, words), self._reference(episode, mode)
        first = first_answer_token(rollout, mode, self._codec)
        return Judged(
            right=right,
            streaming_tokens=rollout.tokens_in(Phase.STREAM),
            deep_tokens=rollout.tokens_in(Phase.DEEP),
            ending=rollout.ending,
            thoughts=len(skips),
            skipped=sum(skips),
            traced=len(trace),
            traced_skipped=sum(traced),
            skippable=sum(trace),
            rightly_skipped=sum(a and b for a, b in zip(traced, trace, strict=True)),
            lagging=average_lagging(delays, words[-1], len(delays)),
            adaptive_lagging=_adaptive(delays, words[-1], reference),
            timed=tuple(_time(rollout, episode, each, first, reference) for each in self._clocks),
        )

    def _reference(self, episode: Episode, mode: Mode) -> int | None:
        if episode.thoughts is None:
            return None
        key = (episode.id, mode is Mode.READ_THEN_THINK)
        if key not in self._trace_tokens:
            self._trace_tokens[key] = trace_tokens(episode, mode, self._codec)
        return self._trace_tokens[key]

    @cached_property
    def _codec(self) -> Codec:
        from adasr_trl.models.loading import load_policy

        return load_policy(self._plan.model).codec


def first_answer_token(rollout: Rollout, mode: Mode, codec: Codec) -> int:
    """Which DEEP token is the answer's first, counted from 1; the last one where no answer was begun.

    Where ``reasoning_end`` was given, the first one is.
    """
    pairs = zip(rollout.token_ids, rollout.phases, strict=True)
    ids = [token_id for token_id, phase in pairs if phase is Phase.DEEP]
    if mode is Mode.NO_DEEP:
        return min(1, len(ids))
    head, separator, _ = codec.decode(ids).partition(codec.markers.reasoning_end)
    if not separator:
        return len(ids)
    return min(codec.tokens_until(ids, len(head) + len(separator)) + 1, len(ids))


def trace_tokens(episode: Episode, mode: Mode, codec: Codec) -> int:
    """How many tokens the episode's trace has, written as supervised training writes it."""
    thoughts = [thought.strip() for thought in episode.thoughts or ()]
    deep, count = (episode.deep or "").strip(), 0
    if mode is Mode.READ_THEN_THINK:
        deep = " ".join(part for part in (*thoughts, deep) if part)
    else:
        end, skip = len(codec.marker("thought_end")), len(codec.marker("skip"))
        count = sum(len(codec.encode_text(each)) + end if each else skip for each in thoughts)
    answer = codec.encode_text(episode.answer.strip())
    return (
        count + len(codec.encode_text(deep)) + len(codec.marker("reasoning_end")) + len(answer) + 1
    )


def _adaptive(delays: list[float], length: float, reference: int | None) -> float | None:
    if reference is None:
        return None
    return average_lagging(delays, length, max(len(delays), reference))


def _time(
    rollout: Rollout, episode: Episode, ticking: Ticking, first: int, reference: int | None
) -> Timed:
    clock = ticking.clock
    line = timeline(rollout, paced(episode, clock, ticking.pace), clock)
    delays, length = second_delays(rollout, line, clock), line.arrival_seconds[-1]
    return Timed(
        backlog_seconds=line.backlog_seconds,
        first_seconds=first_answer_seconds(rollout, line, clock, first),
        answer_seconds=line.answer_latency_seconds,
        end_seconds=line.end_latency_seconds,
        overlap=line.overlap,
        lagging=average_lagging(delays, length, len(delays)),
        adaptive_lagging=_adaptive(delays, length, reference),
    )
