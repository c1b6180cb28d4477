r"""Kinds of files, told by their first bytes: parquet, and what is packed in a way that Python can unpack.

>>> packing_of(b"\x1f\x8b\x08\x00")
<Packing.GZIP: 'gzip'>
>>> packing_of(b'{"id": "a"}') is None
True
"""

from __future__ import annotations

from enum import Enum

PARQUET = b"PAR1"
SIGNATURE_BYTES = 6  # of a file, that tell its kind


class Packing(Enum):
    """A compression, or an archive of one file."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZIP = "zip"
    ZSTANDARD = "zstd"


_SIGNATURES = {
    b"\x1f\x8b": Packing.GZIP,
    b"BZh": Packing.BZIP2,
    b"\xfd7zXZ\x00": Packing.XZ,
    b"PK\x03\x04": Packing.ZIP,
    b"\x28\xb5\x2f\xfd": Packing.ZSTANDARD,
}
_SKIPPABLE = b"\x2a\x4d\x18"  # of a skippable frame, with which a Zstandard file may begin; from its second byte on


def packing_of(start: bytes) -> Packing | None:
    """The packing of a file that begins so, with at least ``SIGNATURE_BYTES`` if it has them; None for any other file."""
    if start[1:4] == _SKIPPABLE:
        return Packing.ZSTANDARD
    kinds = (kind for signature, kind in _SIGNATURES.items() if start.startswith(signature))
    return next(kinds, None)
