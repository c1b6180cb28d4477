"""The samples of plain WAV, as they come: from a pipe, or from a file.

    >>> for block in wav_blocks(source, read_header(source, name), name):
    ...     stream.send(block.tobytes())

A WAV that follows another one (``cat one.wav two.wav``) is read, too, also behind one of unknown length, and so is a
sound in several chunks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace

from adasr_trl.speech.pcm import PcmDecoder
from adasr_trl.speech.sound import SoundError
from adasr_trl.speech.wav_header import (
    CHUNKS,
    FILE_NAMES,
    UNKNOWN_SIZE,
    Source,
    WavHeader,
    read_header,
)
from adasr_trl.speech.words import Samples

logger = logging.getLogger(__name__)

READ_BYTES = 65_536
_BEGIN, _BEGIN_BYTES = re.compile(rb"RIFF.{4}WAVEfmt ", re.DOTALL), 16  # of a WAV
_WAIT_SECONDS = 0.1  # for what may follow the sound; a pipe may stay open with nothing in it


def wav_blocks(source: Source, header: WavHeader | None, name: str) -> Iterator[Samples]:
    """The samples behind a header, (samples,), at 16 kHz.

    Raises:
        SoundError: There are none.
    """
    any_sound = False
    while header is not None:
        decoder = PcmDecoder(header.encoding, header.rate, header.channels, header.sample_bytes)
        size = header.data_bytes
        for data in _to_the_next(source) if size is None else _counted(source, size):
            any_sound = True
            yield decoder.feed(data)
        yield decoder.flush()
        decoder.tell_of_faults(name)
        header = _following(source, header, name)
    if not any_sound:
        raise SoundError(f"{name}: holds no samples: it ended without any sound.")


def _counted(source: Source, size: int) -> Iterator[bytes]:
    while size and (data := source.read(min(READ_BYTES, size))):
        size -= len(data)
        yield data


def _to_the_next(source: Source) -> Iterator[bytes]:
    """The bytes of a sound of unknown length: to the end, or to the header of a WAV that follows."""
    held = b""
    while piece := source.read(READ_BYTES):
        data = held + piece
        begin = _BEGIN.search(data)
        if begin:
            source.put_back(data[begin.start() :])
        at = begin.start() if begin else _begin_of_the_end(data)
        if at:
            yield data[:at]
        if begin:
            return
        held = data[at:]
    if held:
        yield held


def _begin_of_the_end(data: bytes) -> int:
    """Where the end of the data may be the beginning of a header."""
    ends = range(max(0, len(data) - _BEGIN_BYTES + 1), len(data))
    return next((at for at in ends if b"RIFF".startswith(data[at : at + 4])), len(data))


def _following(source: Source, before: WavHeader, name: str) -> WavHeader | None:
    """What follows this sound and its other chunks: more of it, or the header of another WAV."""
    if before.data_bytes and before.data_bytes % 2:
        _pass_padding(source)
    while len(head := _exactly(source, 8)) == 8:
        if head[:4] in FILE_NAMES:
            source.put_back(head)
            return read_header(source, name)
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return replace(before, data_bytes=size if size < UNKNOWN_SIZE else None)
        if not (head[:4].isascii() and head[:4].decode("ascii").isprintable()):
            logger.warning("%s: goes on behind the end that its header gives; not read", name)
            return None
        _skip(source, size)
        if size % 2:
            _pass_padding(source)
    return None


def _skip(source: Source, size: int) -> None:
    while size and (piece := _exactly(source, min(size, READ_BYTES))):
        size -= len(piece)


def _pass_padding(source: Source) -> None:
    """Read the zero behind a chunk of odd size, which some programs leave out."""
    ahead = _exactly(source, 4)
    source.put_back(ahead if ahead in (*CHUNKS, *FILE_NAMES) else ahead[1:])


def _exactly(source: Source, size: int) -> bytes:
    """So many bytes, or fewer where nothing more comes soon."""
    data = b""
    while len(data) < size and source.is_ready(_WAIT_SECONDS):
        piece = source.read(size - len(data))
        if not piece:
            break
        data += piece
    return data
