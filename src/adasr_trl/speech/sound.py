"""Sound that FFmpeg decodes, as mono samples at 16 kHz.

    >>> for block in decoded(file, "story.mp3"):        # float32, -1 to 1
    ...     recogniser.feed(block)

PyAV (FFmpeg) decodes compressed WAV, FLAC, MP3, Ogg, AAC and the sound of videos. Left out: playlists, which could open
other files, and sound without a header, which is in ``pcm``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from adasr_trl.core.errors import UserError
from adasr_trl.speech.mono import Mono
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.words import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from av.container import InputContainer

logger = logging.getLogger(__name__)

# FFmpeg's names of containers. A playlist's or a script's demuxer opens whatever it names.
CONTAINERS = "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,matroska,aac,amr,ac3,avi,mpegts,asf"
MOST_BROKEN = 10_000  # packets, behind which nothing more is read
REMEDY = "expected WAV, FLAC, MP3, Ogg or another format of FFmpeg's"


class SoundError(UserError):
    """No sound, or one that cannot be read."""


class Readable(Protocol):
    """What hands out bytes, such as a file or a pipe."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def decoded(file: BinaryIO | Readable, name: str) -> Iterator[Samples]:
    """The samples of a file or pipe with a header; ``name`` is for errors.

    Channels are averaged, or where they cancel each other the loudest one counts. Values that are no numbers are silence.

    Raises:
        SoundError: It is no sound that can be read, or libraries are missing.
    """
    av = load_package("av")
    av.logging.set_level(None)  # what is wrong is said in one line of ours
    try:
        container = av.open(file, mode="r", options={"format_whitelist": CONTAINERS})
    except (av.error.FFmpegError, ValueError) as error:
        raise SoundError(f"{name}: holds no sound ({_reason(error)}); {REMEDY}.") from error
    with container:
        if not container.streams.audio:
            raise SoundError(f"{name}: holds no sound track; {REMEDY}.")
        mono, samples = Mono(), 0
        for frame in _frames(container, name):
            block = mono.mixed(frame)
            samples += len(block)
            if len(block):
                yield block
        mono.tell_of_faults(name)
    if samples == 0:
        raise SoundError(f"{name}: holds no samples; {REMEDY}.")


def resampler() -> Callable[[object], list[Samples]]:
    """A function from frames of any rate, and None at the end, to blocks of (channels, samples) at 16 kHz."""
    made: Any = None
    av = load_package("av")

    def resample(frame: object) -> list[Samples]:
        nonlocal made
        if made is None:
            if frame is None:
                return []
            made = av.AudioResampler(format="flt", rate=SAMPLE_RATE)  # PyAV has 7 planes at most
        return [
            out.to_ndarray().reshape(-1, out.layout.nb_channels).T for out in made.resample(frame)
        ]

    return resample


def _frames(container: InputContainer, name: str) -> Iterator[Samples]:
    """Blocks (channels, samples) at 16 kHz; a change of rate or channels inside the sound begins a new resampler."""
    av = load_package("av")
    resample, form = resampler(), None
    packets, broken = container.demux(container.streams.audio[0]), 0
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            break
        except av.error.FFmpegError:
            broken += 1
            if broken > MOST_BROKEN:
                break
            continue
        for frame in frames:
            frame.pts = None  # times of broken files would make holes
            if form not in (None, (frame.rate, frame.layout.name, frame.format.name)):
                yield from resample(None)
                resample = resampler()
            form = (frame.rate, frame.layout.name, frame.format.name)
            yield from resample(frame)
    yield from resample(None)
    if broken:
        logger.warning("%s: %d broken packets were passed over", name, broken)


def _reason(error: Exception) -> str:
    """FFmpeg's words without the name, which stands before them."""
    words: str = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(words.split())
