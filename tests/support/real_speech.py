"""Models of speech for slow tests, by the variables that CONTRIBUTING.md names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adasr_trl.speech.voices import EspeakVoice, PiperVoice, Voice
from adasr_trl.speech.whisper import FasterWhisper


def real_recogniser() -> FasterWhisper:
    path = os.environ.get("ADASR_TEST_RECOGNISER")
    if path is None:
        pytest.skip("set ADASR_TEST_RECOGNISER to a faster-whisper model, a folder or tiny.en")
    return FasterWhisper(path)


def real_voice() -> Voice:
    """The Piper voice of ADASR_TEST_VOICE, else espeak-ng."""
    path = os.environ.get("ADASR_TEST_VOICE")
    return EspeakVoice("en-us", 0.9) if path is None else PiperVoice(Path(path))
