"""Speech without models: each word of a small vocabulary is a level of sound, which a stand-in reads back."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from itertools import groupby

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.speech.process import Recogniser
from adasr_trl.speech.words import SAMPLE_RATE, Word

VOCABULARY = ("Tom", "has", "5", "coins.", "finds", "3", "He", "sings.", "dies", "sleeps")
WORD_SECONDS, GAP_SECONDS = 0.2, 0.1
STEP = 0.02  # of level between words


def spoken(text: str, silence: float = 0.0):
    """The sound of a text, float32 (samples,), and a silence behind it."""
    gap = np.zeros(round(GAP_SECONDS * SAMPLE_RATE), np.float32)
    parts = []
    for word in text.split():
        level = STEP * (VOCABULARY.index(word) + 1)
        parts += [np.full(round(WORD_SECONDS * SAMPLE_RATE), level, np.float32), gap]
    return np.concatenate([*parts, np.zeros(round(silence * SAMPLE_RATE), np.float32)])


class LevelTranscriber:
    """Reads levels."""

    def transcribe(self, samples, prompt=""):
        words, start = [], 0
        levels = np.round(np.abs(samples) / STEP).astype(int)
        for level, run in groupby(levels):
            length = sum(1 for _ in run)
            if level and length > 0.02 * SAMPLE_RATE:
                text = VOCABULARY[level - 1]
                if text == "dies":
                    os._exit(3)
                if text == "sleeps":
                    time.sleep(2)
                if text == "Tom" and "Tim" in prompt:  # a name that the prompt knows
                    text = "Tim"
                words.append(Word(f" {text}", start / SAMPLE_RATE, (start + length) / SAMPLE_RATE))
            start += length
        return words


class LevelVoice:
    """Hears any level."""

    def is_voice(self, frame) -> bool:
        return bool(np.abs(frame).max() > STEP / 2)


def load() -> Recogniser:
    return Recogniser(LevelTranscriber(), LevelVoice)


def refuse() -> Recogniser:
    raise UserError("tiny.en: is no model.")


def load_named(_model: str, _language: str, _threads: int) -> Recogniser:
    """In the place of ``load_recogniser``."""
    return load()


class Devices:
    """In the place of ``sounddevice``: a microphone that says a text."""

    class PortAudioError(Exception):
        pass

    def __init__(self, sound, rate: int = 16_000) -> None:
        self.sound, self.rate = sound, rate

    def query_devices(self, kind: str):
        if self.sound is None:
            raise self.PortAudioError("Error querying device -1")
        return {"default_samplerate": float(self.rate)}

    def RawInputStream(self, callback, blocksize, **_form):  # noqa: N802  # its name there
        return Recording(partial(self._play, callback, blocksize))

    def _play(self, callback, size):
        data = np.round(self.sound * 32_767).astype("<i2").tobytes()
        for start in range(0, len(data), 2 * size):
            callback(data[start : start + 2 * size], size, None, None)


class Recording:
    def __init__(self, play) -> None:
        self._play = play

    def __enter__(self):
        threading.Thread(target=self._play).start()

    def __exit__(self, *_error):
        return
