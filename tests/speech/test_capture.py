"""Sound through a pipe: as it comes, whatever its header says."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from adasr_trl.speech.capture import piped
from adasr_trl.speech.sound import SoundError
from adasr_trl.speech.sound_files import read_sound
from support import sound_bytes as sb

pytest.importorskip("av")
TONE = sb.tone(0.5)
FORMS = {
    "16 bits": sb.wav(sb.pcm(TONE)),
    "24 bits, extensible": sb.wav(sb.pcm(TONE, 24), bits=24, extensible=True),
    "8 bits": sb.wav(sb.pcm(TONE, 8), bits=8),
    "float": sb.wav(TONE.astype("<f4").tobytes(), sb.FLOAT, bits=32),
    "stereo, 44.1 kHz": sb.wav(
        sb.pcm(np.stack([sb.tone(0.5, 44_100)] * 2, 1)), channels=2, rate=44_100
    ),
    "size unknown": sb.wav(sb.pcm(TONE), size=0xFFFFFFFF),
    "size 0": sb.wav(sb.pcm(TONE), size=0),
    "RF64": sb.rf64(sb.pcm(TONE)),
    "chunks around": sb.wav(sb.pcm(TONE), before=sb.chunk(b"LIST", b"INFOISFT odd"))
    + sb.chunk(b"id3 ", b"\xff" * 99),
    "cut off": sb.wav(sb.pcm(sb.tone(3.0)))[: 44 + sb.RATE],
    "24 bits in 4 bytes": sb.wav(sb.padded(TONE, 24), bits=24, sample_bytes=4),
    "16 bits with a stereo frame's size": sb.wav(sb.pcm(TONE), sample_bytes=4),
    "two, one behind the other": sb.wav(sb.pcm(TONE)) + sb.wav(sb.pcm(TONE)),
    "FLAC": sb.encoded(TONE, "flac", "flac"),
    "ADPCM": sb.encoded(TONE, "wav", "adpcm_ms"),
}


def through_a_pipe(data: bytes, rate: int | None = None):
    reading, writing = os.pipe()

    def write() -> None:
        for start in range(0, len(data), 777):
            os.write(writing, data[start : start + 777])
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return np.concatenate(list(piped(reading, "standard input", rate, threading.Event())))
    finally:
        thread.join()
        os.close(reading)


@pytest.mark.parametrize("form", FORMS)
def test_a_pipe_gives_the_samples_of_the_file(tmp_path, form):
    path = tmp_path / "sound"
    path.write_bytes(FORMS[form])
    piece, whole = through_a_pipe(FORMS[form]), read_sound(path)
    assert abs(len(piece) - len(whole)) < 20
    length = min(len(piece), len(whole))
    assert np.abs(piece[:length] - whole[:length]).max() < 0.01


@pytest.mark.parametrize("form", ["16 bits", "size unknown", "8 bits"])
def test_a_block_comes_before_the_next_one_is_written(form):
    reading, writing = os.pipe()
    blocks = piped(reading, "standard input", None, threading.Event())
    os.write(writing, FORMS[form][:1_000])
    assert len(next(blocks)) > 400
    os.write(writing, FORMS[form][1_000:1_500])
    assert len(next(blocks)) > 200
    os.close(writing)
    os.close(reading)


@pytest.mark.parametrize(
    ("data", "rate", "reason"),
    [
        (b"", 16_000, "ended without any sound"),
        (b"", None, "holds no sound"),
        (b"Tom has 5 coins.\n" * 99, None, "for sound without a header give its rate with --rate"),
        (
            sb.encoded(sb.tone(60.0), "mp4", "aac", sb.RATE),  # more than FFmpeg reads ahead
            None,
            "index is at its end must be given by its path",
        ),
        (sb.wav(b"", size=0), None, "ended without any sound"),
        (sb.wav(sb.pcm(TONE)), 16_000, "has the header of a WAV; leave --rate out"),
    ],
)
def test_a_pipe_without_sound_is_refused(data, rate, reason):
    with pytest.raises(SoundError, match=reason):
        through_a_pipe(data, rate)


def test_a_sound_of_known_length_ends_though_its_pipe_stays_open():
    reading, writing = os.pipe()
    os.write(writing, FORMS["16 bits"])
    blocks = list(piped(reading, "standard input", None, threading.Event()))
    assert len(np.concatenate(blocks)) == len(TONE)
    os.close(writing)
    os.close(reading)


def test_a_stop_ends_a_pipe_in_which_nothing_comes():
    reading, writing = os.pipe()
    stop = threading.Event()
    stop.set()
    assert sum(map(len, piped(reading, "standard input", None, stop))) == 0
    os.close(reading)
    os.close(writing)
