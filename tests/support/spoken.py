"""A studio without models: its voice says words as amplitudes, its recogniser reads them, and mishears on request."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.speech.voices import VoiceError
from adasr_trl.speech.words import SAMPLE_RATE, Samples, Word
from data_builders.tools import speak
from data_builders.tools.spoken import Studio
from support.sounds import ToneVoice

_LOW, _STEP, _GAP = 0.1, 1 / 8192, 160


HENS = Episode(
    "hens", "hens", "How many hens has Tom?", ("Tom has 5 hens.",), "5",
    AnswerType.NUMBER, Source("boats", "1", "MIT", "train"), None, ("Tom 5",), "",
)  # fmt: skip


class SpelledStudio(Studio):
    """Says each word in a fifth of a second.

    Attributes:
        misheard: What is heard in place of a word; "" for nothing.
        spoken: Sentences that were spoken.
        prompts: Those of the hypotheses.
        mute: A word whose sentence no voice can say.
    """

    misheard: ClassVar[dict[str, str]] = {}
    spoken: ClassVar[list[str]] = []
    mute: ClassVar[str] = "unspeakable"
    prompts: ClassVar[list[str]] = []
    _words: ClassVar[list[str]] = []
    name, licence = "spelled x1", "CC0"

    def voice(self, drawn):
        return self

    def transcriber(self):
        return self

    def detector(self):
        return ToneVoice()

    def speak(self, text: str) -> Samples:
        self.spoken.append(text)
        if self.mute in text:
            raise VoiceError("the voice has no sound for it.")
        pieces = [np.zeros(0, np.float32)]
        for word in text.split() if any(map(str.isalnum, text)) else ():
            if word not in self._words:
                self._words.append(word)
            sound = np.full(SAMPLE_RATE // 5, _LOW + self._words.index(word) * _STEP, np.float32)
            sound[-_GAP:] = _LOW / 2
            pieces.append(sound)
        return np.concatenate(pieces)

    def transcribe(self, samples: Samples, prompt: str = "") -> Sequence[Word]:
        self.prompts.append(prompt)
        numbers = np.where(samples < _LOW - _STEP / 2, -1, np.rint((samples - _LOW) / _STEP))
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1), len(numbers)]
        words = []
        for start, end in pairwise(edges):
            if numbers[start] >= 0:
                text = self._words[int(numbers[start])] if end < len(numbers) else "cut"
                text = self.misheard.get(text, text)
                if text:
                    words.append(Word(f" {text}", start / SAMPLE_RATE, end / SAMPLE_RATE))
        return words


class SleepingStudio(SpelledStudio):
    """Says that it is at work, and never ends."""

    def listen(self, utterance):
        os.write(1, b"busy\n")
        time.sleep(600)
        raise AssertionError(utterance)


def run_speak(directory, out, *more):
    """``adasr data speak`` without models."""
    parser = argparse.ArgumentParser()
    speak.add_options(parser)
    options = parser.parse_args([str(directory), "--out", str(out), "--recogniser", "m", *more])
    return speak.run(options, studio=SpelledStudio)
