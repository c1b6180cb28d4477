"""Forms of samples, and their size.

>>> BYTES[Encoding.PCM24]
3
"""

from __future__ import annotations

from enum import Enum


class Encoding(Enum):
    """Form of the samples."""

    PCM8 = "unsigned 8 bits"
    PCM16 = "16 bits"
    PCM24 = "24 bits"
    PCM32 = "32 bits"
    FLOAT32 = "float of 32 bits"
    FLOAT64 = "float of 64 bits"
    MU_LAW = "mu-law"
    A_LAW = "A-law"


BYTES = {  # a sample
    Encoding.PCM8: 1,
    Encoding.PCM16: 2,
    Encoding.PCM24: 3,
    Encoding.PCM32: 4,
    Encoding.FLOAT32: 4,
    Encoding.FLOAT64: 8,
    Encoding.MU_LAW: 1,
    Encoding.A_LAW: 1,
}
