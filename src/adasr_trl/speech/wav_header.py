"""The header of plain WAV, whose samples are read as they come; compressed WAV is left to FFmpeg.

    >>> read_header(pipe, "standard input")
    WavHeader(encoding=Encoding.PCM16, rate=44100, channels=2, data_bytes=None, sample_bytes=2)

FFmpeg's own reader waits for the first 64 KiB, which are seconds of speech. It also takes samples of 24 bits in 4 bytes
for floats, and big-endian ones for little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from adasr_trl.speech.encodings import BYTES, Encoding
from adasr_trl.speech.pcm import HIGHEST_RATE, LOWEST_RATE
from adasr_trl.speech.sound import SoundError

UNKNOWN_SIZE = 0x7FFF_0000  # from it on, a program did not know the size while it wrote
FILE_NAMES = (b"RIFF", b"RF64")  # first bytes of a WAV
CHUNKS = (b"data", b"fmt ", b"LIST", b"fact", b"PEAK", b"JUNK", b"bext", b"cue ", b"smpl", b"id3 ")
LONGEST_CHUNK = 1 << 20  # bytes of a chunk before the sound
EXTENSIBLE = 0xFFFE
MOST_CHANNELS = 64
PCM, FLOAT, A_LAW, MU_LAW = 1, 3, 6, 7
_WHOLE = {1: Encoding.PCM8, 2: Encoding.PCM16, 3: Encoding.PCM24, 4: Encoding.PCM32}  # by bytes
_FLOATS = {32: Encoding.FLOAT32, 64: Encoding.FLOAT64}  # by bits
_LAWS = {A_LAW: Encoding.A_LAW, MU_LAW: Encoding.MU_LAW}  # whose bits are often stated wrongly


class Source(Protocol):
    """What hands out bytes, and takes them back."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""

    def put_back(self, data: bytes, /) -> None:
        """Read these bytes again."""

    def is_ready(self, seconds: float, /) -> bool:
        """Whether ``read`` returns within so many seconds."""


@dataclass(frozen=True)
class WavHeader:
    """Form of the samples.

    Attributes:
        encoding: Of a sample.
        rate: Samples a second.
        channels: Their number.
        data_bytes: Length of the sound; None where the writer did not know.
        sample_bytes: Bytes that a sample takes, by the header.
    """

    encoding: Encoding
    rate: int
    channels: int
    data_bytes: int | None
    sample_bytes: int


def read_header(source: Source, name: str) -> WavHeader | None:
    """Read up to the first sample; None for anything else than plain WAV, of which nothing is read.

    Raises:
        SoundError: It is big-endian WAV.
    """
    reader = _Reader(source)
    header = _header(reader)
    if reader.seen[:4] == b"RIFX":
        reason = "is big-endian WAV (RIFX); expected little-endian WAV, which sox writes"
        raise SoundError(f"{name}: {reason}.")
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

    def pass_padding(self) -> None:
        """Read the zero behind a chunk of odd size, which some programs leave out."""
        ahead = self.exactly(4)
        kept = ahead if ahead in CHUNKS else ahead[1:]
        self.seen = self.seen[: len(self.seen) - len(kept)]
        self._source.put_back(kept)


def _header(reader: _Reader) -> WavHeader | None:
    head, form = reader.exactly(12), b""
    if head[:4] not in FILE_NAMES or head[8:] != b"WAVE":
        return None
    while len(chunk := reader.exactly(8)) == 8:
        size = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            return _read_form(form, size)
        if size > LONGEST_CHUNK:
            return None
        body = reader.exactly(size)
        if size % 2:
            reader.pass_padding()
        if chunk[:4] == b"fmt ":
            form = body
    return None


def _read_form(form: bytes, size: int) -> WavHeader | None:
    if len(form) < 16:
        return None
    tag, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    if not (0 < channels <= MOST_CHANNELS and LOWEST_RATE <= rate <= HIGHEST_RATE):
        return None
    encoding = _encoding(tag, bits)
    if encoding is None:
        return None
    sample_bytes = BYTES[encoding]
    if tag == PCM and BYTES[encoding] > 1 and frame % channels == 0 and frame // channels <= 4:
        sample_bytes = max(sample_bytes, frame // channels)  # padded; less is a wrong header
    known = size if 0 < size < UNKNOWN_SIZE else None
    return WavHeader(encoding, rate, channels, known, sample_bytes)


def _encoding(tag: int, bits: int) -> Encoding | None:
    if tag == PCM:
        return _WHOLE.get((bits + 7) // 8)
    return _FLOATS.get(bits) if tag == FLOAT else _LAWS.get(tag)
