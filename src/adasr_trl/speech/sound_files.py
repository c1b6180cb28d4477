"""Sound of files as mono samples at 16 kHz.

    >>> samples = read_sound(Path("story.wav"))         # float32, -1 to 1
    >>> for block in sound_blocks(Path("story.mp3")):    # the same in pieces, as they are decoded
    ...     recogniser.feed(block)

Plain WAV is read by ``wav_sound``, everything else by FFmpeg.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path

import numpy as np

from adasr_trl.speech.sound import decoded
from adasr_trl.speech.wav_header import UNKNOWN_SIZE, read_header
from adasr_trl.speech.wav_sound import wav_blocks
from adasr_trl.speech.words import Samples

logger = logging.getLogger(__name__)


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
    name = str(path)
    with path.open("rb") as file:
        if path.is_file():
            _tell_of_the_cut(file, name)
        source = _File(file)
        header = read_header(source, name)
        if header is not None:
            yield from wav_blocks(source, header, name)
        elif file.seekable():
            file.seek(0)
            yield from decoded(file, name)
        else:  # a named pipe
            yield from decoded(source, name)


def begun(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same blocks, of which the first is decoded now: what is no sound is refused here."""
    return chain([next(blocks)], blocks)


class _File:
    """A file that gives what is there, and takes bytes back."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._back = b""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        if self._back:
            data, self._back = self._back[:size], self._back[size:]
            return data
        return self._file.read1(size)

    def put_back(self, data: bytes) -> None:
        """Read these bytes again."""
        self._back = data + self._back

    def is_ready(self, _seconds: float) -> bool:
        """Whether ``read`` returns soon."""
        return True


def _tell_of_the_cut(file: BufferedReader, name: str) -> None:
    """Say so where a WAV file is shorter than its header says; decoders pass over it."""
    head, length = file.read(8), os.fstat(file.fileno()).st_size
    file.seek(0)
    declared = 8 + int.from_bytes(head[4:], "little")
    if head[:4] == b"RIFF" and length < declared < UNKNOWN_SIZE:
        logger.warning("%s: is cut off: %d of %d bytes are there", name, length, declared)
