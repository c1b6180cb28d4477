"""Texts as synthesisers get them, and espeak-ng where it is installed."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.speech import voices
from adasr_trl.speech.recognition import StreamingRecogniser
from adasr_trl.speech.spoken_form import foreign_letter, pieces_of, speakable
from adasr_trl.speech.voice_activity import SileroVoice
from adasr_trl.speech.voices import EspeakVoice, PiperVoice, resampled
from adasr_trl.speech.words import SAMPLE_RATE, text_of
from support.real_speech import real_recogniser, real_voice

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("$5, $1 or $0.99", "5 dollars, 1 dollar or 0 dollars and 99 cents"),
        ("$1,200.50.", "1,200 dollars and 50 cents."),
        ("$500, $3.00", "500 dollars, 3 dollars"),
        ("$2.5 million and $260 million", "2.5 million dollars and 260 million dollars"),
        ("1/2, 3/4 and 2 1/3", "1 half, 3 quarters and 2 and 1 third"),
        ("5/2 of 3/13, on 3/4/2020", "5 halves of 3 over 13, on 3/4/2020"),
        ("Mr. Lee Jr. met Dr. Ray", "Mister Lee junior met Doctor Ray"),
        ("[[h@l'oU]] hi \x01 50s \x00", "h@l'oU hi 50s"),
        ("<speak><break time='9s'/>Hi</speak>", "Hi"),
        ("3 < 5 and 7 > 2", "3 is less than 5 and 7 is greater than 2"),
        (
            "-5\u00b0F, then \u22123 \u00b0C and 70\u00b0",
            "minus 5 degrees Fahrenheit, then minus 3 degrees Celsius and 70 degrees",
        ),
        (
            "3 + 4 = 7, 5-3=2, 5 - 3 and 3 \u00d7 4 \u00f7 2*6",
            "3 plus 4 equals 7, 5 minus 3 equals 2, 5 minus 3 and 3 times 4 divided by 2 times 6",
        ),
        (
            "\u00a35.50, \u20ac1, -$3, \u00a520 and 5\u00a2",
            "5 pounds and 50 pence, 1 euro, minus 3 dollars, 20 yen and 5 cents",
        ),
        ("\u00bd, 2\u00bd and 1 1/2", "1 half, 2 and a half and 1 and a half"),
        (
            "5-10 days, 2019\u20132020, 555-1234, 3-4-5, 5-3",
            "5 to 10 days, 2019 to 2020, 555-1234, 3-4-5, 5-3",
        ),
        ("5:00, 5:00 p.m., 5:30", "5 o'clock, 5 p.m., 5:30"),
        ("20 % of #5 & 1,5,7; 1,000,000", "20 percent of number 5 and 1, 5, 7; 1,000,000"),
        ("Tom\u2019s dog didn\u2019t", "Tom's dog didn't"),
        ("\U0001f600 hi \U0001f44d\U0001f3fd \u2192 co\u00adop\u2122", "hi coop"),
        ("a - b, C++, 5+ years, - 5 coins, X-5", "a - b, C++, 5+ years, - 5 coins, X-5"),
        ("half a \ud800pair\n\tof  lines", "half a pair of lines"),
    ],
)
def test_a_text_is_spoken_as_people_say_it_and_gives_no_commands(text, spoken) -> None:
    assert speakable(text) == spoken


def test_a_long_text_is_spoken_in_pieces_without_what_cannot_be_read() -> None:
    assert [len(piece) for piece in pieces_of("a" * 700)] == [300, 300, 100]
    assert max(map(len, pieces_of("word " * 1500))) <= 300
    assert " ".join(pieces_of("word " * 1500)).split() == ["word"] * 1500
    assert pieces_of("-- ... ?! \u2014 \U0001f642 \u200b") == pieces_of("") == []


def test_letters_that_an_english_voice_only_names_are_found() -> None:
    assert foreign_letter("Caf\u00e9 \u03c0 5 \u00b5m \U0001f642 1,000") is None
    assert foreign_letter("He has \u4e09 apples") == "\u4e09"
    assert foreign_letter("\u041f\u0440\u0438\u0432\u0435\u0442") == "\u041f"


def test_a_missing_program_or_voice_is_one_line_that_says_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(voices.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"apt-get install espeak-ng.*--voice FILE.onnx"):
        EspeakVoice("en-us")
    with pytest.raises(UserError, match=r"joe.onnx: no such file; expected a Piper voice"):
        PiperVoice(tmp_path / "joe.onnx")


def test_a_voice_that_looks_like_an_option_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(voices.shutil, "which", str)
    with pytest.raises(UserError, match="expected a voice of espeak-ng"):
        EspeakVoice("-w/tmp/x")


def test_sound_of_any_rate_becomes_16_kilohertz_of_the_same_length_and_pitch() -> None:
    pytest.importorskip("av")
    times = np.arange(22_050) / 22_050
    sound = resampled(np.sin(2 * np.pi * 440 * times).astype(np.float32), 22_050)
    assert len(sound) == pytest.approx(SAMPLE_RATE, abs=64)
    assert np.argmax(np.abs(np.fft.rfft(sound))) == pytest.approx(440, abs=2)
    assert resampled(np.zeros(0, np.float32), 22_050).shape == (0,)


@needs_espeak
def test_an_unknown_voice_is_one_line_before_anything_is_spoken() -> None:
    with pytest.raises(UserError, match=r"refuses it.*--voices=en.*FILE.onnx"):
        EspeakVoice("en_US-joe-medium")


@needs_espeak
def test_espeak_speaks_whatever_a_text_begins_with(tmp_path) -> None:
    pytest.importorskip("av")
    voice, target = EspeakVoice("en-us"), tmp_path / "x.wav"
    for text in (f"-w{target} hello", "--version", "-h", "'quoted' \"text\"", "`id` $(id); x"):
        assert len(voice.speak(text)) > SAMPLE_RATE // 4
    assert not target.exists()
    assert len(voice.speak("...")) == len(voice.speak("")) == 0
    assert np.array_equal(voice.speak("Tom has 5."), voice.speak("Tom has 5."))


@pytest.mark.slow
def test_a_real_voice_is_understood_by_a_real_recogniser_and_silence_is_not() -> None:
    """Whisper hears "Thank you" in silence, and repeats itself in noise."""
    transcriber, voice = real_recogniser(), real_voice()
    sound = voice.speak("The child has five apples. She finds seven more apples.")
    quiet = np.zeros(3 * SAMPLE_RATE, np.float32)
    stream = StreamingRecogniser(transcriber, SileroVoice())
    words = (*stream.feed(np.concatenate((quiet, sound, quiet, quiet))), *stream.finish())
    said = re.sub("[.,]", "", text_of(words).lower()).replace("five", "5").replace("seven", "7")
    assert said.split() == [
        "the",
        "child",
        "has",
        "5",
        "apples",
        "she",
        "finds",
        "7",
        "more",
        "apples",
    ]
    assert words[0].start_seconds == pytest.approx(3.0, abs=0.5)
    noise = np.random.default_rng(0).normal(0, 0.02, 10 * SAMPLE_RATE).astype(np.float32)
    for sound in (quiet, noise):
        stream = StreamingRecogniser(transcriber, SileroVoice())
        assert (*stream.feed(sound), *stream.finish()) == ()
    assert np.array_equal(voice.speak("Tom has 5."), voice.speak("Tom has 5."))
