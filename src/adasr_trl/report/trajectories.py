"""Data of the page's viewer: words, endings, token counts and times of every rollout, without token ids.

    {"questions": [{"id", "question", "chunks", "gold", "tags"}],
     "runs": [{"name", "rollouts": [{"arrive", "start", "finish", "thoughts", "ends", "tokens", "deep", ...}]}],
     "start": {"first": 3, "second": 0, "question": 7}}

``start`` is the page's first view: a run of the last method beside one of the reference, on a question that it has right.

Questions are there once for all runs. Times are the clock's, in seconds, rounded to milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from itertools import islice

from adasr_trl.artifacts.names import EPISODES_FILE
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.protocol import thought_text
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.outcome import Outcome
from adasr_trl.evaluation.records import load_rollouts
from adasr_trl.report.gathering import Method


def trajectories(methods: Sequence[Method], reference: Method, most: int) -> dict[str, object]:
    """The first ``most`` questions, and their rollouts by every run with their outcomes."""
    episodes = read_episodes(methods[0].runs[0] / methods[0].folder / EPISODES_FILE)
    last = methods[-1]
    beside = reference if reference is not last else methods[0]
    before = itertools.accumulate((len(method.runs) for method in methods), initial=0)
    firsts = dict(zip(methods, before, strict=False))
    return {
        "start": {
            "first": firsts[last],
            "second": firsts[beside] if beside is not last else None,
            "question": _shown_first(last.outcomes[0][:most]),
        },
        "questions": [_question(episode) for episode in islice(episodes, most)],
        "runs": [
            {"name": name, "rollouts": list(islice(_rollouts(method, seed), most))}
            for method in methods
            for seed, name in enumerate(method.run_names())
        ],
    }


def _shown_first(outcomes: Sequence[Outcome]) -> int:
    """The first question answered rightly with thoughts, else the first right one, else the first."""
    thinking = [n for n, o in enumerate(outcomes) if o.right and not all(o.skips)]
    right = [n for n, outcome in enumerate(outcomes) if outcome.right]
    return [*thinking, *right, 0][0]


def _rollouts(method: Method, seed: int) -> Iterator[dict[str, object]]:
    run = method.runs[seed]
    records = load_rollouts(run / method.folder, method.setting)
    streaming = load_streaming(run)
    for (rollout, episode), outcome in zip(records, method.outcomes[seed], strict=True):
        yield trajectory(rollout, episode, outcome, streaming)


def _question(episode: Episode) -> dict[str, object]:
    return {
        "id": visible(episode.id),
        "question": visible(episode.question),
        "chunks": [visible(chunk.strip()) for chunk in episode.chunks],
        "gold": visible(episode.answer),
    }


def trajectory(
    rollout: Rollout, episode: Episode, outcome: Outcome, streaming: StreamingConfig
) -> dict[str, object]:
    """One rollout for the viewer: its times by the clock, and its words without markers."""
    clock, markers = streaming.clock, streaming.markers
    line = timeline(rollout, arrivals(episode, clock), clock)
    latencies = outcome.latencies[0]
    deep_start = latencies.end_seconds - outcome.deep_tokens * clock.seconds_per_token
    return {
        "arrive": _rounded(line.arrival_seconds),
        "start": _rounded(_writing_starts(line.finish_seconds, rollout, clock)),
        "finish": _rounded(line.finish_seconds),
        "thoughts": [visible(thought) for thought in rollout.thoughts],
        "ends": [ending.value for ending in rollout.thought_endings],
        "tokens": list(rollout.thought_tokens()),
        "deep": visible(thought_text(rollout.deep, markers)),
        "deepTokens": outcome.deep_tokens,
        "answer": visible(thought_text(rollout.answer or "", markers)),
        "ending": rollout.ending.value,
        "right": outcome.right,
        "backlog": round(latencies.backlog_seconds, 3),
        "deepStart": round(deep_start, 3),
        "answerLatency": round(latencies.answer_latency_seconds, 3),
        "end": round(latencies.end_seconds, 3),
        "overlap": round(latencies.overlap, 3),
    }


def _writing_starts(finish_seconds: Sequence[float], rollout: Rollout, clock: Clock) -> list[float]:
    """Start of the first token of each thought, behind the reading of its chunk."""
    written = [*rollout.thought_tokens(), *[0] * len(finish_seconds)]
    return [
        finish - tokens * clock.seconds_per_token
        for finish, tokens in zip(finish_seconds, written, strict=False)
    ]


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(value, 3) for value in seconds]
