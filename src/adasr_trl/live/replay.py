"""``adasr replay``: questions played in real time against the real model, and the measured wait beside the clock's.

    adasr replay RUN --count 20 --wpm 150 1500 --layout interleaved parallel

Every chunk is handed on when the clock lets it arrive, while the model reads and writes in a thread. The wait from the
last chunk's arrival is compared with what the clock says about that very rollout, its chunks having arrived when they
did, under the rates that were measured here just before (``profile``).
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adasr_trl.artifacts.names import EPISODES_FILE, EVAL_FOLDER
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.live.sources import Piece, Source, on_time

if TYPE_CHECKING:
    from adasr_trl.live.device_rates import DeviceProfile
    from adasr_trl.live.reasoner import StreamingReasoner

logger = logging.getLogger(__name__)

WITHIN_SHARE, WITHIN_SECONDS = 0.2, 0.005
EPISODES = Path(EVAL_FOLDER) / EPISODES_FILE
_HEAD = (
    "| layout | words a minute | questions | measured, s | predicted, s | off by, ms | within 20 % or 5 ms "
    "| first token, s | predicted, s |"
)


@dataclass(frozen=True)
class Replayed:
    """One question: the wait that was measured, and the one that the clock says.

    Attributes:
        episode: Its id.
        measured_seconds: From the last chunk's arrival to the last token of the answer's value.
        predicted_seconds: The same by the clock.
        first_measured_seconds: To the first token of the answer; None where none was begun.
        first_predicted_seconds: The same by the clock.
        backlog_seconds: By the clock, what was still to be thought when the last chunk had arrived.
    """

    episode: str
    measured_seconds: float
    predicted_seconds: float
    first_measured_seconds: float | None
    first_predicted_seconds: float | None
    backlog_seconds: float

    @property
    def off_seconds(self) -> float:
        """How far measured and predicted wait lie apart."""
        return abs(self.measured_seconds - self.predicted_seconds)

    @property
    def within(self) -> bool:
        """Whether the prediction is as good as it is meant to be."""
        return self.off_seconds <= max(WITHIN_SHARE * self.predicted_seconds, WITHIN_SECONDS)


@dataclass(frozen=True)
class Comparison:
    """All questions in one layout at one speed; medians over them."""

    layout: str
    words_per_minute: float
    questions: int
    measured_seconds: float
    predicted_seconds: float
    off_seconds: float
    within: float
    first_measured_seconds: float | None
    first_predicted_seconds: float | None
    backlog_seconds: float


def replay(
    options: argparse.Namespace,
    load: Callable[[argparse.Namespace, str | None], StreamingReasoner],
) -> int:
    """Play, print the table; return the exit status."""
    from adasr_trl.live.device_rates import device_name, measure_reasoner, save_profile

    episodes = _episodes(options)
    compared: list[Comparison] = []
    profiles: dict[str, DeviceProfile] = {}
    details: list[dict[str, object]] = []
    try:
        for layout in options.layout or (None,):
            logger.info("loading %s", options.run)
            reasoner = load(options, layout)
            name = reasoner.layout_name
            profile = measure_reasoner(reasoner, device_name(options.device))
            profiles[name] = profile
            logger.info("%s", _rates(name, profile))
            if layout is None and options.dtype == "float32" and options.device is None:
                save_profile(Path(options.run), profile)
            for words_per_minute in options.wpm:
                played: list[Replayed] = []
                try:
                    _play(reasoner, episodes, profile, words_per_minute, options.seed, played)
                finally:
                    if played:  # interrupted: what was played counts
                        compared.append(compare(name, words_per_minute, played))
                        details += [
                            {"layout": name, "words_per_minute": words_per_minute, **asdict(each)}
                            for each in played
                        ]
    finally:
        if compared:
            print(_shown(options, profiles, compared, details))  # noqa: T201  # the command's output
    return 0


def play(
    reasoner: StreamingReasoner,
    episode: Episode,
    profile: DeviceProfile,
    words_per_minute: float,
    seed: int = 0,
) -> Replayed:
    """Let one episode arrive in real time."""
    from adasr_trl.live.device_rates import clock_of
    from adasr_trl.live.session import Arrived, Session

    clock = clock_of(profile, Clock(words_per_minute=words_per_minute))
    due = arrivals(episode, clock)
    with Session(reasoner, episode.question, _source(episode, due), seed=seed) as session:
        arrived = tuple(
            moment.at - session.started for moment in session if isinstance(moment, Arrived)
        )
        waited, stream = session.waited(), session.stream
    if waited is None or len(arrived) < len(episode.chunks):
        raise UserError(
            f"episode {episode.id!r}: is longer than the model's positions; choose others with --episodes."
        )
    rollout = stream.rollout
    line = timeline(rollout, arrived, clock)
    first = None
    if waited.first_seconds is not None and stream.reasoning_tokens is not None:
        behind = rollout.tokens_in(Phase.DEEP) - stream.reasoning_tokens - 1
        first = line.end_latency_seconds - behind * clock.seconds_per_token
    return Replayed(
        episode=episode.id,
        measured_seconds=waited.seconds,
        predicted_seconds=line.answer_latency_seconds,
        first_measured_seconds=waited.first_seconds,
        first_predicted_seconds=first,
        backlog_seconds=line.backlog_seconds,
    )


def compare(layout: str, words_per_minute: float, played: Sequence[Replayed]) -> Comparison:
    """The medians."""

    def median(values: Sequence[float]) -> float:
        return statistics.median(values)

    begun = [each for each in played if each.first_measured_seconds is not None]
    return Comparison(
        layout=layout,
        words_per_minute=words_per_minute,
        questions=len(played),
        measured_seconds=median([each.measured_seconds for each in played]),
        predicted_seconds=median([each.predicted_seconds for each in played]),
        off_seconds=median([each.off_seconds for each in played]),
        within=sum(each.within for each in played) / len(played),
        first_measured_seconds=median([e.first_measured_seconds or 0 for e in begun])
        if begun
        else None,
        first_predicted_seconds=median([e.first_predicted_seconds or 0 for e in begun])
        if begun
        else None,
        backlog_seconds=median([each.backlog_seconds for each in played]),
    )


def table(compared: Sequence[Comparison]) -> str:
    """A row for each layout and speed."""
    columns = _HEAD.count("|") - 1
    rows = [_HEAD, "|---" * columns + "|"]
    for each in compared:
        cells = (
            each.layout,
            f"{each.words_per_minute:g}",
            str(each.questions),
            f"{each.measured_seconds:.3f}",
            f"{each.predicted_seconds:.3f}",
            f"{1000 * each.off_seconds:.1f}",
            f"{each.within:.0%}",
            _seconds(each.first_measured_seconds),
            _seconds(each.first_predicted_seconds),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _play(
    reasoner: StreamingReasoner,
    episodes: Sequence[Episode],
    profile: DeviceProfile,
    words_per_minute: float,
    seed: int,
    played: list[Replayed],
) -> None:
    """Append to ``played`` question by question."""
    started = time.monotonic()
    clock = Clock(words_per_minute=words_per_minute)
    spoken = sum(arrivals(each, clock)[-1] for each in episodes)
    for number, episode in enumerate(episodes, start=1):
        played.append(play(reasoner, episode, profile, words_per_minute, seed))
        rate = (time.monotonic() - started) / number
        if number in (1, len(episodes)) or number % 5 == 0:
            logger.info(
                "%s, %g words a minute: %d/%d questions, %.0f s left",
                reasoner.layout_name, words_per_minute, number, len(episodes),
                max(rate, spoken / len(episodes)) * (len(episodes) - number),
            )  # fmt: skip


def _source(episode: Episode, due: Sequence[float]) -> Source:
    pieces = [Piece(chunk, chunk) for chunk in episode.chunks]
    return lambda stop: on_time(zip(due, pieces, strict=True), stop)


def _episodes(options: argparse.Namespace) -> list[Episode]:
    path = Path(options.episodes) if options.episodes else Path(options.run) / EPISODES
    if not path.is_file():
        raise UserError(
            f"{path}: no such file of episodes; name one with --episodes FILE (adasr eval leaves one in RUN/eval)."
        )
    found = [
        Episode(**{**vars(each), "arrival_seconds": None})
        for each in itertools.islice(read_episodes(path), options.count)
    ]
    if not found:
        raise UserError(f"{path}: holds no episode.")
    return found


def _rates(layout: str, profile: DeviceProfile) -> str:
    return (
        f"{layout} on {profile.device}: {1000 * profile.seconds_per_token:.2f} ms a written token, "
        f"{1000 * profile.prefill_seconds_per_token:.3f} ms a read token, "
        f"{1000 * profile.seconds_per_read:.2f} ms a read"
    )


def _shown(
    options: argparse.Namespace,
    profiles: dict[str, DeviceProfile],
    compared: Sequence[Comparison],
    details: Sequence[dict[str, object]],
) -> str:
    if not options.json:
        return "\n".join((table(compared), "", *(_rates(*each) for each in profiles.items())))
    record: dict[str, Any] = {
        "run": str(options.run),
        "profiles": {name: asdict(profile) for name, profile in profiles.items()},
        "table": [asdict(each) for each in compared],
        "questions": list(details),
    }
    return json.dumps(record, indent=1)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
