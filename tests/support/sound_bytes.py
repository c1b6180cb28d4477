"""Sound as bytes: WAV in its many forms, written here byte by byte."""

from __future__ import annotations

import struct

import numpy as np

RATE = 16_000
PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0, peak: float = 0.5):
    """A sine, float64 (samples,)."""
    return peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def pcm(samples, bits: int = 16) -> bytes:
    """Little-endian integers; 8 bits are unsigned, as in WAV."""
    if bits == 8:
        return np.round(samples * 127 + 128).astype(np.uint8).tobytes()
    whole = np.round(samples * (2 ** (bits - 1) - 1)).astype("<i4")
    if bits == 24:
        return whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return whole.astype(f"<i{bits // 8}").tobytes()


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return (
        name
        + struct.pack("<I", len(body) if size is None else size)
        + body
        + b"\0" * (len(body) % 2)
    )


def form(
    kind: int,
    channels: int,
    rate: int,
    bits: int,
    *,
    extensible: bool = False,
    sample_bytes: int | None = None,
) -> bytes:
    frame = channels * (sample_bytes or bits // 8)
    head = EXTENSIBLE if extensible else kind
    body = struct.pack("<HHIIHH", head, channels, rate, rate * frame, frame, bits)
    if extensible:
        wide = 8 * (sample_bytes or bits // 8)  # of which so many bits are valid
        body = body[:14] + struct.pack("<HHHIH", wide, 22, bits, 0, kind) + _GUID_TAIL
    return chunk(b"fmt ", body)


def wav(
    data: bytes,
    kind: int = PCM,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    *,
    extensible: bool = False,
    size: int | None = None,
    before: bytes = b"",
    sample_bytes: int | None = None,
) -> bytes:
    """A file; ``size`` is what its header says of the data, as a program says that writes to a pipe."""
    described = form(kind, channels, rate, bits, extensible=extensible, sample_bytes=sample_bytes)
    body = b"WAVE" + described + before
    body += chunk(b"data", data, size)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def rf64(data: bytes, rate: int = RATE) -> bytes:
    """A file with sizes of 64 bits."""
    unknown = 0xFFFFFFFF
    sizes = struct.pack("<QQQI", len(data) + 72, len(data), len(data) // 2, 0)
    body = b"WAVE" + chunk(b"ds64", sizes) + form(PCM, 1, rate, 16)
    return b"RF64" + struct.pack("<I", unknown) + body + chunk(b"data", data, unknown)


def padded(samples, bits: int, *, upper: bool = True) -> bytes:
    """Integers in 4 bytes each, in the upper ones as WAV has them, or in the lower ones."""
    whole = np.round(samples * (2 ** (bits - 1) - 1)).astype("<i4")
    return (whole << (32 - bits) if upper else whole).tobytes()


def encoded(samples, container: str, codec: str, rate: int = RATE, layout: str = "mono") -> bytes:
    """Another format, by PyAV; (samples,), or (samples, channels)."""
    import io

    import av

    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.round(samples * 32767).astype(np.int16).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return out.getvalue()
