"""Chunks of a whole sound: where they end, and when they are known."""

from __future__ import annotations

import numpy as np
import pytest

from adasr_trl.speech.listening import HeardChunk, chunks_of
from adasr_trl.speech.recognition import RecogniserSettings, StreamingRecogniser
from adasr_trl.speech.words import Samples
from support.sounds import ToneTranscriber, ToneVoice, say, silence


class Punctuated(ToneTranscriber):
    """Word 9 ends a sentence."""

    def transcribe(self, samples, prompt=""):
        words = super().transcribe(samples)
        return [type(w)(w.text.replace("w9", "w9."), w.start_seconds, w.end_seconds) for w in words]


def heard(*pieces: Samples, interval: float = 1.0) -> list[HeardChunk]:
    times = RecogniserSettings(interval, 0.5)
    return chunks_of(np.concatenate(pieces), StreamingRecogniser(Punctuated(), ToneVoice(), times))


def texts(chunks: list[HeardChunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_a_sentence_is_known_at_the_pause_behind_its_stop() -> None:
    chunks = heard(say(0.3, word=1), say(0.3, word=9), silence(0.8), say(0.3, word=2), silence(0.8))
    assert texts(chunks) == ["w1 w9.", " W2"]  # a sentence begins with a capital
    assert chunks[0].heard_seconds == pytest.approx(0.6 + 0.5, abs=0.07)


def test_a_second_of_silence_ends_a_chunk_whatever_was_said() -> None:
    short = heard(say(0.3, word=1), silence(0.8), say(0.3, word=2))
    long = heard(say(0.3, word=1), silence(1.2), say(0.3, word=2))
    assert texts(short) == ["w1 w2"]
    assert texts(long) == ["w1", " w2"]
    assert long[0].heard_seconds == pytest.approx(0.3 + 1.0, abs=0.07)


def test_words_that_are_said_again_across_cuts_are_all_heard() -> None:
    phrase = [say(0.3, word=number) for number in (1, 2, 3, 1, 2, 4)]
    pauses = [silence(0.7)] * 6
    pieces = [piece for pause in pauses for piece in (*phrase, pause)]
    assert "".join(texts(heard(*pieces))).split() == ["w1", "w2", "w3", "w1", "w2", "w4"] * 6
    assert "".join(texts(heard(*phrase * 6))).split() == ["w1", "w2", "w3", "w1", "w2", "w4"] * 6


def test_the_interval_changes_no_arrival_of_a_sentence_that_ends_at_a_pause() -> None:
    pieces = [*(say(0.3, word=n) for n in (1, 2, 3, 9)), silence(0.7)] * 4
    assert heard(*pieces, interval=0.5) == heard(*pieces, interval=3.0)


def test_silence_has_no_chunk() -> None:
    assert heard(silence(3.0)) == []
    assert chunks_of(np.zeros(0, np.float32), StreamingRecogniser(Punctuated(), ToneVoice())) == []
