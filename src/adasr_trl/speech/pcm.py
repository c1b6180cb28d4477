"""Sound without a header, in pieces of bytes that may end anywhere, as samples at 16 kHz.

    >>> decoder = PcmDecoder(Encoding.PCM16, rate=24_000)
    >>> decoder.feed(data[:999])            # 499 samples of 16 bits, resampled; the odd byte waits
    >>> decoder.feed(data[999:])
    >>> decoder.flush()                     # what the resampler still holds; more may follow

Samples are little-endian and of one channel. The two G.711 laws are those of telephony.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from adasr_trl.speech.packages import load_package
from adasr_trl.speech.sound import FULL_SCALE, resampler
from adasr_trl.speech.words import SAMPLE_RATE, Samples

LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000


class Encoding(Enum):
    """Form of the samples, by OpenAI's names."""

    PCM16 = "audio/pcm"
    MU_LAW = "audio/pcmu"
    A_LAW = "audio/pcma"


BYTES = {Encoding.PCM16: 2, Encoding.MU_LAW: 1, Encoding.A_LAW: 1}  # a sample


class PcmDecoder:
    """See the module."""

    def __init__(self, encoding: Encoding, rate: int) -> None:
        self._encoding, self._rate = encoding, rate
        self._odd = b""
        self._resample: Callable[[object], list[Samples]] | None = None

    def feed(self, data: bytes) -> Samples:
        """The samples of more bytes, (samples,)."""
        data = self._odd + data
        whole = len(data) - len(data) % BYTES[self._encoding]
        data, self._odd = data[:whole], data[whole:]
        values = _expanded(self._encoding, data)
        if self._rate == SAMPLE_RATE:
            return values.astype(np.float32) / np.float32(FULL_SCALE)
        if not len(values):
            return np.zeros(0, np.float32)
        frame = load_package("av").AudioFrame.from_ndarray(
            values[None], format="s16", layout="mono"
        )
        frame.sample_rate = self._rate
        if self._resample is None:
            self._resample = resampler()
        return _joined(self._resample(frame))

    def flush(self) -> Samples:
        """The last samples so far, (samples,); half a sample waits for its other half."""
        resample, self._resample = self._resample, None
        return _joined(resample(None) if resample else [])


def _joined(blocks: list[Samples]) -> Samples:
    return np.concatenate([block[0] for block in blocks]) if blocks else np.zeros(0, np.float32)


def _expanded(encoding: Encoding, data: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    if encoding is Encoding.PCM16:
        return np.frombuffer(data, "<i2").astype(np.int16)
    table = _MU_LAW if encoding is Encoding.MU_LAW else _A_LAW
    return table[np.frombuffer(data, np.uint8)]


def _mu_law(byte: int) -> int:
    """The sample of a byte (ITU-T G.711)."""
    byte = ~byte & 0xFF
    size = (((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)
    return 0x84 - size if byte & 0x80 else size - 0x84


def _a_law(byte: int) -> int:
    """The sample of a byte (ITU-T G.711)."""
    byte ^= 0x55
    size, segment = (byte & 0x0F) << 4, (byte & 0x70) >> 4
    size = size + 8 if segment == 0 else (size + 0x108) << (segment - 1)
    return size if byte & 0x80 else -size


_MU_LAW = np.array([_mu_law(byte) for byte in range(256)], np.int16)
_A_LAW = np.array([_a_law(byte) for byte in range(256)], np.int16)
