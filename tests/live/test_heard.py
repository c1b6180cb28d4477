"""The source of a stream's text that is sound, with stand-ins for the models of speech."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.live.heard import even, heard, played
from adasr_trl.speech import capture
from adasr_trl.speech.listener import Hearing, HearingKind
from adasr_trl.speech.process import RecogniserProcess
from adasr_trl.speech.words import SAMPLE_RATE, Word
from support import stand_in_speech as stand_in
from support.stand_in_speech import Devices, spoken

STORY = "Tom has 5 coins. He sings. Tom finds 3 coins."


@pytest.fixture(scope="module")
def recogniser():
    with RecogniserProcess(stand_in.load) as process:
        yield process


def pieces(recogniser, sound, speed: float = 50.0):
    source = heard(recogniser, played([sound], speed), "story.wav")
    return list(source(threading.Event()))


def test_words_come_while_the_sound_is_played_and_a_silence_ends_a_chunk(recogniser):
    sound = np.concatenate([spoken("Tom has 5 coins.", silence=1.5), spoken("He sings.")])
    found = pieces(recogniser, sound, speed=4.0)
    said = [piece for piece in found if piece.text]
    assert "".join(piece.text for piece in said) == " Tom has 5 coins. He sings."
    marks = [(piece.pause, piece.cut, piece.over) for piece in found if not piece.text]
    assert marks == [(True, False, False), (False, True, False), (False, False, True)]
    assert found.index(said[-1]) > next(n for n, piece in enumerate(found) if piece.over)
    assert all(0 <= piece.lag_seconds < 10 for piece in said)


def test_the_recogniser_knows_the_names_of_its_prompt(recogniser):
    source = heard(recogniser, played([spoken(STORY)], 50.0), "story.wav", "How many has Tim?")
    found = "".join(piece.text for piece in source(threading.Event()))
    assert found.strip() == STORY.replace("Tom", "Tim")


def test_speech_without_punctuation_is_cut_at_its_pauses(recogniser):
    sound = np.concatenate([spoken("Tom has 5", silence=0.6)] * 6)
    cuts = [piece.cut for piece in pieces(recogniser, sound) if piece.pause]
    assert cuts[:3] == [False] * 3  # too little is known
    assert all(cuts[3:])


def test_a_file_is_played_in_time_and_an_end_of_reading_ends_the_sound(recogniser):
    stop, blocks = threading.Event(), []
    for block in played([spoken(STORY)], 10.0)(stop):
        blocks.append(len(block))
        if len(blocks) == 3:
            stop.set()
    assert blocks == [1_600] * 3
    source = heard(recogniser, played([spoken(STORY)], 1.0), "story.wav")
    assert list(source(stop)) == []
    assert sum(map(len, even([spoken(STORY)]))) == len(spoken(STORY))


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (np.zeros(32_000, np.float32), "holds no speech (2.0 s of sound)"),
        (np.full(200, 0.1, np.float32), "no word was recognised"),
    ],
    ids=["silence", "a click"],
)
def test_a_sound_without_words_is_said_so(recogniser, sound, reason):
    with pytest.raises(UserError) as refusal:
        pieces(recogniser, sound)
    assert reason in str(refusal.value)


def test_a_microphone_is_heard_until_it_is_stopped(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", Devices(spoken(STORY)))
    stop, blocks = threading.Event(), []
    for block in capture.microphone(None)(stop):
        blocks.append(block)
        if sum(map(len, blocks)) >= len(spoken(STORY)) - 1_600:
            stop.set()
    assert np.abs(np.concatenate(blocks)[:1_000] - spoken(STORY)[:1_000]).max() < 1e-3


class AtOnce:
    """A recogniser whose words are back before the sound is said to be sent, and the stream that it opens."""

    sent_seconds = behind_seconds = 0.0

    def open(self, tell, prompt=""):
        self.tell = tell
        return self

    def send(self, data):
        self.sent_seconds += len(data) / 4 / SAMPLE_RATE
        word = Word(" Tom", 0.0, self.sent_seconds)
        self.tell(Hearing(HearingKind.WORDS, self.sent_seconds, words=(word,)))
        time.sleep(0.1)  # the reader is first

    def flush(self):
        self.tell(Hearing(HearingKind.FLUSHED, self.sent_seconds, voice_seconds=1.0))

    def close(self):
        pass


def test_words_that_are_back_at_once_have_a_lag_too():
    said = [piece for piece in pieces(AtOnce(), spoken("Tom has")) if piece.text]
    assert [piece.text for piece in said] == [" Tom"] * 6
    assert all(0 <= piece.lag_seconds < 5 for piece in said)
