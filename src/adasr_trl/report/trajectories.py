"""Every rollout as the page's viewer needs it: words, endings, token counts and times, without token ids.

    {"questions": [{"id", "question", "chunks", "gold", "tags"}],
     "runs": [{"name", "rollouts": [{"arrive", "start", "finish", "thoughts", "ends", "tokens", "deep", ...}]}]}

What the episodes have is there once for all runs. Times are the clock's, in seconds, rounded to milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypedDict

from adasr_trl.artifacts.names import EPISODES_FILE
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.outcome import outcome
from adasr_trl.report.gathering import Method
from adasr_trl.report.records import clock_of


class Question(TypedDict):
    """What was asked."""

    id: str
    question: str
    chunks: list[str]
    gold: str


class Trajectory(TypedDict):
    """One rollout; of chunk k ``arrive``, ``start`` and ``finish``, and where it was thought about ``thoughts`` ..."""

    arrive: list[float]
    start: list[float]
    finish: list[float]
    thoughts: list[str]
    ends: list[str]
    tokens: list[int]
    deep: str
    deepTokens: int
    answer: str
    ending: str
    right: bool
    backlog: float
    deepStart: float
    wait: float
    end: float
    overlap: float


class Run(TypedDict):
    """The rollouts of one run, in the order of the questions."""

    name: str
    rollouts: list[Trajectory]


class Trajectories(TypedDict):
    """What the viewer shows."""

    questions: list[Question]
    runs: list[Run]


def trajectories(methods: Sequence[Method], most: int) -> Trajectories:
    """The first ``most`` questions and their rollouts by every run."""
    episodes = read_episodes(methods[0].records(0) / EPISODES_FILE)
    return {
        "questions": [_question(episode) for episode in islice(episodes, most)],
        "runs": [
            {"name": name, "rollouts": list(islice(_rollouts(method, seed), most))}
            for method in methods
            for seed, name in enumerate(method.run_names())
        ],
    }


def _rollouts(method: Method, seed: int) -> Iterator[Trajectory]:
    clock = clock_of(method.runs[seed])
    for rollout, episode in method.rollouts(seed):
        yield _trajectory(rollout, episode, clock)


def _question(episode: Episode) -> Question:
    return {
        "id": visible(episode.id),
        "question": visible(episode.question),
        "chunks": [visible(chunk.strip()) for chunk in episode.chunks],
        "gold": visible(episode.answer),
    }


def _trajectory(rollout: Rollout, episode: Episode, clock: Clock) -> Trajectory:
    judged = outcome(rollout, episode, clock)
    played = timeline(rollout, arrivals(episode, clock), clock)
    deep_tokens = rollout.tokens_in(Phase.DEEP)
    return {
        "arrive": _rounded(played.arrival_seconds),
        "start": _rounded(_writing_starts(played.finish_seconds, rollout, clock)),
        "finish": _rounded(played.finish_seconds),
        "thoughts": [visible(thought) for thought in rollout.thoughts],
        "ends": [ending.value for ending in rollout.thought_endings],
        "tokens": list(rollout.thought_tokens()),
        "deep": visible(rollout.deep),
        "deepTokens": deep_tokens,
        "answer": visible(rollout.answer or ""),
        "ending": rollout.ending.value,
        "right": judged.right,
        "backlog": round(played.backlog_seconds, 3),
        "deepStart": round(played.end_latency_seconds - deep_tokens * clock.seconds_per_token, 3),
        "wait": round(played.answer_latency_seconds, 3),
        "end": round(played.end_latency_seconds, 3),
        "overlap": round(played.overlap, 3),
    }


def _writing_starts(finish_seconds: Sequence[float], rollout: Rollout, clock: Clock) -> list[float]:
    """When the first token of each thought was begun: behind the reading of its chunk."""
    written = [*rollout.thought_tokens(), *[0] * len(finish_seconds)]
    return [
        finish - tokens * clock.seconds_per_token
        for finish, tokens in zip(finish_seconds, written, strict=False)
    ]


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(each, 3) for each in seconds]
