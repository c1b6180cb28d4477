"""Speed of a device in live use, measured, so that the clock gives the answer latency of this machine.

    >>> load_or_measure(Path("runs/tiny/seed-0/hrpo"))     # measured once, then read from device.json
    DeviceProfile(device='AMD EPYC', seconds_per_token=0.0021, prefill_seconds_per_token=0.0001, seconds_per_read=0.0009)
    >>> clock_of(profile, Clock())                         # the same reading speed with these rates

A ``LiveStream`` reads a fixed text of an episode's usual length, chunk by chunk, at batch 1. Decode time is measured on
single-token forwards. A chunk's extra time to first token is fitted linearly in its length: slope = prefill time per
token, intercept = overhead per chunk. Every second chunk comes after a gap, since an idle device starts slower. Medians
keep the bursts of other processes out of the rates. Our choice; the paper measures no rates.
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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.artifacts.names import DEVICE_FILE
from adasr_trl.core.clock import Clock
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout

if TYPE_CHECKING:
    from adasr_trl.live.reasoner import StreamingReasoner

logger = logging.getLogger(__name__)

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
ROUNDS = 20  # readings of the text behind a first one for warming up
LEAST_ROUNDS, ENOUGH_SECONDS = 2, 15.0  # a slow device stops earlier
GAP_SECONDS = 0.1


@dataclass(frozen=True)
class DeviceProfile:
    """Rates of one model on one device, at batch 1.

    Attributes:
        device: Name of the processor or GPU.
        seconds_per_token: Decode time of one token.
        prefill_seconds_per_token: Prefill time of one token more in a reading forward.
        seconds_per_read: Fixed cost of a reading forward, beyond the decode of its token.
    """

    device: str
    seconds_per_token: float
    prefill_seconds_per_token: float
    seconds_per_read: float


@dataclass(frozen=True)
class TokenTiming:
    """One written token: number of given tokens read before it, and its seconds."""

    read_tokens: int
    seconds: float


def measure(run: Path) -> DeviceProfile:
    """Load a finished run (directory or Hub id) in float32, and measure it; on a GPU if there is one."""
    from adasr_trl.live.reasoner import StreamingReasoner

    return measure_reasoner(StreamingReasoner.from_pretrained(run), device_name())


def measure_reasoner(reasoner: StreamingReasoner, device: str) -> DeviceProfile:
    """Measure a loaded or served model; ``device`` is the name of its device."""
    round_of(reasoner)
    started, rounds = time.monotonic(), list[list[TokenTiming]]()
    while len(rounds) < LEAST_ROUNDS or (
        len(rounds) < ROUNDS and time.monotonic() - started < ENOUGH_SECONDS
    ):
        rounds.append(round_of(reasoner, len(rounds)))
    return fitted(device, medians(rounds[::2]) + medians(rounds[1::2]))


def load_or_measure(run: Path) -> DeviceProfile:
    """The profile of a run on this device: from ``RUN/device.json``, else measured and recorded there."""
    here = _circumstances()
    profile = _recorded(Path(run) / DEVICE_FILE, here)
    if profile is None:
        logger.info("measuring the speed of %s on %s", run, here["device"])
        profile = measure(run)
        save_profile(Path(run), profile)
    return profile


def save_profile(run: Path, profile: DeviceProfile) -> None:
    """Record a profile in a run's directory, if that is writable."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    record = {**_circumstances(), "date": today, "profile": dataclasses.asdict(profile)}
    path = run / DEVICE_FILE
    try:
        if run.is_dir():
            write_text(path, json.dumps(record, indent=1) + "\n")
    except OSError as error:
        logger.warning("%s: not written (%s); the next use measures again.", path, error)


def clock_of(profile: DeviceProfile, clock: Clock) -> Clock:
    """``clock`` with the profile's rates; one device reads and writes in turn."""
    rates = dataclasses.asdict(profile)
    del rates["device"]
    return dataclasses.replace(clock, **rates, reads_beside=False)


def device_name(device: str | None = None) -> str:
    """Name of the processor or GPU ``device``; default: the device of a loaded model."""
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


def round_of(reasoner: StreamingReasoner, number: int = 0) -> list[TokenTiming]:
    """Timings of all written tokens in the ``number``-th reading of the text."""
    stream = reasoner.start(QUESTION)
    seconds: list[float] = []
    calls: list[Callable[[], object]] = [
        *(partial(stream.read, chunk) for chunk in CHUNKS),
        stream.finish,
    ]
    for k, call in enumerate(calls):
        if (k + number) % 2 and k < len(CHUNKS):
            time.sleep(GAP_SECONDS)
        before, started = len(stream.token_seconds), time.monotonic()
        call()
        times = itertools.pairwise([started, *stream.token_seconds[before:]])
        seconds += [later - earlier for earlier, later in times]
    counts = tokens_read_for_each(stream.rollout)
    return [TokenTiming(*pair) for pair in zip(counts, seconds, strict=True)]


def tokens_read_for_each(rollout: Rollout) -> list[int]:
    """Number of given tokens read before each written token, since the last written one; without the prompt."""
    counts, read = [], 0
    for phase, chunk in zip(rollout.phases, rollout.chunk_of_token, strict=True):
        if phase is not Phase.READ:
            counts.append(read)
            read = 0
        elif chunk >= 0:
            read += 1
    return counts


def medians(rounds: Sequence[Sequence[TokenTiming]]) -> list[TokenTiming]:
    """The median of each token over the rounds; all timings if the rounds wrote different tokens."""
    if len({tuple(timing.read_tokens for timing in timings) for timings in rounds}) > 1:
        return [timing for timings in rounds for timing in timings]
    return [
        TokenTiming(column[0].read_tokens, statistics.median(timing.seconds for timing in column))
        for column in zip(*rounds, strict=True)
    ]


def fitted(device: str, timings: Sequence[TokenTiming]) -> DeviceProfile:
    """The rates behind the timings, none below 0; a UserError refuses fewer than two tokens."""
    decodes = [timing.seconds for timing in timings if timing.read_tokens == 0]
    reads = [timing for timing in timings if timing.read_tokens > 0]
    if len(timings) < 2 or not reads:
        raise UserError("the model wrote too few tokens to be measured; use a trained one.")
    per_token = statistics.median(decodes or [timing.seconds for timing in reads])
    extra = [(float(timing.read_tokens), timing.seconds - per_token) for timing in reads]
    slope, fixed = _line(extra)
    if fixed < 0:
        slope, fixed = statistics.median(seconds / tokens for tokens, seconds in extra), 0.0
    if slope < 0:
        slope, fixed = 0.0, statistics.fmean(seconds for _, seconds in extra)
    return DeviceProfile(device, per_token, max(slope, 0.0), max(fixed, 0.0))


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and intercept after Theil and Sen: the median slope of all pairs is robust against pauses."""
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2) if a[0] != b[0]
    ]
    slope = statistics.median(slopes) if slopes else 0.0
    return slope, statistics.fmean(y - slope * x for x, y in points)


def _circumstances() -> dict[str, object]:
    import torch

    return {"device": device_name(), "dtype": "float32", "threads": torch.get_num_threads()}


def _recorded(path: Path, here: dict[str, object]) -> DeviceProfile | None:
    """The profile in a file that was measured under these circumstances, or None."""
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        is_same = all(record[name] == value for name, value in here.items())
        return DeviceProfile(**record["profile"]) if is_same else None
    except (ValueError, KeyError, TypeError):
        logger.warning("%s: unreadable; measured anew.", path)
        return None
