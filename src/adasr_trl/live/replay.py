"""``adasr replay``: questions in real time on the real model; measured answer latency beside the clock's.

    adasr replay RUN --count 20 --wpm 150 1500

Chunks arrive in time while the model runs in a thread. The clock's answer latency is that of the very rollout, with its
arrivals and the rates of this device (``device_rates``).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.artifacts.names import EPISODES_FILE, EVAL_FOLDER
from adasr_trl.core.clock import Clock, arrivals, first_answer_seconds, timeline
from adasr_trl.core.demo import FOLDER, results_directory, run_directory
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.live.sources import InputPiece, on_time

if TYPE_CHECKING:
    from adasr_trl.live.device_rates import DeviceProfile
    from adasr_trl.live.reasoner import StreamingReasoner

logger = logging.getLogger(__name__)

WITHIN_SHARE, WITHIN_SECONDS = 0.2, 0.005
_HEAD = (
    "| layout | words a minute | questions | measured, s | predicted, s | off by, ms | within 20 % or 5 ms "
    "| first token, s | predicted, s |"
)


@dataclass(frozen=True)
class ReplayedQuestion:
    """Answer latency of one episode, measured and by the clock.

    ``first`` runs to the first token of the answer, and is None without an answer.
    """

    episode: str
    measured_seconds: float
    predicted_seconds: float
    first_measured_seconds: float | None
    first_predicted_seconds: float | None

    @property
    def off_seconds(self) -> float:
        """Distance of measured and predicted answer latency."""
        return abs(self.measured_seconds - self.predicted_seconds)

    @property
    def within(self) -> bool:
        """Whether the prediction lies within 20 % or 5 ms of the measurement."""
        return self.off_seconds <= max(WITHIN_SHARE * self.predicted_seconds, WITHIN_SECONDS)


@dataclass(frozen=True)
class ReplaySummary:
    """Medians over the questions in one layout at one speed."""

    layout: str
    words_per_minute: float
    questions: int
    measured_seconds: float
    predicted_seconds: float
    off_seconds: float
    within: float
    first_measured_seconds: float | None
    first_predicted_seconds: float | None


def replay(
    options: argparse.Namespace, load: Callable[[argparse.Namespace], StreamingReasoner]
) -> int:
    """Play the questions at every speed, and print the table; return the exit status."""
    from adasr_trl.live.device_rates import clock_of, device_name, measure_reasoner, save_profile

    episodes = _episodes(options)
    reasoner = load(options)
    layout = reasoner.layout_name
    profile = measure_reasoner(reasoner, device_name(options.device))
    logger.info("%s", _rates(layout, profile))
    if options.dtype == "float32" and options.device is None:
        save_profile(results_directory(options.run), profile)
    questions: list[tuple[float, ReplayedQuestion]] = []  # with words a minute
    try:
        for words_per_minute in options.wpm:
            clock = clock_of(profile, Clock(words_per_minute=words_per_minute))
            for episode in _with_progress(episodes, clock):
                question = play(reasoner, episode, clock, options.seed)
                questions.append((words_per_minute, question))
    finally:
        if questions:  # interrupted: the played questions count
            print(_output(options, layout, profile, questions))  # noqa: T201  # the command's output
    return 0


def play(
    reasoner: StreamingReasoner, episode: Episode, clock: Clock, seed: int = 0
) -> ReplayedQuestion:
    """Let one episode arrive in real time; a UserError refuses one longer than the model's positions."""
    from adasr_trl.live.session import InputArrival, Session

    pieces = [InputPiece(chunk, chunk) for chunk in episode.chunks]
    due = list(zip(arrivals(episode, clock), pieces, strict=True))
    with Session(reasoner, episode.question, lambda stop: on_time(due, stop), seed=seed) as session:
        updates = [update for update in session if isinstance(update, InputArrival)]
        summary, stream = session.summary(), session.stream
    if summary.answer_latency_seconds is None or len(updates) < len(episode.chunks):
        raise UserError(
            f"episode {episode.id!r}: is longer than the model's positions; choose others with --episodes."
        )
    rollout, first, reasoning = stream.rollout, None, stream.reasoning_tokens
    line = timeline(rollout, tuple(update.at - session.started for update in updates), clock)
    if summary.first_token_seconds is not None and reasoning is not None:
        first = first_answer_seconds(rollout, line, clock, reasoning + 1)
    return ReplayedQuestion(
        episode=episode.id,
        measured_seconds=summary.answer_latency_seconds,
        predicted_seconds=line.answer_latency_seconds,
        first_measured_seconds=summary.first_token_seconds,
        first_predicted_seconds=first,
    )


def summarize(
    layout: str, words_per_minute: float, questions: Sequence[ReplayedQuestion]
) -> ReplaySummary:
    """The medians; those of first tokens over the questions with an answer."""
    median = statistics.median
    firsts = [
        (q.first_measured_seconds, q.first_predicted_seconds)
        for q in questions
        if q.first_measured_seconds is not None and q.first_predicted_seconds is not None
    ]
    return ReplaySummary(
        layout=layout,
        words_per_minute=words_per_minute,
        questions=len(questions),
        measured_seconds=median(q.measured_seconds for q in questions),
        predicted_seconds=median(q.predicted_seconds for q in questions),
        off_seconds=median(q.off_seconds for q in questions),
        within=sum(q.within for q in questions) / len(questions),
        first_measured_seconds=median(measured for measured, _ in firsts) if firsts else None,
        first_predicted_seconds=median(predicted for _, predicted in firsts) if firsts else None,
    )


def table(rows: Iterable[ReplaySummary]) -> str:
    """A row for each speed."""
    lines = [_HEAD, "|---" * (_HEAD.count("|") - 1) + "|"]
    for row in rows:
        firsts = (row.first_measured_seconds, row.first_predicted_seconds)
        first, predicted = ("-" if value is None else f"{value:.3f}" for value in firsts)
        lines.append(
            f"| {row.layout} | {row.words_per_minute:g} | {row.questions} | {row.measured_seconds:.3f} "
            f"| {row.predicted_seconds:.3f} | {1000 * row.off_seconds:.1f} | {row.within:.0%} | {first} | {predicted} |"
        )
    return "\n".join(lines)


def _with_progress(episodes: Sequence[Episode], clock: Clock) -> Iterator[Episode]:
    started, total = time.monotonic(), len(episodes)
    spoken = sum(arrivals(episode, clock)[-1] for episode in episodes) / total
    for number, episode in enumerate(episodes, start=1):
        yield episode
        left = max((time.monotonic() - started) / number, spoken) * (total - number)
        if number in (1, total) or number % 5 == 0:
            words = "%g words a minute: %d/%d questions, %.0f s left"
            logger.info(words, clock.words_per_minute, number, total, left)


def _episodes(options: argparse.Namespace) -> list[Episode]:
    run = run_directory(options.run)
    evaluated = run / EPISODES_FILE if run == FOLDER else run / EVAL_FOLDER / EPISODES_FILE
    path = Path(options.episodes or evaluated)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file of episodes; name one with --episodes FILE (adasr eval leaves one in RUN/eval)."
        )
    episodes = itertools.islice(read_episodes(path), options.count)
    return [dataclasses.replace(episode, arrival_seconds=None) for episode in episodes]


def _rates(layout: str, profile: DeviceProfile) -> str:
    return (
        f"{layout} on {profile.device}: {1000 * profile.seconds_per_token:.2f} ms a written token, "
        f"{1000 * profile.prefill_seconds_per_token:.3f} ms a read token, "
        f"{1000 * profile.seconds_per_read:.2f} ms a read"
    )


def _output(
    options: argparse.Namespace,
    layout: str,
    profile: DeviceProfile,
    questions: Sequence[tuple[float, ReplayedQuestion]],
) -> str:
    speeds = dict.fromkeys(speed for speed, _ in questions)
    rows = [summarize(layout, speed, [q for s, q in questions if s == speed]) for speed in speeds]
    if not options.json:
        return f"{table(rows)}\n\n{_rates(layout, profile)}"
    record: dict[str, object] = {"run": str(options.run), "profiles": {layout: asdict(profile)}}
    record["table"] = [asdict(row) for row in rows]
    record["questions"] = [
        {"layout": layout, "words_per_minute": speed, **asdict(question)}
        for speed, question in questions
    ]
    return json.dumps(record, indent=1)
