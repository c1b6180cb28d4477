"""A speaker's sound as words, pauses and turns, with stand-ins for the models."""

from __future__ import annotations

import numpy as np
import pytest

from adasr_trl.core.sentences import sentence_chunks
from adasr_trl.speech.listener import HearingKind, Listener
from adasr_trl.speech.recognition import StreamingRecogniser
from adasr_trl.speech.words import SAMPLE_RATE, text_of
from support.sounds import ScriptedTranscriber, ToneVoice, say
from support.stand_in_speech import LevelTranscriber, LevelVoice, spoken

STORY = np.concatenate(
    [spoken("Tom has 5 coins.", silence=1.5), spoken("Tom finds 3 coins.", silence=0.7)]
)


def heard(sound, size: float):
    listener, hearings = Listener(LevelTranscriber(), LevelVoice()), []
    step = round(size * SAMPLE_RATE)
    for start in range(0, len(sound), step):
        hearings += listener.feed(sound[start : start + step])
    return hearings + listener.flush()


def texts(hearings) -> str:
    return "".join(word.text for hearing in hearings for word in hearing.words)


@pytest.mark.parametrize("size", [0.032, 0.1, 1.0, 60.0])
def test_turns_and_words_come_in_their_order(size):
    hearings = heard(STORY, size)
    kinds = [each.kind.value for each in hearings if each.kind is not HearingKind.WORDS]
    assert kinds == ["started", "stopped", "pause", "started", "stopped", "flushed"]
    stop = [each.kind for each in hearings].index(HearingKind.STOPPED)
    assert texts(hearings[:stop]) == " Tom has 5 coins."
    assert texts(hearings) == " Tom has 5 coins. Tom finds 3 coins."


def test_a_stop_is_known_half_a_second_and_a_pause_a_second_after_the_voice():
    times = {each.kind: each.seconds for each in reversed(heard(STORY, 0.1))}
    end = 4 * 0.3 - 0.1
    assert times[HearingKind.STARTED] == pytest.approx(0.0, abs=0.04)
    assert times[HearingKind.STOPPED] == pytest.approx(end + 0.5, abs=0.07)
    assert times[HearingKind.PAUSE] == pytest.approx(end + 1.0, abs=0.07)


def test_silence_has_no_voice_and_no_words():
    hearings = heard(np.zeros(5 * SAMPLE_RATE, np.float32), 0.1)
    assert [each.kind for each in hearings] == [HearingKind.FLUSHED]
    assert hearings[0].voice_seconds == 0
    assert hearings[0].seconds == 5.0


def test_more_may_be_said_behind_a_flush():
    listener = Listener(LevelTranscriber(), LevelVoice())
    first = listener.feed(spoken("Tom has 5 coins.")) + listener.flush()
    second = listener.feed(spoken("He sings.")) + listener.flush()
    assert texts(first) == " Tom has 5 coins."
    assert texts(second) == " He sings."


def test_a_speech_without_a_pause_is_read_while_it_is_said():
    text = " Tom has 5 coins. He sings. Tom finds 3 coins." * 5
    hearings = heard(spoken(text), 0.1)
    before = [each for each in hearings if each.kind is HearingKind.WORDS][:-1]
    assert len(texts(before).split()) > 40
    assert texts(hearings) == text


def test_a_word_behind_a_committed_stop_begins_a_sentence():
    hypotheses = [
        "He has coins.",
        "He has coins. at 5 p.m. he",
        "He has coins, at 5 p.m. he sings",
        "He has coins, at 5 p.m. he sings well",
    ]
    recogniser = StreamingRecogniser(ScriptedTranscriber(hypotheses), ToneVoice())
    heard = [word for _ in hypotheses for word in recogniser.feed(say(1.0))]
    assert text_of(heard) == " He has coins. At 5 p.m. he sings"
    assert len(sentence_chunks(f"{text_of(heard)} well.")) == 2
