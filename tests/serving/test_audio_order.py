"""The order of a session's sound: what a clear forgets, and sound behind a change of its form."""

from __future__ import annotations

import base64
import time

import pytest

from adasr_trl.speech.listener import HearingKind
from support.live_use import TEXT
from support.sound_session import (
    APPEND,
    CLEAR,
    COMMIT,
    LEAST,
    PCM16K,
    WORDS,
    ask,
    say,
    spoken_desk,
    transcripts,
)


@pytest.fixture
def desk(reasoner, recogniser):
    yield from spoken_desk(reasoner, recogniser)


def test_a_cleared_sound_is_forgotten_with_its_words(desk):
    ask(desk, turn_detection=None)
    say(desk, "Tom has 3 coins. Tom finds", silence=0.7)
    desk.wait(f"{WORDS}.delta")
    desk.send(CLEAR)
    assert len(desk.of("input_audio_buffer.cleared")) == 1
    desk.send(COMMIT)
    assert desk.errors() == [LEAST]
    say(desk, TEXT)
    desk.send("response.create")
    desk.wait("response.done")
    assert desk.text() == "8"
    assert transcripts(desk) == [TEXT]


def test_a_clear_behind_a_commit_forgets_only_what_follows_it(desk):
    ask(desk, turn_detection=None)
    say(desk, "Tom has 5 coins.")
    desk.send(COMMIT)
    say(desk, "Tom finds 3 coins.")
    desk.send(CLEAR)
    say(desk, "He sings.")
    desk.wait(f"{WORDS}.completed")
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed", 2)
    assert transcripts(desk) == ["Tom has 5 coins.", "He sings."]
    assert desk.errors() == []


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_clear_during_an_answer_keeps_what_is_said_after_it(desk, cancelled):
    ask(desk, turn_detection=None)
    say(desk, "Tom has 5 coins.")
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed")
    desk.send("response.create")
    say(desk, "Tom finds 3", silence=0.7)
    desk.send(CLEAR)  # pipecat sends these two when a user interrupts, and the user goes on
    if cancelled:
        desk.send("response.cancel")
    say(desk, "He sings.")
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed", 2)
    assert transcripts(desk) == ["Tom has 5 coins.", "He sings."]
    assert desk.errors() == []


def test_a_turn_that_ended_before_a_clear_stays(desk):
    say(desk, "Tom has 5 coins.", silence=0.7)
    desk.wait(f"{WORDS}.completed")
    desk.send("response.create")
    say(desk, "He sings.", silence=0.7)
    end = time.monotonic() + 20
    while HearingKind.STOPPED not in [each.kind for each in desk.session._audio._held]:
        assert time.monotonic() < end
        while desk._later:  # hearings come; the answer goes on later
            desk._later.pop(0)()
        time.sleep(0.01)
    desk.send(CLEAR)
    say(desk, "Tom finds 3 coins.", silence=0.7)
    desk.wait(f"{WORDS}.completed", 3)
    assert transcripts(desk) == ["Tom has 5 coins.", "He sings.", "Tom finds 3 coins."]


def test_sound_behind_a_change_of_its_form_waits_for_it(desk):
    ask(desk, turn_detection=None)
    say(desk, "Tom has 5 coins.")
    desk.send(COMMIT)
    mu_law = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    desk.send("session.update", session=mu_law)
    silence = base64.b64encode(b"\xff" * 8_000).decode()  # a second; half of one as 16 bits
    desk.send(APPEND, audio=silence)
    desk.send(COMMIT)
    desk.send("session.update", session={"audio": {"input": {"format": PCM16K}}})
    say(desk, "He sings.")
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed", 2)
    assert transcripts(desk) == ["Tom has 5 coins.", "He sings."]
    assert desk.errors() == [LEAST]
    assert "up to 1.0 s" in desk.of("error")[0]["error"]["message"]


def test_an_update_that_is_refused_changes_nothing(desk):
    before = desk.of("session.updated")[-1]["session"]
    sound = {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}
    desk.send("session.update", session={"tools": [{"type": "function"}], "audio": sound})
    sound["input"]["turn_detection"] = {"type": "none"}
    desk.send("session.update", session={"instructions": "Who sings?", "audio": sound})
    assert desk.errors() == ["unsupported_tools", "unsupported_turn_detection"]
    desk.send("session.update", session={})
    assert desk.of("session.updated")[-1]["session"] == before
