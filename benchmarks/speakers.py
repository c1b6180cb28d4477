"""Several speakers at once on one recogniser, as a server's sessions share it: how late their words come.

    python -m benchmarks.speakers data/ledger/test.jsonl --recogniser tiny.en --voice en-us --speakers 1 2 4 8

All begin together and are played at their own speed. A word's lag runs from its end in the sound to its arrival; "last words"
is the time from a sound's end to its last words.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from adasr_trl.core.episode import read_episodes
from adasr_trl.live.heard import heard, played
from adasr_trl.speech.process import RecogniserProcess, load_recogniser
from adasr_trl.speech.words import SAMPLE_RATE, Samples
from benchmarks.spoken_live import speech_of, voice_of


class Speaker(threading.Thread):
    """One sound, and how late its words came.

    Attributes:
        lags: Of each piece of text, in seconds.
        last: From the sound's end to its last words.
    """

    def __init__(self, process: RecogniserProcess, sound: Samples) -> None:
        super().__init__()
        self._source = heard(process, played([sound], 1.0), "sound")
        self._seconds = len(sound) / SAMPLE_RATE
        self.lags: list[float] = []
        self.last = 0.0

    def run(self) -> None:
        """Play it."""
        began = time.monotonic()
        for piece in self._source(threading.Event()):
            if piece.lag_seconds is not None:
                self.lags.append(piece.lag_seconds)
                self.last = max(time.monotonic() - began - self._seconds, 0.0)


def row(process: RecogniserProcess, sounds: Sequence[Samples]) -> str:
    """The medians of so many speakers."""
    speakers = [Speaker(process, sound) for sound in sounds]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join()
    lags = [lag for speaker in speakers for lag in speaker.lags]
    last = [speaker.last for speaker in speakers]
    return (
        f"| {len(sounds)} | {statistics.median(lags):.2f} | {statistics.quantiles(lags, n=20)[-1]:.2f} "
        f"| {statistics.median(last):.2f} | {max(last):.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("episodes", type=Path)
    parser.add_argument("--recogniser", default="tiny.en")
    parser.add_argument("--voice", nargs="+", default=["en-us"])
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()

    voices = itertools.cycle(map(voice_of, options.voice))
    episodes = itertools.islice(read_episodes(options.episodes), max(options.speakers))
    sounds = [speech_of(episode, voice) for episode, voice in zip(episodes, voices, strict=False)]
    print("| speakers | lag of words, s | 95 % | last words, s | longest |\n|---|---|---|---|---|")
    with RecogniserProcess(partial(load_recogniser, options.recogniser)) as process:
        for count in options.speakers:
            print(row(process, sounds[:count]), flush=True)


if __name__ == "__main__":
    main()
