"""Packed files are told by what is written into them, not by their names."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from adasr_trl.core.signatures import SIGNATURE_BYTES, Packing, packing_of


def zipped(data: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("rows.jsonl", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("pack", "packing"),
    [
        (gzip.compress, Packing.GZIP),
        (bz2.compress, Packing.BZIP2),
        (lzma.compress, Packing.XZ),
        (zipped, Packing.ZIP),
    ],
)
def test_what_the_standard_library_packs_is_told_from_its_first_bytes(pack, packing):
    assert packing_of(pack(b'{"id": "a"}\n')[:SIGNATURE_BYTES]) is packing


def test_a_zstandard_file_may_begin_with_a_skippable_frame():
    assert packing_of(b"\x28\xb5\x2f\xfd\x04\x00") is Packing.ZSTANDARD
    assert packing_of(b"\x50\x2a\x4d\x18\x04\x00") is Packing.ZSTANDARD


@pytest.mark.parametrize("start", [b"", b"{", b'{"id":', b"PAR1\x15\x04", b"PK"])
def test_any_other_beginning_is_no_packing(start):
    assert packing_of(start) is None
