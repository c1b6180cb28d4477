"""Sound of files and pipes as mono samples at 16 kHz.

    >>> samples = read_sound(Path("story.wav"))         # float32, -1 to 1
    >>> for block in sound_blocks(Path("story.mp3")):    # the same in pieces, as they are decoded
    ...     recogniser.feed(block)

PyAV (FFmpeg) decodes WAV in all its forms, FLAC, MP3, Ogg, AAC and the sound of videos. Left out: playlists, which could
open other files, and sound without a header, which is in ``pcm``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.words import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from av.container import InputContainer

logger = logging.getLogger(__name__)

# FFmpeg's names of containers. A playlist's or a script's demuxer opens whatever it names.
CONTAINERS = "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,matroska,aac,amr,ac3,avi,mpegts,asf"
OPPOSED = 0.01  # power of the mix to that of a channel, below which channels cancel each other
INTEGER_PEAK = 8.0  # above it floats are integers of 16 bits
FULL_SCALE = 32_768.0
MOST_BROKEN = 10_000  # packets, behind which nothing more is read
UNKNOWN_SIZE = 0x7FFF_0000  # from it on, a program did not know the size while it wrote
REMEDY = "expected WAV, FLAC, MP3, Ogg or another format of FFmpeg's"


class SoundError(UserError):
    """No sound, or one that cannot be read."""


class Readable(Protocol):
    """What hands out bytes, such as a file or a pipe."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def read_sound(path: Path) -> Samples:
    """All samples of a file, (samples,).

    Raises:
        SoundError: It holds no sound, or libraries are missing.
        OSError: It cannot be opened.
    """
    blocks = list(sound_blocks(path))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def sound_blocks(path: Path) -> Iterator[Samples]:
    """The samples of a file in blocks of any size; raises as ``read_sound``, at the first block."""
    with path.open("rb") as file:
        if path.is_file():
            _tell_of_the_cut(file, str(path))
        yield from decoded(file, str(path))


def begun(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same blocks, of which the first is decoded now: what is no sound is refused here."""
    return chain([next(blocks)], blocks)


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
            made = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
        return [out.to_ndarray() for out in made.resample(frame)]

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


class Mono:
    """Channels to one; counts what was wrong with them."""

    def __init__(self) -> None:
        self._not_numbers = 0
        self._is_integer = False

    def mixed(self, channels_CT: Samples) -> Samples:
        """One channel, (samples,)."""
        is_number = np.isfinite(channels_CT)
        if not is_number.all():
            self._not_numbers += int((~is_number).sum())
            channels_CT = np.where(is_number, channels_CT, 0.0)
        if np.abs(channels_CT).max(initial=0.0) > INTEGER_PEAK:
            self._is_integer = True
        if self._is_integer:
            channels_CT = channels_CT / FULL_SCALE
        mix = channels_CT.mean(axis=0)
        if len(channels_CT) > 1:
            power_C = np.square(channels_CT).mean(axis=1)
            if np.square(mix).mean() < OPPOSED * power_C.max():
                mix = channels_CT[power_C.argmax()]
        clipped: Samples = np.clip(mix, -1.0, 1.0).astype(np.float32)
        return clipped

    def tell_of_faults(self, name: str) -> None:
        """Say what was mended."""
        if self._not_numbers:
            logger.warning(
                "%s: %d samples are no numbers; read as silence", name, self._not_numbers
            )


def _tell_of_the_cut(file: BinaryIO, name: str) -> None:
    """Say so where a WAV file is shorter than its header says; decoders pass over it."""
    head, length = file.read(8), os.fstat(file.fileno()).st_size
    file.seek(0)
    declared = 8 + int.from_bytes(head[4:], "little")
    if head[:4] == b"RIFF" and length < declared < UNKNOWN_SIZE:
        logger.warning("%s: is cut off: %d of %d bytes are there", name, length, declared)


def _reason(error: Exception) -> str:
    """FFmpeg's words without the name, which stands before them."""
    words: str = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(words.split())
