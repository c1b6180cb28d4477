"""Samples that lie in more bytes than they have, as their bytes alone.

    >>> container = Container(Encoding.PCM24, size=4)
    >>> container.unpacked(data)            # the encoding, and its bytes without padding

WAV puts samples into the upper bytes, ALSA's S24_LE into the lower ones; Cool Edit wrote floats there; and some programs
state a wrong size of a frame. Headers do not tell these apart, so the samples do.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from adasr_trl.speech.encodings import BYTES, Encoding

_QUIETEST, _LOUDEST = 1e-3, 2.0**25  # of floats in the range of integers
_MOST = 0.9  # share of values that decides
_EXTENSIONS = (0x00, 0xFF)  # of a sign, above a sample


class _Layout(Enum):
    UPPER = "the sample is above its padding"
    LOWER = "the sample is below its padding"
    FLOATS = "floats"
    PACKED = "no padding at all"


class Container:
    """See the module; the layout is that of the first samples that are not silent."""

    def __init__(self, encoding: Encoding, size: int) -> None:
        self._encoding, self._size = encoding, size
        self._layout: _Layout | None = None

    def frame_bytes(self, data: bytes) -> int:
        """Bytes of a sample, by what the data shows."""
        self._look(data)
        return BYTES[self._encoding] if self._layout is _Layout.PACKED else self._size

    def unpacked(self, data: bytes) -> tuple[Encoding, bytes]:
        """The samples without padding."""
        if self._layout is _Layout.FLOATS:
            return Encoding.FLOAT32, data
        if self._layout is _Layout.PACKED:
            return self._encoding, data
        size, padding = BYTES[self._encoding], self._size - BYTES[self._encoding]
        rows = np.frombuffer(data, np.uint8).reshape(-1, self._size)
        kept = rows[:, :size] if self._layout is _Layout.LOWER else rows[:, padding:]
        return self._encoding, kept.tobytes()

    def _look(self, data: bytes) -> None:
        whole = len(data) - len(data) % self._size
        rows = np.frombuffer(data[:whole], np.uint8).reshape(-1, self._size)
        rows = rows[rows.any(axis=1)]
        if self._layout is None and len(rows):
            self._layout = self._layout_of(rows)

    def _layout_of(self, rows: npt.NDArray[np.uint8]) -> _Layout:
        padding = self._size - BYTES[self._encoding]
        if not rows[:, :padding].any():
            return _Layout.UPPER
        if np.isin(rows[:, -padding:], _EXTENSIONS).all():
            return _Layout.LOWER
        if self._size == 4:
            values = np.abs(np.ascontiguousarray(rows).view("<f4")[:, 0])
            if ((values > _QUIETEST) & (values < _LOUDEST)).mean() > _MOST:
                return _Layout.FLOATS
        return _Layout.PACKED
