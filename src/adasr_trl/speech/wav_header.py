"""The header of a WAV that comes through a pipe, so that its samples are read as they come.

    >>> read_header(pipe)
    WavHeader(encoding=Encoding.PCM16, rate=44100, channels=2, data_bytes=None)

FFmpeg's own reader waits for the first 64 KiB, which are seconds of speech. Files are left to it, and compressed WAV.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from adasr_trl.speech.pcm import HIGHEST_RATE, LOWEST_RATE, Encoding
from adasr_trl.speech.sound import UNKNOWN_SIZE

LONGEST_CHUNK = 1 << 20  # bytes of a chunk before the sound
EXTENSIBLE = 0xFFFE
MOST_CHANNELS = 64
_ENCODINGS = {  # by tag and bits
    (1, 8): Encoding.PCM8,
    (1, 16): Encoding.PCM16,
    (1, 24): Encoding.PCM24,
    (1, 32): Encoding.PCM32,
    (3, 32): Encoding.FLOAT32,
    (3, 64): Encoding.FLOAT64,
    (6, 8): Encoding.A_LAW,
    (7, 8): Encoding.MU_LAW,
}


class Source(Protocol):
    """What hands out bytes, and takes them back."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""

    def put_back(self, data: bytes, /) -> None:
        """Read these bytes again."""


@dataclass(frozen=True)
class WavHeader:
    """Form of the samples; ``data_bytes`` is None where the writer did not know."""

    encoding: Encoding
    rate: int
    channels: int
    data_bytes: int | None


def read_header(source: Source) -> WavHeader | None:
    """Read up to the first sample; None for anything else than plain WAV, of which nothing is read."""
    reader = _Reader(source)
    header = _header(reader)
    if header is None:
        source.put_back(reader.seen)
    return header


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.seen = b""

    def exactly(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        data = b""
        while len(data) < size and (piece := self._source.read(size - len(data))):
            data += piece
        self.seen += data
        return data


def _header(reader: _Reader) -> WavHeader | None:
    head, form = reader.exactly(12), b""
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return None
    while len(chunk := reader.exactly(8)) == 8:
        size = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            return _read_form(form, size)
        if size > LONGEST_CHUNK:
            return None
        body = reader.exactly(size + size % 2)
        if chunk[:4] == b"fmt ":
            form = body
    return None


def _read_form(form: bytes, size: int) -> WavHeader | None:
    if len(form) < 16:
        return None
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    encoding = _ENCODINGS.get((tag, bits))
    if not (encoding and 0 < channels <= MOST_CHANNELS and LOWEST_RATE <= rate <= HIGHEST_RATE):
        return None
    return WavHeader(encoding, rate, channels, size if 0 < size < UNKNOWN_SIZE else None)
