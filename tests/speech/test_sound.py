"""Sound of files and pipes: every form of WAV, other formats, and what is no sound."""

from __future__ import annotations

import numpy as np
import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.speech.sound import SoundError, decoded
from adasr_trl.speech.sound_files import read_sound, sound_blocks
from adasr_trl.speech.wav_header import read_header
from adasr_trl.speech.wav_sound import wav_blocks
from support import sound_bytes as sb

pytest.importorskip("av")


def read(tmp_path, data: bytes, name: str = "sound.wav"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_sound(path)


def is_tone(samples, seconds: float = 1.0, hertz: float = 440.0, peak: float = 0.5) -> bool:
    """Whether the samples are that sine at 16 kHz, as far as a resampler and 8 bits leave it."""
    assert samples.dtype == np.float32
    assert abs(len(samples) / sb.RATE - seconds) < 0.01
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    loudest = spectrum.argmax() * sb.RATE / len(middle)
    return abs(loudest - hertz) < 4 and abs(np.abs(middle).max() - peak) < 0.03


TONE = sb.tone()
FORMS = {
    "8 bits": sb.wav(sb.pcm(TONE, 8), bits=8),
    "16 bits": sb.wav(sb.pcm(TONE)),
    "24 bits": sb.wav(sb.pcm(TONE, 24), bits=24),
    "32 bits": sb.wav(sb.pcm(TONE, 32), bits=32),
    "float": sb.wav(TONE.astype("<f4").tobytes(), sb.FLOAT, bits=32),
    "double": sb.wav(TONE.astype("<f8").tobytes(), sb.FLOAT, bits=64),
    "extensible, 24 bits": sb.wav(sb.pcm(TONE, 24), bits=24, extensible=True),
    "extensible, float": sb.wav(TONE.astype("<f4").tobytes(), sb.FLOAT, bits=32, extensible=True),
    "8 kHz": sb.wav(sb.pcm(sb.tone(rate=8_000)), rate=8_000),
    "11.025 kHz": sb.wav(sb.pcm(sb.tone(rate=11_025)), rate=11_025),
    "24 kHz": sb.wav(sb.pcm(sb.tone(rate=24_000)), rate=24_000),
    "44.1 kHz": sb.wav(sb.pcm(sb.tone(rate=44_100)), rate=44_100),
    "192 kHz": sb.wav(sb.pcm(sb.tone(rate=192_000)), rate=192_000),
    "stereo": sb.wav(sb.pcm(np.stack([TONE, TONE], 1)), channels=2),
    "six channels": sb.wav(sb.pcm(np.stack([TONE] * 6, 1)), channels=6, extensible=True),
    "a pipe's sizes": sb.wav(sb.pcm(TONE), size=0xFFFFFFFF),
    "sizes of 0": sb.wav(sb.pcm(TONE), size=0),
    "sizes of 2 GiB": sb.wav(sb.pcm(TONE), size=0x7FFFF000),
    "RF64": sb.rf64(sb.pcm(TONE)),
    "a list chunk before the data": sb.wav(sb.pcm(TONE), before=sb.chunk(b"LIST", b"INFOISFT odd")),
    "24 bits in 4 bytes": sb.wav(sb.padded(TONE, 24), bits=24, sample_bytes=4, extensible=True),
    "24 bits in 4 bytes, plain": sb.wav(sb.padded(TONE, 24), bits=24, sample_bytes=4),
    "24 bits in the lower 3 of 4 bytes": sb.wav(
        sb.padded(TONE, 24, upper=False), bits=24, sample_bytes=4
    ),
    "24 bits in 4 bytes, stereo": sb.wav(
        sb.padded(np.stack([TONE, TONE], 1), 24), channels=2, bits=24, sample_bytes=4
    ),
    "16 bits in 4 bytes": sb.wav(sb.padded(TONE, 16), sample_bytes=4),
    "16 bits with a stereo frame's size": sb.wav(sb.pcm(TONE), sample_bytes=4),
    "24 bits with a wrong frame's size": sb.wav(sb.pcm(TONE, 24), bits=24, sample_bytes=4),
    "silence, then 24 bits in 4 bytes": sb.wav(
        sb.padded(TONE * (np.arange(len(TONE)) > 900), 24), bits=24, sample_bytes=4
    ),
    "floats as Cool Edit wrote them": sb.wav(
        (32_768 * TONE).astype("<f4").tobytes(), sample_bytes=4
    ),
    "12 bits": sb.wav(sb.pcm(TONE), bits=12, sample_bytes=2),
    "no frame's size": sb.wav(sb.pcm(TONE)).replace(b"\x02\0\x10\0data", b"\0\0\x10\0data"),
    "an odd byte behind the data": sb.wav(sb.pcm(TONE) + b"\1"),
    "16 channels": sb.wav(sb.pcm(np.stack([TONE] * 16, 1)), channels=16, extensible=True),
    "an odd chunk without its zero": sb.wav(
        sb.pcm(TONE), before=sb.chunk(b"LIST", b"INFOISFT odd!")[:-1]
    ),
    "two pieces of sound": sb.wav(sb.pcm(TONE)[:12_000]) + sb.chunk(b"data", sb.pcm(TONE)[12_000:]),
    "floats under the name of integers": sb.wav(TONE.astype("<f4").tobytes(), bits=32),
    "integers under the name of floats": sb.wav(sb.pcm(TONE, 32), sb.FLOAT, bits=32),
    "cut off": sb.wav(sb.pcm(sb.tone(3.0)))[: 44 + 2 * sb.RATE],
    "cut off inside a sample": sb.wav(sb.pcm(sb.tone(3.0)))[: 45 + 2 * sb.RATE],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_wav_is_the_same_tone(tmp_path, form):
    assert is_tone(read(tmp_path, FORMS[form]))


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus"), ("ipod", "aac")],
)
def test_other_formats_are_read_whatever_their_name_says(tmp_path, container, codec):
    rate = 48_000 if codec == "libopus" else sb.RATE
    samples = read(tmp_path, sb.encoded(sb.tone(2.0, rate), container, codec, rate), "sound.wav")
    assert is_tone(samples[: 2 * sb.RATE], seconds=len(samples[: 2 * sb.RATE]) / sb.RATE)
    assert abs(len(samples) - 2 * sb.RATE) < 0.15 * sb.RATE


@pytest.mark.parametrize(
    ("container", "codec", "rate"), [("flac", "flac", sb.RATE), ("ogg", "libopus", 48_000)]
)
def test_eight_channels_are_read(tmp_path, container, codec, rate):
    eight = np.stack([sb.tone(2.0, rate)] * 8, 1)
    data = sb.encoded(eight, container, codec, rate, "7.1")
    assert is_tone(read(tmp_path, data)[: 2 * sb.RATE], seconds=2.0)


def test_sounds_one_behind_another_are_one(tmp_path):
    pictures = sb.chunk(b"id3 ", b"\0" * (2 << 20))
    first = sb.wav(sb.pcm(TONE)) + sb.chunk(b"LIST", b"INFOISFT odd") + pictures
    second = sb.wav(sb.pcm(sb.tone(rate=44_100), 24), rate=44_100, bits=24)
    assert is_tone(read(tmp_path, first + second), seconds=2.0)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0])
def test_a_sound_behind_one_of_unknown_length_is_no_noise(tmp_path, size):
    first = sb.wav(sb.pcm(TONE), size=size)
    second = sb.wav(sb.pcm(sb.tone(rate=24_000)), rate=24_000, size=size)
    for odd in (b"", b"R"):  # of a writer that was cut off
        assert is_tone(read(tmp_path, first + odd + second + b"RIF"), seconds=2.0)


class Pipe:
    """Bytes in pieces of any size, without a way back."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def read(self, size: int) -> bytes:
        size = min(size, self._size)
        data, self._data = self._data[:size], self._data[size:]
        return data


class Bytes(Pipe):
    """Such bytes, of which some can be put back."""

    def put_back(self, data: bytes) -> None:
        self._data = data + self._data

    def is_ready(self, _seconds: float) -> bool:
        return True


@pytest.mark.parametrize("size", [1, 5, 15, 4_097])
def test_a_header_inside_a_stream_is_found_wherever_its_pieces_end(size):
    tone = sb.pcm(sb.tone(0.2))
    source = Bytes(sb.wav(tone, size=0xFFFFFFFF) * 2 + sb.wav(tone), size)
    blocks = list(wav_blocks(source, read_header(source, "pipe"), "pipe"))
    assert np.abs(np.concatenate(blocks) - np.tile(sb.tone(0.2), 3)).max() < 1e-4


def test_samples_that_contradict_their_header_are_pointed_out(tmp_path, caplog):
    for form in ("floats under the name of integers", "integers under the name of floats"):
        caplog.clear()
        read(tmp_path, FORMS[form])
        assert "its header says" in caplog.text
    for form in ("32 bits", "float"):
        caplog.clear()
        read(tmp_path, FORMS[form])
        assert not caplog.text


def test_what_stands_behind_a_stated_end_is_pointed_out(tmp_path, caplog):
    assert len(read(tmp_path, sb.wav(sb.pcm(TONE), size=36))) == 18
    assert "goes on behind the end that its header gives" in caplog.text


def test_telephones_mu_law_and_a_law_are_read(tmp_path):
    for codec in ("pcm_mulaw", "pcm_alaw"):
        data = sb.encoded(sb.tone(rate=8_000), "wav", codec, 8_000)
        assert is_tone(read(tmp_path, data))


def test_channels_that_cancel_each_other_are_not_silence(tmp_path):
    assert is_tone(read(tmp_path, sb.wav(sb.pcm(np.stack([TONE, -TONE], 1)), channels=2)))


def test_floats_that_are_no_numbers_are_silence_and_are_counted(tmp_path, caplog):
    values = TONE.astype("<f4")
    values[100:103] = np.nan, np.inf, -np.inf
    samples = read(tmp_path, sb.wav(values.tobytes(), sb.FLOAT, bits=32))
    assert np.isfinite(samples).all()
    assert is_tone(samples)
    assert "3 samples are no numbers" in caplog.text


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_floats_in_the_range_of_integers_are_scaled(tmp_path, bits):
    values = (2 ** (bits - 1) * TONE).astype("<f4")
    assert is_tone(read(tmp_path, sb.wav(values.tobytes(), sb.FLOAT, bits=32)))


def test_a_quiet_beginning_in_the_range_of_integers_stays_quiet(tmp_path):
    hiss = np.random.default_rng(0).integers(-3, 4, sb.RATE)
    values = np.concatenate([hiss, np.rint(32_767 * TONE)]).astype("<f4")
    samples = read(tmp_path, sb.wav(values.tobytes(), sb.FLOAT, bits=32))
    assert np.abs(samples[: sb.RATE]).max() < 0.001
    assert is_tone(samples[sb.RATE :])


@pytest.mark.parametrize("wrong", [9.0, 3e38])
def test_a_single_wrong_float_does_not_silence_the_rest(tmp_path, wrong):
    values = np.concatenate([[wrong], TONE, [wrong]]).astype("<f4")
    assert is_tone(read(tmp_path, sb.wav(values.tobytes(), sb.FLOAT, bits=32)))


def test_floats_beyond_full_scale_are_clipped(tmp_path):
    samples = read(tmp_path, sb.wav((3 * TONE).astype("<f4").tobytes(), sb.FLOAT, bits=32))
    assert np.abs(samples).max() == 1.0


def test_a_file_that_is_shorter_than_its_header_says_is_read_and_pointed_out(tmp_path, caplog):
    read(tmp_path, FORMS["cut off"])
    assert "is cut off: 32044 of 96044 bytes are there" in caplog.text
    caplog.clear()
    for form in ("a pipe's sizes", "sizes of 0", "16 bits"):
        read(tmp_path, FORMS[form])
    assert not caplog.text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no sound"),
        (b"Tom has 5 coins. Tom finds 3 coins.\n" * 200, "holds no sound"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "holds no sound"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "holds no sound"),
        (bytes(range(256)) * 64, "holds no sound"),
        (sb.wav(b""), "holds no samples"),
        (sb.wav(sb.pcm(TONE))[:30], "holds no s"),
        (b"RIFF\xff\xff\xff\xffAVI LIST", "holds no sound"),
        (b"RIFX" + sb.wav(sb.pcm(TONE))[4:], "is big-endian WAV"),
        (sb.wav(sb.pcm(TONE), rate=0), "holds no sound"),
        (sb.wav(sb.pcm(TONE), channels=0), "holds no samples"),
        (sb.wav(sb.pcm(TONE), kind=0), "holds no samples"),
    ],
    ids=[
        "empty",
        "text",
        "playlist",
        "concat",
        "bytes",
        "no samples",
        "half a header",
        "AVI",
        "big-endian",
        "rate 0",
        "no channels",
        "no codec",
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path, data, reason):
    with pytest.raises(SoundError) as refusal:
        read(tmp_path, data)
    assert reason in str(refusal.value)
    assert "sound.wav" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_blocks_are_the_whole_sound(tmp_path):
    path = tmp_path / "sound.wav"
    path.write_bytes(FORMS["44.1 kHz"])
    blocks = list(sound_blocks(path))
    assert len(blocks) > 3
    assert np.array_equal(np.concatenate(blocks), read_sound(path))


PIPED = ("a pipe's sizes", "44.1 kHz", "8 bits", "float")


@pytest.mark.parametrize(
    ("form", "size"),
    [("8 bits", 1), *((form, size) for form in PIPED for size in (7, 44, 4_097, 1_000_000))],
)
def test_a_pipe_is_read_in_pieces_of_any_size(form, size):
    assert is_tone(np.concatenate(list(decoded(Pipe(FORMS[form], size), "standard input"))))


@pytest.mark.parametrize("name", ["missing.wav", "."])
def test_a_missing_file_and_a_directory_are_one_line_before_anything_is_loaded(
    tmp_path, capsys, name
):
    command = ["stream", "demo", "--question", "How many?", "--audio", str(tmp_path / name)]
    assert adasr(command) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert str(tmp_path / name).rstrip(".") in lines[0]
