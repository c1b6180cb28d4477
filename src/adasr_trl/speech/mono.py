"""Channels of sound to one, in the range from -1 to 1.

    >>> mono = Mono()
    >>> mono.mixed(channels_CT)             # (samples,)

Floats whose values are integers' (of 16, 24 or 32 bits) are scaled. One wrong value in a thousand changes no scale: it
is cut off.
"""

from __future__ import annotations

import logging

import numpy as np

from adasr_trl.speech.words import Samples

logger = logging.getLogger(__name__)

FULL_SCALE = 32_768.0
OPPOSED = 0.01  # power of the mix to that of a channel, below which channels cancel each other
_BEYOND = 8.0  # above it floats are integers; up to it they are too loud
_SCALES = (FULL_SCALE, 2.0**23, 2.0**31)  # of the integers that a program wrote as floats
_RARE = 0.01  # share of values that may lie beyond a scale
_ENOUGH = 200  # values by which a scale is judged


class Mono:
    """See the module; counts what was wrong with the channels."""

    def __init__(self) -> None:
        self._not_numbers = 0
        self._scale = 1.0
        self._seen = 0  # values since the scale was judged last
        self._above = np.zeros(len(_SCALES) + 1, np.int64)  # of them, beyond each limit

    def mixed(self, channels_CT: Samples) -> Samples:
        """The average of the channels, or where they cancel each other the loudest one, (samples,)."""
        is_number = np.isfinite(channels_CT)
        if not is_number.all():
            self._not_numbers += int((~is_number).sum())
            channels_CT = np.where(is_number, channels_CT, 0.0)
        if np.abs(channels_CT).max(initial=0.0) > 1.0:
            self._judge(np.abs(channels_CT))
        if self._scale != 1.0:
            channels_CT = channels_CT / self._scale
        channels_CT = np.clip(channels_CT, -1.0, 1.0)
        mix = channels_CT.mean(axis=0)
        if len(channels_CT) > 1:
            power_C = np.square(channels_CT).mean(axis=1)
            if np.square(mix).mean() < OPPOSED * power_C.max():
                mix = channels_CT[power_C.argmax()]
        mono: Samples = mix.astype(np.float32)
        return mono

    def tell_of_faults(self, name: str) -> None:
        """Say what was mended."""
        if self._not_numbers:
            logger.warning(
                "%s: %d samples are no numbers; read as silence", name, self._not_numbers
            )

    def _judge(self, loudness_CT: Samples) -> None:
        """Raise the scale where these values are integers; quiet parts behind it keep it."""
        values = loudness_CT[loudness_CT > 0]
        limits = (1.0 if (values == np.rint(values)).all() else _BEYOND, *_SCALES)
        self._seen += len(values)
        self._above += [int((values > limit).sum()) for limit in limits]
        if self._seen < _ENOUGH:
            return
        rare = self._above <= _RARE * self._seen
        scale = (1.0, *_SCALES)[int(rare.argmax())] if rare.any() else _SCALES[-1]
        self._scale = max(self._scale, scale)
        self._seen, self._above = 0, np.zeros_like(self._above)
