"""The sound of a session: words while it comes, items, turns, forms and limits, with a stand-in recogniser."""

from __future__ import annotations

import asyncio
import base64
import os

import numpy as np
import openai
import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.serving.limits import Limits
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from support import sound_bytes as sb
from support import stand_in_speech as stand_in
from support.live_use import QUESTION, TEXT
from support.serving import Desk, send, serving, until
from support.sound_session import (
    APPEND,
    CLEAR,
    COMMIT,
    LEAST,
    PCM16K,
    WORDS,
    ask,
    heard,
    say,
    spoken_desk,
    transcripts,
)
from support.stand_in_speech import spoken


@pytest.fixture
def desk(reasoner, recogniser):
    yield from spoken_desk(reasoner, recogniser)


@pytest.mark.parametrize(
    ("question", "fields"),
    [
        ("How many coins does Tim have?", {}),
        (QUESTION, {"transcription": {"model": "whisper-1", "prompt": "Tim, coins"}}),
    ],
)
def test_names_of_the_question_and_of_a_clients_prompt_are_heard(desk, question, fields):
    ask(desk, question, **fields)
    say(desk, TEXT)
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed")
    assert heard(desk).strip() == TEXT.replace("Tom", "Tim")
    shown = desk.of("session.updated")[-1]["session"]["audio"]["input"]["transcription"]
    assert shown["prompt"] == fields.get("transcription", {}).get("prompt", "")


def test_a_prompt_of_the_older_interface_is_read_and_stays_while_sound_waits(desk):
    older = {"input_audio_transcription": {"model": "whisper-1", "prompt": "Tim"}}
    desk.send("session.update", session=older)
    say(desk, TEXT)
    desk.send("session.update", session={"input_audio_transcription": {"prompt": "Tom"}})
    assert desk.errors() == ["invalid_value"]
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed")
    assert heard(desk).strip() == TEXT.replace("Tom", "Tim")


def test_words_are_read_while_the_sound_comes_and_an_answer_follows(desk):
    ask(desk, turn_detection=None)
    say(desk, TEXT, silence=0.7)
    desk.wait("response.thought.done")  # before any commit
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed")
    assert heard(desk).strip() == TEXT
    assert transcripts(desk) == [TEXT]
    desk.send("response.create")
    desk.wait("response.done")
    assert desk.text() == "8"
    assert desk.errors() == []
    assert not desk.of("input_audio_buffer.speech_started")  # no turn detection


def test_a_pause_ends_a_turn_with_openais_events(desk):
    say(desk, "Tom has 5 coins.", silence=0.7)
    desk.wait(f"{WORDS}.completed")
    say(desk, "He sings.", silence=0.7)
    desk.wait(f"{WORDS}.completed", 2)
    kinds = [each["type"] for each in desk.events if "audio" in each["type"]]
    turn = [
        *("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
        *("input_audio_buffer.committed", f"{WORDS}.completed"),
    ]
    assert [kind for kind in kinds if not kind.endswith("delta")] == turn * 2
    ids = [
        [each[name] for each in desk.events if each["type"] == kind]
        for kind, name in ((turn[0], "item_id"), (turn[2], "item_id"), (turn[3], "item_id"))
    ]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids[0])) == 2
    assert [each["item"]["id"] for each in desk.of("conversation.item.added")] == ids[0]
    committed = desk.of("input_audio_buffer.committed")
    assert [each["previous_item_id"] for each in committed] == [None, ids[0][0]]
    starts = [each["audio_start_ms"] for each in desk.of("input_audio_buffer.speech_started")]
    stops = [each["audio_end_ms"] for each in desk.of("input_audio_buffer.speech_stopped")]
    assert starts == pytest.approx([0, 1_900], abs=80)
    assert stops == pytest.approx([1_100 + 500, 1_900 + 500 + 500], abs=80)
    assert desk.of("response.created") == []  # only where it is asked for
    assert desk.errors() == []


def test_turns_are_answered_where_the_client_wants_that(desk):
    ask(desk, turn_detection={"type": "server_vad", "create_response": True})
    say(desk, TEXT, silence=0.7)
    desk.wait("response.done")
    assert desk.text() == "8"


def test_an_answer_waits_for_the_last_words_once(desk):
    say(desk, TEXT)
    desk.send("response.create")
    assert desk.of("response.created") == []
    desk.wait("response.done")
    assert desk.text() == "8"
    assert heard(desk).strip() == TEXT
    assert len(desk.of("input_audio_buffer.committed")) == 1


def test_sound_during_an_answer_is_recognised_and_read_behind_it(desk):
    say(desk, "Tom has 5 coins.", silence=0.7)
    desk.wait(f"{WORDS}.completed")
    desk.send("response.create")
    say(desk, "Tom finds 3 coins.", silence=0.7)
    desk.wait(f"{WORDS}.completed", 2)
    kinds = [each["type"] for each in desk.events]
    second = [n for n, kind in enumerate(kinds) if kind == "input_audio_buffer.speech_started"][1]
    assert second > kinds.index("response.done")
    desk.send("response.create")
    desk.wait("response.done", 2)
    assert desk.text() == "8"


@pytest.mark.parametrize(
    ("silence", "code"), [(0.05, LEAST), (1.0, LEAST)], ids=["too short", "silence"]
)
def test_a_commit_without_words_is_refused_and_more_may_follow(desk, silence, code):
    ask(desk, turn_detection=None)
    desk.send(COMMIT)
    assert desk.errors() == [code]
    data = sb.pcm(np.zeros(round(silence * 16_000)))
    desk.send(APPEND, audio=base64.b64encode(data).decode())
    desk.send(COMMIT)
    desk.wait("error", 2)
    assert desk.errors() == [code] * 2
    say(desk, "He sings.")
    desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed")
    assert transcripts(desk) == ["He sings."]


def test_pieces_may_break_a_sample_over_a_commit(desk):
    ask(desk, turn_detection=None)
    data = sb.pcm(spoken("Tom has 5 coins. He sings."))
    for piece in (data[:38_401], data[38_401:]):
        desk.send(APPEND, audio=base64.b64encode(piece).decode())
        desk.send(COMMIT)
    desk.wait(f"{WORDS}.completed", 2)
    assert transcripts(desk) == ["Tom has 5 coins.", "He sings."]


def encodings(data: bytes) -> dict[str, str]:
    plain = base64.b64encode(data).decode()
    return {
        "url-safe": plain.translate(str.maketrans("+/", "-_")),
        "without padding": plain.rstrip("="),
        "in lines": base64.encodebytes(data).decode(),
    }


@pytest.mark.parametrize("name", ["url-safe", "without padding", "in lines"])
def test_every_form_of_base64_that_is_certain_is_read(desk, name):
    desk.send(APPEND, audio=encodings(sb.pcm(spoken("He sings.", 0.7)) + b"\0")[name])
    desk.wait(f"{WORDS}.completed")
    assert transcripts(desk) == ["He sings."]


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        ("data:audio/wav;base64,AAAA", "data URL"),
        ("AAA$", "no base64"),
        ("A", "no base64"),
        ("\u00e4", "no base64"),
        (7, "expected a text"),
        (None, "expected a text"),
        (base64.b64encode(sb.wav(sb.pcm(sb.tone(0.1)))).decode(), "a WAV file"),
        (base64.b64encode(sb.rf64(sb.pcm(sb.tone(0.1)))).decode(), "a WAV file"),
        ("GkXfo59ChoEBQveBAULygQ==", "WebM"),
        ("T2dnUwACAAAAAAAAAAA=", "an Ogg file"),
        ("ZkxhQwAAACI=", "a FLAC file"),
        ("SUQzBAAAAAAAIw==", "an MP3 file"),
        ("AAAAHGZ0eXBpc29t", "an MP4 file"),
        ("AAAAA_", "ends within a byte"),
        ("AAABB", "no base64"),
        ("AAAAAAB", "ends within a byte"),
    ],
)
@pytest.mark.parametrize("before", ["", "AAAA"], ids=["first", "later"])
def test_what_is_no_base64_of_samples_is_refused(desk, audio, reason, before):
    desk.send(APPEND, audio=before)
    desk.send(APPEND, audio=audio)
    assert desk.errors() == ["invalid_value"]
    assert reason in desk.of("error")[0]["error"]["message"]


def test_a_server_without_a_recogniser_says_so(reasoner):
    desk = Desk(reasoner.pool(1))
    ask(desk)
    for kind in (APPEND, COMMIT, CLEAR):
        desk.send(kind, audio="AAAA")
    assert desk.errors() == ["unsupported_audio"] * 3
    assert "audio" not in desk.of("session.updated")[0]["session"]


def test_sound_before_the_question_is_refused(reasoner, recogniser):
    desk = Desk(reasoner.pool(1), recogniser=recogniser)
    desk.send(APPEND, audio="AAAA")
    assert desk.errors() == ["no_question"]
    assert desk.of("session.created")[0]["session"]["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "transcription": {"model": "tiny.en", "prompt": ""},
        "turn_detection": {
            "type": "server_vad",
            "silence_duration_ms": 500,
            "create_response": False,
            "interrupt_response": False,
        },
    }


@pytest.mark.parametrize(
    ("session", "form"),
    [
        ({"input_audio_format": "g711_ulaw"}, {"type": "audio/pcmu"}),
        ({"input_audio_format": "pcm16"}, {"type": "audio/pcm", "rate": 24_000}),
        ({"audio": {"input": {"format": {"type": "audio/pcma"}}}}, {"type": "audio/pcma"}),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm"}}}},
            {"type": "audio/pcm", "rate": 24_000},
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 8_000}}}},
            {"type": "audio/pcmu"},
        ),
        ({"audio": {"input": {}}}, PCM16K),
        ({"audio": {"input": {"format": None}}, "input_audio_format": None}, PCM16K),
    ],
)
def test_forms_have_the_names_of_both_generations(desk, session, form):
    desk.send("session.update", session=session)
    assert desk.of("session.updated")[-1]["session"]["audio"]["input"]["format"] == form


@pytest.mark.parametrize(
    "session",
    [
        {"input_audio_format": "g711-ulaw"},
        {"audio": {"input": {"format": {"type": "audio/opus"}}}},
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 100}}}},
        {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 16_000}}}},
        {"audio": {"input": {"format": "pcm16"}}},
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
        {"turn_detection": {"type": "server_vad", "create_response": "yes"}},
        {"turn_detection": {"type": "server_vad", "silence_duration_ms": 0}},
    ],
)
def test_forms_that_are_not_served_are_refused_not_passed_over(desk, session):
    before = desk.of("session.updated")[-1]["session"]["audio"]
    desk.send("session.update", session=session)
    assert desk.errors() in (["invalid_value"], ["unsupported_turn_detection"])
    desk.send("session.update", session={})
    assert desk.of("session.updated")[-1]["session"]["audio"] == before


def test_a_form_changes_between_sounds_only(desk):
    ask(desk, turn_detection=None)
    say(desk, "He sings.")
    desk.send("session.update", session={"input_audio_format": "g711_ulaw"})
    assert desk.errors() == ["invalid_value"]
    desk.send(COMMIT)
    desk.send("session.update", session={"input_audio_format": "g711_ulaw"})
    desk.wait("session.updated", 3)
    assert transcripts(desk) == ["He sings."]


def test_sessions_with_sound_and_sound_that_waits_are_bounded(reasoner):
    limits = Limits(max_listeners=1, max_waiting_sound_seconds=2.0)
    recogniser = RecogniserDesk(stand_in.load, "tiny.en", limits)
    try:
        one, two = (Desk(reasoner.pool(2), limits, recogniser) for _ in range(2))
        for desk in (one, two):
            ask(desk, turn_detection=None)
            say(desk, "sleeps Tom has 5 coins.", size=100_000)
        assert two.errors() == ["too_many_listeners"]
        say(one, "Tom has 5 coins.")
        assert one.errors()[0] == "audio_too_fast"
        one.session.close()
        say(two, "He sings.")
        assert two.errors() == ["too_many_listeners"]
        two.session.close()
    finally:
        recogniser.close()


def test_a_recogniser_that_dies_is_started_again(reasoner):
    recogniser = RecogniserDesk(stand_in.load, "tiny.en", Limits())
    desk = Desk(reasoner.pool(2), recogniser=recogniser)
    try:
        ask(desk)
        say(desk, "dies", silence=0.7)
        desk.wait("error")
        assert desk.errors() == ["recogniser_failed"]
        while not transcripts(desk):
            failures = len(desk.errors())
            say(desk, "He sings.", silence=0.7, size=100_000)
            while len(desk.errors()) == failures and not transcripts(desk):  # it was taken
                desk.run()
                os.sched_yield()
        assert set(desk.errors()) == {"recogniser_failed"}
    finally:
        desk.session.close()
        recogniser.close()


def test_the_openai_package_sends_sound_over_a_socket(reasoner, recogniser):
    async def session(url: str):
        client = openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1")
        seen = []
        async with client, client.realtime.connect(model="tiny") as connection:
            audio = {"input": {"format": PCM16K, "turn_detection": None}}
            await connection.session.update(
                session={"type": "realtime", "instructions": QUESTION, "audio": audio}
            )
            data = sb.pcm(spoken(TEXT))
            for start in range(0, len(data), 6_400):
                piece = base64.b64encode(data[start : start + 6_400]).decode()
                await connection.input_audio_buffer.append(audio=piece)
            await connection.input_audio_buffer.commit()
            await connection.response.create()
            async for event in connection:
                seen.append(event)
                if event.type == "response.done":
                    return seen
        return seen

    with serving(reasoner.pool(2), recogniser=recogniser) as served:
        events = asyncio.run(session(served.http))
    assert [each.transcript for each in events if each.type == f"{WORDS}.completed"] == [TEXT]
    assert events[-1].response.output[0].content[0].text == "8"


def test_a_whole_speech_may_come_in_one_frame(reasoner, recogniser):
    limits = Limits(max_sound_frame_bytes=2_000_000)
    with (
        serving(reasoner.pool(2), recogniser=recogniser, limits=limits) as served,
        served.connect() as socket,
    ):
        audio = {"input": {"format": PCM16K, "turn_detection": None}}
        send(socket, "session.update", session={"instructions": QUESTION, "audio": audio})
        data = sb.pcm(spoken(TEXT, silence=10.0))
        send(socket, APPEND, audio=base64.b64encode(data).decode())
        assert len(data) > limits.max_frame_bytes
        send(socket, COMMIT)
        assert until(socket, f"{WORDS}.completed")[-1]["transcript"] == TEXT
        for kind, size in (("input_text.append", 300_000), (APPEND, 2_000_001)):
            send(socket, kind, text="A" * size)
            assert until(socket, "error")[-1]["error"]["code"] == "frame_too_large"


def test_a_recogniser_that_cannot_be_loaded_ends_the_server_at_its_start():
    with pytest.raises(UserError, match="is no model"):
        RecogniserDesk(stand_in.refuse, "tiny.en", Limits())
