"""Sound that says its own words: the amplitude of a stretch of samples is the number of a word."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from adasr_trl.speech.words import SAMPLE_RATE, Samples, Word

SECOND = SAMPLE_RATE
_STEP = 1 / 32  # of the amplitude from word to word
_GAP = 160  # samples of a lower amplitude that end a word


def say(seconds: float, *, word: int = 1) -> Samples:
    """A stretch that says ``w1``, or another word."""
    sound = np.full(round(seconds * SAMPLE_RATE), word * _STEP, np.float32)
    sound[-_GAP:] = _STEP / 2
    return sound


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


class ToneVoice:
    """Whatever is not silence is voice."""

    def is_voice(self, frame: Samples) -> bool:
        return bool(frame.any())


class ToneTranscriber:
    """Reads the words of ``say``; one that is cut off by the start or the end of the sound is misheard."""

    def __init__(self) -> None:
        self.longest = 0

    def transcribe(self, samples: Samples, prompt: str = "") -> Sequence[Word]:
        self.longest = max(self.longest, len(samples))
        numbers = np.floor(samples / _STEP + 1e-3).astype(int)  # 0 in a gap or in silence
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1), len(numbers)]
        words = []
        for start, end in pairwise(edges):
            if numbers[start]:
                text = f" w{numbers[start]}" if end < len(numbers) else " cut"
                words.append(Word(text, start / SAMPLE_RATE, end / SAMPLE_RATE))
        return words


class ScriptedTranscriber:
    """Gives one hypothesis a call; a word takes a fifth of a second."""

    def __init__(self, hypotheses: Sequence[str]) -> None:
        self._hypotheses = list(hypotheses)
        self.calls = 0
        self.prompts: list[str] = []

    def transcribe(self, samples: Samples, prompt: str = "") -> Sequence[Word]:
        self.prompts.append(prompt)
        words = self._hypotheses[self.calls].split()
        self.calls += 1
        return [Word(f" {word}", n / 5, (n + 1) / 5) for n, word in enumerate(words)]
