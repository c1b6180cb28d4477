"""Streaming recognition with a stand-in that reads words out of the sound itself: LocalAgreement-2 by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.errors import UserError
from adasr_trl.speech.recognition import RecogniserSettings, StreamingRecogniser
from adasr_trl.speech.words import HeardWord, Samples, Word, text_of, usable
from support.sounds import SECOND, ScriptedTranscriber, ToneTranscriber, ToneVoice, say, silence

FEW = settings(max_examples=30, deadline=None)


def recogniser(
    hypotheses: Sequence[str], *, interval: float = 1.0, pause: float = 5.0, longest: float = 12.0
) -> StreamingRecogniser:
    times = RecogniserSettings(interval, pause, longest)
    return StreamingRecogniser(ScriptedTranscriber(hypotheses), ToneVoice(), times)


def texts(words: Sequence[Word]) -> list[str]:
    return [word.text.strip() for word in words]


def test_a_word_is_committed_when_two_hypotheses_in_a_row_hold_it() -> None:
    stream = recogniser(["Tom", "Tom has five", "Tom has 5 apples", "Tom has 5 apples now"])
    heard = [texts(stream.feed(say(1.0))) for _ in range(4)]
    assert heard == [[], ["Tom"], ["has"], ["5", "apples"]]
    assert texts(stream.hypothesis) == ["now"]


def test_a_committed_word_stays_when_later_hypotheses_differ() -> None:
    stream = recogniser(["Tom has", "Tom has", "Tim had 5", "Tim had 5", "Jim"])
    heard = [texts(stream.feed(say(1.0))) for _ in range(4)]
    assert heard == [[], ["Tom", "has"], [], ["5"]]
    assert texts(stream.finish()) == []


def test_a_word_is_heard_when_the_sound_that_decided_was_read() -> None:
    times = RecogniserSettings(1.0, 5.0, lag_seconds=0.25)
    stream = StreamingRecogniser(ScriptedTranscriber(["Tom", "Tom has"]), ToneVoice(), times)
    (word,) = stream.feed(say(2.5))
    assert word.heard_seconds == pytest.approx(2.0 + 0.25, abs=0.04)


def test_the_prompt_is_the_question_and_the_last_text_with_its_stop() -> None:
    transcriber = ScriptedTranscriber(["Tom has", "He has 5.", "Mia", "x" * 200, "Rob"])
    times = RecogniserSettings(5.0, 0.5)
    stream = StreamingRecogniser(transcriber, ToneVoice(), times, prompt="How many has Tom?")
    for _ in range(4):
        stream.feed(np.concatenate((say(0.9), silence(0.7))))
    begun = "How many has Tom? OK."
    assert transcriber.prompts[:2] == [begun, f"{begun} Tom has."]
    assert transcriber.prompts[2:] == [
        f"{begun} Tom has. He has 5.",
        f"{begun} Tom has. He has 5. Mia.",
    ]
    stream.feed(np.concatenate((say(0.9), silence(0.7))))
    assert transcriber.prompts[4] == f"{begun}{'x' * 159}."


def test_the_sound_before_a_pause_is_transcribed_once() -> None:
    """Whisper draws a last word into the silence behind it, so in a second transcription it came twice."""
    transcriber = ToneTranscriber()
    stream = StreamingRecogniser(transcriber, ToneVoice(), RecogniserSettings(5.0, 0.5))
    sound = np.concatenate([np.concatenate((say(1.5, word=n), silence(1.0))) for n in range(1, 6)])
    assert texts((*stream.feed(sound), *stream.finish())) == ["w1", "w2", "w3", "w4", "w5"]
    assert transcriber.longest < 3.0 * SECOND


def test_a_pause_commits_everything_at_once() -> None:
    stream = recogniser(["Tom", "Tom has 5."], interval=1.0, pause=0.5)
    heard = stream.feed(np.concatenate((say(1.5), silence(2.0))))
    assert texts(heard) == ["Tom", "has", "5."]
    assert heard[-1].heard_seconds == pytest.approx(1.5 + 0.5, abs=0.07)
    assert stream.hypothesis == ()


def test_silence_is_never_transcribed() -> None:
    stream = recogniser([])
    assert stream.feed(silence(20.0)) == () == stream.finish()


def test_a_stream_goes_on_behind_its_end_with_its_times() -> None:
    stream = StreamingRecogniser(ToneTranscriber(), ToneVoice(), RecogniserSettings(1.0, 0.5))
    first = (*stream.feed(say(0.4, word=3)), *stream.finish())
    second = (*stream.feed(np.concatenate((silence(1.0), say(0.4, word=4)))), *stream.finish())
    assert texts(first) == ["w3"]
    assert texts(second) == ["w4"]
    assert second[0].start_seconds == pytest.approx(1.4, abs=0.1)


def test_long_speech_without_a_pause_is_cut_and_no_word_is_lost_or_said_twice() -> None:
    spoken = [1 + number % 16 for number in range(60)]
    sound = np.concatenate([say(0.35, word=number) for number in spoken])
    transcriber = ToneTranscriber()
    stream = StreamingRecogniser(transcriber, ToneVoice(), RecogniserSettings(1.0, 0.5, 5.0))
    heard = (*stream.feed(sound), *stream.finish())
    assert texts(heard) == [f"w{number}" for number in spoken]
    assert transcriber.longest <= 5.1 * SECOND


def test_a_recogniser_that_fell_behind_skips_hypotheses() -> None:
    times, sound = RecogniserSettings(1.0, 5.0, 28.0), say(8.0)
    late, timely = ScriptedTranscriber(["Tom"] * 9), ScriptedTranscriber(["Tom"] * 9)
    StreamingRecogniser(timely, ToneVoice(), times).feed(sound)
    StreamingRecogniser(late, ToneVoice(), times).feed(sound, catch_up=True)
    assert (timely.calls, late.calls) == (8, 1)


@st.composite
def sounds(draw: st.DrawFn) -> Samples:
    pieces = st.one_of(
        st.builds(say, st.sampled_from([0.2, 0.3, 0.5]), word=st.integers(1, 16)),
        st.builds(silence, st.sampled_from([0.1, 0.4, 0.9])),
    )
    return np.concatenate(draw(st.lists(pieces, min_size=1, max_size=25)))


def stream_in(sound: Samples, block: int) -> list[HeardWord]:
    times = RecogniserSettings(0.5, 0.5, 4.0)
    stream = StreamingRecogniser(ToneTranscriber(), ToneVoice(), times)
    heard: list[HeardWord] = []
    for start in range(0, len(sound), block):
        heard += stream.feed(sound[start : start + block])
    return [*heard, *stream.finish()]


@FEW
@given(sounds(), st.integers(100, 40_000))
def test_the_words_are_the_same_whatever_the_blocks(sound: Samples, block: int) -> None:
    heard = stream_in(sound, block)
    assert heard == stream_in(sound, len(sound))
    times = [word.heard_seconds for word in heard]
    assert times == sorted(times)
    assert all(word.end_seconds <= word.heard_seconds + 1e-6 for word in heard)


@FEW
@given(st.lists(st.lists(st.sampled_from(list("abcd")), max_size=6), min_size=1, max_size=12))
def test_what_is_committed_is_never_withdrawn(hypotheses: list[list[str]]) -> None:
    stream = recogniser([" ".join(words) for words in hypotheses], pause=9.0, longest=28.0)
    committed: list[str] = []
    for _ in hypotheses:
        new = texts(stream.feed(say(1.0)))
        assert set(new) <= set("abcd")
        committed += new
    assert len(committed) <= sum(map(len, hypotheses))


def test_times_of_words_that_are_none_or_go_back_are_put_in_order() -> None:
    words = [Word(" a", math.nan, 1.0), Word(" b", 0.5, math.inf), Word(" c", -3.0, 0.2)]
    assert usable(words, 2.0) == [
        Word(" a", 0.0, 1.0),
        Word(" b", 1.0, 1.0),
        Word(" c", 1.0, 1.0),
    ]


def words_of(text: str, seconds: float) -> list[Word]:
    """Words that take so long each."""
    return [Word(f" {w}", n * seconds, (n + 1) * seconds) for n, w in enumerate(text.split())]


def test_a_phrase_that_a_recogniser_loops_on_is_said_once() -> None:
    said = " I'm not sure if I can do it." * 6
    fast = words_of(f"Tom has 5.{said} No no no.", 0.1)
    assert text_of(usable(fast, 9.0)) == " Tom has 5. I'm not sure if I can do it. No no no."
    slow = words_of(f"Tom has 5.{said} No no no.", 0.3)  # somebody who says it six times
    assert usable(slow, 30.0) == slow
    petite = words_of("une petite" + " petite" * 40, 0.3)
    assert text_of(usable(petite, 30.0)) == " une petite"


def test_times_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(UserError, match=r"longest_seconds is 40.0; expected 2.0 to 28.0 seconds"):
        RecogniserSettings(longest_seconds=40.0)
