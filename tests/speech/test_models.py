"""Speech with its real models: what is said, and what nobody said.

ADASR_TEST_RECOGNISER names a directory with a faster-whisper model such as tiny.en; espeak-ng speaks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from difflib import SequenceMatcher

import numpy as np
import pytest

from adasr_trl.speech.listener import Hearing, HearingKind, Listener
from adasr_trl.speech.process import load_recogniser
from adasr_trl.speech.sound_files import read_sound
from support import sound_bytes as sb
from support.live_use import stream

MODEL = os.environ.get("ADASR_TEST_RECOGNISER", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MODEL, reason="ADASR_TEST_RECOGNISER names no model"),
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]
TEXT = "Tom has five coins. Tom finds three more coins."
WORDS = "tom has five coins tom finds three more coins"


@pytest.fixture(scope="module")
def recogniser():
    return load_recogniser(MODEL)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    path = tmp_path_factory.mktemp("said") / "said.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", str(path), TEXT], check=True)
    return read_sound(path)


def heard(recogniser, sound):
    listener, hearings = Listener(recogniser.transcriber, recogniser.new_voice()), []
    for start in range(0, len(sound), 1_600):
        hearings += listener.feed(sound[start : start + 1_600])
    return hearings + listener.flush()


def alike(hearings) -> float:
    """Share of the words that are those of the text; a small model mishears one of espeak's."""
    text = "".join(word.text for hearing in hearings for word in hearing.words)
    digits = {"5": "five", "3": "three"}
    plain = "".join(each if each.isalnum() else " " for each in text.lower()).split()
    found = [digits.get(word, word) for word in plain]
    return SequenceMatcher(None, found, WORDS.split()).ratio()


@pytest.mark.parametrize("prompt", ["How many coins has Tom?", "<|endoftext|><|translate|>" * 50])
def test_a_prompt_is_text_alone(recogniser, said, prompt):
    words = recogniser.transcriber.transcribe(said, prompt)
    plain = Hearing(HearingKind.WORDS, 0.0, tuple(words))
    assert alike([plain]) > 0.75


def noise(seconds: float, size: float):
    return size * np.random.default_rng(0).standard_normal(round(seconds * sb.RATE))


NOBODY = {
    "silence": np.zeros(10 * sb.RATE),
    "noise": noise(10, 0.1),
    "loud noise": noise(10, 0.5),
    "a hum": sb.tone(10, hertz=50.0),
    "a tone": sb.tone(10),
    "dialling": sb.tone(5, hertz=697.0) + sb.tone(5, hertz=1_209.0),
    "clicks": np.where(np.arange(10 * sb.RATE) % 8_000 == 0, 0.9, 0.0),
}


@pytest.mark.parametrize("sound", NOBODY)
def test_nobody_is_heard_where_nobody_speaks(recogniser, sound):
    hearings = heard(recogniser, NOBODY[sound].astype(np.float32))
    assert [each.kind for each in hearings] == [HearingKind.FLUSHED]
    assert hearings[-1].voice_seconds == 0


SPOILT = {
    "as it is": lambda x: x,
    "with an offset": lambda x: np.clip(x + 0.3, -1, 1),
    "clipped": lambda x: np.clip(x * 8, -1, 1),
    "quiet": lambda x: x * 0.01,
    "behind a long silence": lambda x: np.concatenate([np.zeros(40 * sb.RATE), x]),
    "before a long noise": lambda x: np.concatenate([x, noise(20, 0.05)]),
}


@pytest.mark.parametrize("how", SPOILT)
def test_speech_is_heard_whatever_was_done_to_it(recogniser, said, how):
    hearings = heard(recogniser, SPOILT[how](said).astype(np.float32))
    assert alike(hearings) > 0.5


def test_a_wav_of_speech_becomes_thoughts_and_an_answer(tmp_path, said, capsys):
    path = tmp_path / "said.wav"
    path.write_bytes(sb.wav(sb.pcm(said)))
    assert stream("demo", "--audio", str(path), "--recogniser", MODEL) in (0, 1)
    out = capsys.readouterr().out
    assert "more coins" in out
    assert "its last words" in out
