"""The samples of plain WAV, as they come: from a pipe, or from a file.

    >>> for block in wav_blocks(source, read_header(source, name), name):
    ...     stream.send(block.tobytes())

A WAV that follows another one (``cat one.wav two.wav``) is read, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from adasr_trl.speech.pcm import PcmDecoder
from adasr_trl.speech.sound import SoundError
from adasr_trl.speech.wav_header import FILE_NAMES, Source, WavHeader, read_header
from adasr_trl.speech.words import Samples

logger = logging.getLogger(__name__)

READ_BYTES = 65_536
_WAIT_SECONDS = 0.1  # for what may follow the sound; a pipe may stay open with nothing in it


def wav_blocks(source: Source, header: WavHeader | None, name: str) -> Iterator[Samples]:
    """The samples behind a header, (samples,), at 16 kHz.

    Raises:
        SoundError: There are none.
    """
    any_sound = False
    while header is not None:
        decoder = PcmDecoder(header.encoding, header.rate, header.channels, header.sample_bytes)
        left = header.data_bytes
        while data := source.read(READ_BYTES if left is None else min(READ_BYTES, left)):
            left = None if left is None else left - len(data)
            any_sound = True
            yield decoder.feed(data)
        yield decoder.flush()
        decoder.tell_of_faults(name)
        header = _following(source, header, name) if left == 0 else None
    if not any_sound:
        raise SoundError(f"{name}: holds no samples: it ended without any sound.")


def _following(source: Source, before: WavHeader, name: str) -> WavHeader | None:
    """The header of a WAV that follows this one's sound and its other chunks."""
    if before.data_bytes and before.data_bytes % 2:
        _exactly(source, 1)
    while len(head := _exactly(source, 8)) == 8:
        if head[:4] in FILE_NAMES:
            source.put_back(head)
            return read_header(source, name)
        size = int.from_bytes(head[4:], "little")
        if not (head[:4].isascii() and head[:4].decode("ascii").isprintable()):
            logger.warning("%s: goes on behind the end that its header gives; not read", name)
            return None
        _skip(source, size + size % 2)
    return None


def _skip(source: Source, size: int) -> None:
    while size and (piece := _exactly(source, min(size, READ_BYTES))):
        size -= len(piece)


def _exactly(source: Source, size: int) -> bytes:
    """So many bytes, or fewer where nothing more comes soon."""
    data = b""
    while len(data) < size and source.is_ready(_WAIT_SECONDS):
        piece = source.read(size - len(data))
        if not piece:
            break
        data += piece
    return data
