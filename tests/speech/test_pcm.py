"""Sound without a header: pieces that end anywhere, rates, and the laws of telephony."""

from __future__ import annotations

import numpy as np
import pytest

from adasr_trl.speech.encodings import Encoding
from adasr_trl.speech.pcm import PcmDecoder
from support import sound_bytes as sb


def decode(data: bytes, size: int, encoding: Encoding = Encoding.PCM16, rate: int = sb.RATE):
    decoder = PcmDecoder(encoding, rate)
    blocks = [decoder.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return np.concatenate([*blocks, decoder.flush()])


@pytest.mark.parametrize("rate", [16_000, 24_000, 8_000, 48_000])
def test_pieces_that_end_inside_a_sample_give_the_same_sound(rate):
    if rate != sb.RATE:
        pytest.importorskip("av")
    data = sb.pcm(sb.tone(0.3, rate))
    whole = decode(data, len(data), rate=rate)
    assert abs(len(whole) - 0.3 * sb.RATE) < 40
    assert np.abs(whole[500:-500]).max() == pytest.approx(0.5, abs=0.01)
    for size in (1_001, 333):
        assert np.allclose(decode(data, size, rate=rate), whole, atol=1e-4)


def test_half_a_sample_waits_over_a_flush():
    data = sb.pcm(sb.tone(0.1))
    decoder = PcmDecoder(Encoding.PCM16, sb.RATE)
    parts = [decoder.feed(data[:801]), decoder.flush(), decoder.feed(data[801:])]
    assert np.array_equal(np.concatenate(parts), decode(data, len(data)))


def test_the_laws_of_telephony_are_those_of_g_711():
    def values(encoding: Encoding, data: bytes) -> list[int]:
        return [round(value * 32_768) for value in PcmDecoder(encoding, sb.RATE).feed(data)]

    # ITU-T G.711: ends and middle of both laws, scaled to 16 bits
    assert values(Encoding.MU_LAW, b"\x00\x80\xff\x7f\x8f") == [-32124, 32124, 0, 0, 16764]
    assert values(Encoding.A_LAW, b"\x2a\xaa\xd5\x55\x80") == [-32256, 32256, 8, -8, 5504]


def test_telephony_is_resampled():
    pytest.importorskip("av")
    wav = sb.encoded(sb.tone(0.5, 8_000), "wav", "pcm_mulaw", 8_000)
    body = wav[wav.index(b"data") + 8 :]
    samples = decode(body, 160, Encoding.MU_LAW, 8_000)
    assert np.abs(samples[500:-500]).max() == pytest.approx(0.5, abs=0.03)


def test_no_bytes_are_no_samples():
    assert len(decode(b"", 1, rate=24_000)) == len(decode(b"\x01", 1, rate=24_000)) == 0


TONE = sb.tone(0.1)
STEREO = np.stack([TONE, TONE], 1)


@pytest.mark.parametrize(
    ("encoding", "data", "channels"),
    [
        (Encoding.PCM8, sb.pcm(TONE, 8), 1),
        (Encoding.PCM24, sb.pcm(TONE, 24), 1),
        (Encoding.PCM32, sb.pcm(TONE, 32), 1),
        (Encoding.FLOAT32, TONE.astype("<f4").tobytes(), 1),
        (Encoding.FLOAT64, TONE.astype("<f8").tobytes(), 1),
        (Encoding.PCM16, sb.pcm(STEREO), 2),
        (Encoding.PCM24, sb.pcm(STEREO, 24), 2),
    ],
)
@pytest.mark.parametrize("size", [7, 10_000])
def test_every_form_of_samples_is_read_in_pieces_of_any_size(encoding, data, channels, size):
    decoder = PcmDecoder(encoding, sb.RATE, channels)
    blocks = [decoder.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert np.abs(np.concatenate(blocks) - TONE).max() < 0.01
