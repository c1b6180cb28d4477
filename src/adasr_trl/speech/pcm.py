"""Sound without a header, in pieces of bytes that may end anywhere, as samples at 16 kHz.

    >>> decoder = PcmDecoder(Encoding.PCM16, rate=24_000)
    >>> decoder.feed(data[:999])            # 499 samples of 16 bits, resampled; the odd byte waits
    >>> decoder.feed(data[999:])
    >>> decoder.flush()                     # what the resampler still holds; more may follow

Samples are little-endian. The two G.711 laws are those of telephony.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from adasr_trl.speech.container import Container
from adasr_trl.speech.encodings import BYTES, Encoding
from adasr_trl.speech.mono import FULL_SCALE, Mono
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.sound import resampler
from adasr_trl.speech.words import SAMPLE_RATE, Samples

logger = logging.getLogger(__name__)

LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
# Samples of 32 bits, whose header may say the other: Python's ``wave`` writes floats as integers.
_ALIKE = (Encoding.PCM32, Encoding.FLOAT32)
_QUIETEST, _LOUDEST = 1e-9, 2.0**32  # of floats; integers lie beyond both
_MOST, _ENOUGH = 0.9, 200  # share of values that decides, and their number


class PcmDecoder:
    """See the module; several channels become one.

    Args:
        encoding: Form of the samples.
        rate: Samples a second.
        channels: Their number.
        sample_bytes: Bytes that a sample takes, where it has more than its encoding.
    """

    def __init__(
        self, encoding: Encoding, rate: int, channels: int = 1, sample_bytes: int | None = None
    ) -> None:
        self._encoding, self._rate, self._channels = encoding, rate, channels
        is_padded = sample_bytes not in (None, BYTES[encoding])
        self._container = Container(encoding, sample_bytes or 0) if is_padded else None
        self._odd = b""
        self._resample: Callable[[object], list[Samples]] | None = None
        self._mono = Mono()
        self._seen: Encoding | None = None  # of 32 bits, by the samples

    def feed(self, data: bytes) -> Samples:
        """The samples of more bytes, (samples,)."""
        data, encoding, container = self._odd + data, self._encoding, self._container
        sample_bytes = container.frame_bytes(data) if container else BYTES[encoding]
        frame_bytes = sample_bytes * self._channels
        whole = len(data) - len(data) % frame_bytes
        data, self._odd = data[:whole], data[whole:]
        if not data:
            return np.zeros(0, np.float32)
        if container:
            encoding, data = container.unpacked(data)
        if encoding in _ALIKE:
            encoding = self._seen_as(encoding, data)
        values = _values(encoding, data).reshape(-1, self._channels)
        mono = self._mono.mixed(values.T)
        if self._rate == SAMPLE_RATE:
            return mono
        frame = load_package("av").AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        if self._resample is None:
            self._resample = resampler()
        return _joined(self._resample(frame))

    def flush(self) -> Samples:
        """The last samples so far, (samples,); half a sample waits for its other half."""
        resample, self._resample = self._resample, None
        return _joined(resample(None) if resample else [])

    def tell_of_faults(self, name: str) -> None:
        """Say what was mended."""
        if self._seen and self._seen is not self._encoding and not self._container:
            stated, seen = self._encoding.value, self._seen.value
            logger.warning("%s: its header says %s, its samples are %s", name, stated, seen)
        self._mono.tell_of_faults(name)

    def _seen_as(self, stated: Encoding, data: bytes) -> Encoding:
        """The encoding of samples of 32 bits, by the first ones that are not silent."""
        if self._seen is None:
            words = np.frombuffer(data, "<i4")
            words = words[(words & 0x7FFF_FFFF) != 0]
            if len(words) < _ENOUGH:
                return stated
            size = np.abs(words.view("<f4"))
            is_float = size < _LOUDEST  # not of "no numbers"
            if stated is Encoding.PCM32:
                is_float &= size > _QUIETEST
            self._seen = Encoding.FLOAT32 if is_float.mean() > _MOST else Encoding.PCM32
        return self._seen


def _joined(blocks: list[Samples]) -> Samples:
    return np.concatenate([block[0] for block in blocks]) if blocks else np.zeros(0, np.float32)


def _values(encoding: Encoding, data: bytes) -> Samples:
    """Values of one sample behind another, of all channels in turn."""
    if encoding is Encoding.PCM8:
        return np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
    if encoding is Encoding.PCM24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)  # (samples, bytes)
        return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    if encoding in _LAWS:
        return _LAWS[encoding][np.frombuffer(data, np.uint8)] / np.float32(FULL_SCALE)
    dtype, scale = _PLAIN[encoding]
    return np.frombuffer(data, dtype).astype(np.float32) / np.float32(scale)


_PLAIN = {
    Encoding.PCM16: ("<i2", FULL_SCALE),
    Encoding.PCM32: ("<i4", 2.0**31),
    Encoding.FLOAT32: ("<f4", 1.0),
    Encoding.FLOAT64: ("<f8", 1.0),
}


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


_LAWS = {
    Encoding.MU_LAW: np.array([_mu_law(byte) for byte in range(256)], np.float32),
    Encoding.A_LAW: np.array([_a_law(byte) for byte in range(256)], np.float32),
}
