"""How fast a device reads and writes in live use, measured, so that the clock's wait is the one a user has here.

    >>> load_or_measure(Path("runs/tiny/seed-0/hrpo"))     # measured once, then read from device.json
    DeviceProfile(device='AMD EPYC', seconds_per_token=0.0021, prefill_seconds_per_token=0.0001, seconds_per_read=0.0009)
    >>> clock_of(profile, Clock())                         # the same reading speed with these rates

``LiveStream`` reads a text of ours, a chunk at once, at batch 1. A forward that is fed nothing but the token before it
is a written token's time; what a chunk's first token takes longer than that is fitted by a line over the chunk's tokens:
its slope is the time of a read token, the rest the fixed cost of a read, in which lies whatever live use does for a chunk
(tokenising, events). Every other chunk comes after a gap, since a device that was idle is slower at first. Medians count:
what other processes take from this one now and then is not in the rates. A forward costs more the longer its context; the text is of an episode's usual length.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.core.clock import Clock
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout

if TYPE_CHECKING:
    from adasr_trl.live.reasoner import StreamingReasoner

logger = logging.getLogger(__name__)

PROFILE_FILE = "device.json"
QUESTION = "How many coins does Tom have at the end?"
CHUNKS = (
    "Tom has 7 coins.",
    " Ann has 4 coins, 3 books and 5 cards, and her brother Ben, who is at home, has 9 coins.",
    " Tom finds 2 more coins.",
    " It rains.",
    " Ben gives Tom 3 coins, and Tom sells 1 coin, 2 cards and 1 book, while Ann loses 2 cards.",
    " The days are long.",
    " Ann buys 6 more books, 4 cards and 2 coins, Ben buys 1 coin, and Ida, who has 8 cards, sells 5 of her cards.",
    " Tom loses 4 coins.",
    " Ida sings a song.",
)
ROUNDS = 20  # the text is read so often, but for the first time, which only warms up ...
LEAST_ROUNDS, ENOUGH_SECONDS = 2, 15.0  # ... or so often, on a device that needs longer than this
GAP_SECONDS = 0.1


@dataclass(frozen=True)
class DeviceProfile:
    """The rates of one model on one device, at batch 1.

    Attributes:
        device: The processor's or GPU's name.
        seconds_per_token: Time to write one token.
        prefill_seconds_per_token: Time to read one token more in a forward that reads.
        seconds_per_read: Fixed cost of a forward that reads a chunk, whatever its length, beyond that of the token that
            is written behind it.
    """

    device: str
    seconds_per_token: float
    prefill_seconds_per_token: float
    seconds_per_read: float


@dataclass(frozen=True)
class Timing:
    """One written token: how many given tokens were read for it, and the seconds that it took."""

    read_tokens: int
    seconds: float


def measure(
    run: Path,
    *,
    layout: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
    rounds: int = ROUNDS,
) -> DeviceProfile:
    """Load a finished run and measure it here.

    Args:
        run: Its directory, or the Hub id that it was pushed to.
        layout: In place of the one that it was taught.
        dtype: Precision of the weights.
        device: Such as ``cpu``; a GPU where there is one by default.
        rounds: How often the text is read, on a fast device.
    """
    from adasr_trl.live.reasoner import StreamingReasoner

    found = StreamingReasoner.from_pretrained(run, layout=layout, dtype=dtype, device=device)
    return measure_reasoner(found, device_name(device), rounds)


def measure_reasoner(
    reasoner: StreamingReasoner, device: str, rounds: int = ROUNDS
) -> DeviceProfile:
    """Measure what is loaded already (or served); ``device`` names where it runs."""
    round_of(reasoner)
    started, timed = time.monotonic(), list[list[Timing]]()
    while len(timed) < rounds and (
        len(timed) < LEAST_ROUNDS or time.monotonic() - started < ENOUGH_SECONDS
    ):
        timed.append(round_of(reasoner, len(timed)))
    return fitted(device, medians(timed[::2]) + medians(timed[1::2]))


def load_or_measure(run: Path) -> DeviceProfile:
    """The profile of a run on this device: as recorded in ``RUN/device.json``, or measured, and recorded there."""
    here = _circumstances()
    path = Path(run) / PROFILE_FILE
    found = _recorded(path, here)
    if found is not None:
        return found
    logger.info("measuring how fast %s runs on %s", run, here["device"])
    profile = measure(run)
    save_profile(Path(run), profile)
    return profile


def save_profile(run: Path, profile: DeviceProfile) -> None:
    """Record a run's profile in its directory, if that can be written to."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    record = {**_circumstances(), "date": today, "profile": dataclasses.asdict(profile)}
    path = run / PROFILE_FILE
    try:
        if run.is_dir():
            write_text(path, json.dumps(record, indent=1) + "\n")
    except OSError as error:
        logger.warning("%s: cannot be written (%s); it is measured anew next time.", path, error)


def clock_of(profile: DeviceProfile, clock: Clock) -> Clock:
    """A clock with the profile's rates, and ``clock``'s reading speed. One device reads and writes in turn."""
    return dataclasses.replace(
        clock,
        seconds_per_token=profile.seconds_per_token,
        prefill_seconds_per_token=profile.prefill_seconds_per_token,
        seconds_per_read=profile.seconds_per_read,
        reads_beside=False,
    )


def device_name(device: str | None = None) -> str:
    """The name of the processor or GPU that a model is put on by default, or of ``device``."""
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    if device != "cpu":
        return device
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def round_of(reasoner: StreamingReasoner, number: int = 0) -> list[Timing]:
    """Read the text for the ``number``-th time; every written token with what it took."""
    stream = reasoner.start(QUESTION)
    spans: list[list[float]] = []

    def time_of(call: Callable[[], object]) -> None:
        before, started = len(stream.token_seconds), time.monotonic()
        call()
        spans.append([started, *stream.token_seconds[before:]])

    for k, chunk in enumerate(CHUNKS):
        if (k + number) % 2:
            time.sleep(GAP_SECONDS)
        time_of(lambda chunk=chunk: stream.read(chunk))  # type: ignore[misc]  # bound at once
    time_of(stream.finish)
    seconds = [b - a for span in spans for a, b in itertools.pairwise(span)]
    return [
        Timing(*pair) for pair in zip(tokens_read_for_each(stream.rollout), seconds, strict=True)
    ]


def tokens_read_for_each(rollout: Rollout) -> list[int]:
    """How many given tokens were read since the token before, for each written token; the prompt was read earlier."""
    counts, read = [], 0
    for phase, chunk in zip(rollout.phases, rollout.chunk_of_token, strict=True):
        if phase is not Phase.READ:
            counts.append(read)
            read = 0
        elif chunk >= 0:
            read += 1
    return counts


def medians(rounds: Sequence[Sequence[Timing]]) -> list[Timing]:
    """The median over rounds of each token; all of them where rounds differ, as samples do."""
    if len({tuple(each.read_tokens for each in timed) for timed in rounds}) > 1:
        return [each for timed in rounds for each in timed]
    return [
        Timing(column[0].read_tokens, statistics.median(each.seconds for each in column))
        for column in zip(*rounds, strict=True)
    ]


def fitted(device: str, timings: Sequence[Timing]) -> DeviceProfile:
    """The rates that explain the timings; none is below 0.

    Raises:
        UserError: Fewer than two tokens were written, so that nothing can be told apart.
    """
    single = [each.seconds for each in timings if each.read_tokens == 0]
    reads = [each for each in timings if each.read_tokens > 0]
    if len(timings) < 2 or not reads:
        raise UserError(
            "the model wrote too few tokens to be measured; was it trained, and are its positions and caps more "
            "than a few?"
        )
    per_token = statistics.median(single or [each.seconds for each in reads])
    beyond = [(float(each.read_tokens), each.seconds - per_token) for each in reads]
    slope, fixed = _line(beyond)
    if fixed < 0:
        slope, fixed = statistics.median(y / x for x, y in beyond), 0.0
    if slope < 0:
        slope, fixed = 0.0, statistics.fmean(y for _, y in beyond)
    return DeviceProfile(device, per_token, max(slope, 0.0), max(fixed, 0.0))


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and height; the slope is Theil and Sen's, the median of all pairs', which a pause moves little."""
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0])
        for n, a in enumerate(points)
        for b in points[n + 1 :]
        if a[0] != b[0]
    ]
    slope = statistics.median(slopes) if slopes else 0.0
    return slope, statistics.fmean(y - slope * x for x, y in points)


def _circumstances() -> dict[str, object]:
    import torch

    return {"device": device_name(), "dtype": "float32", "threads": torch.get_num_threads()}


def _recorded(path: Path, here: dict[str, object]) -> DeviceProfile | None:
    """The profile of a file that was measured under these circumstances, or None."""
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if any(record[name] != value for name, value in here.items()):
            return None
        return DeviceProfile(**record["profile"])
    except (ValueError, KeyError, TypeError):
        logger.warning("%s: cannot be read; it is measured anew.", path)
        return None
