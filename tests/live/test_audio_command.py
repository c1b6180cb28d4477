"""adasr stream --audio as it is used: files, pipes and microphones, with stand-ins for the models of speech."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from support import sound_bytes as sb
from support import stand_in_speech as stand_in
from support.live_use import stream, threads_left
from support.stand_in_speech import Devices, spoken

pytest.importorskip("av")
STORY = "Tom has 5 coins. He sings. Tom finds 3 coins."
FAST = ("--speed", "20")


@pytest.fixture
def stand_ins(monkeypatch):
    monkeypatch.setattr("adasr_trl.speech.process.load_recogniser", stand_in.load_named)


def wav(tmp_path, samples, name: str = "story.wav") -> str:
    path = tmp_path / name
    path.write_bytes(sb.wav(sb.pcm(samples)))
    return str(path)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (spoken("dies", silence=0.6), "recogniser: its process ended (exit code 3)"),
        (np.zeros(8_000, np.float32), "story.wav: holds no speech (0.5 s of sound)"),
    ],
    ids=["crash", "silence"],
)
def test_a_recogniser_that_dies_and_a_silence_are_one_line(
    run, tmp_path, stand_ins, capsys, sound, reason
):
    assert stream(run, "--audio", wav(tmp_path, sound)) == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]
    assert threads_left() == []


def test_a_wav_becomes_thoughts_and_an_answer(run, tmp_path, stand_ins, capsys):
    status = stream(run, "--audio", wav(tmp_path, spoken(STORY)), *FAST)
    lines = capsys.readouterr().out.splitlines()
    read = [line.split(" read ")[1].strip() for line in lines if " read " in line]
    assert read == ["Tom has 5 coins.", "He sings.", "Tom finds 3 coins."]
    assert re.search(
        r", its last words \d+\.\d\d s after it \(median of all: \d+\.\d\d s", lines[-1]
    )
    assert status in (0, 1)
    assert threads_left() == []


def test_programs_get_the_lag_of_every_text_and_of_all(run, tmp_path, stand_ins, capsys):
    stream(run, "--audio", wav(tmp_path, spoken(STORY)), *FAST, "--json")
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = [each for each in events if each["event"] == "text"]
    assert "".join(each["text"] for each in texts) == f" {STORY}"
    assert all(each["lag_seconds"] >= 0 for each in texts)
    lag = events[-1]["recogniser"]
    assert lag["last_seconds"] <= events[-1]["answer_latency_seconds"]


def test_raw_pcm_and_a_wav_of_unknown_length_come_through_a_pipe(run, stand_ins, capsys):
    sound = spoken("Tom has 5 coins.", silence=0.6)
    stream(run, "--audio", "-", "--rate", "16000", data=sb.pcm(sound))
    assert "Tom has 5 coins." in capsys.readouterr().out
    stream(run, "--audio", "-", data=sb.wav(sb.pcm(sound), size=0xFFFFFFFF))
    assert "Tom has 5 coins." in capsys.readouterr().out


def test_text_in_a_pipe_is_no_sound(run, stand_ins, capsys):
    assert stream(run, "--audio", "-", data=b"Tom has 5 coins.\n" * 100) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: standard input: holds no sound")
    assert "--rate" in error


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--audio", "x.wav", "--wpm", "150"), "--wpm"),
        (("--audio", "x.wav", "--encoding", "utf-8"), "--encoding"),
        (("--audio", "x.wav", "--pause", "1"), "--pause"),
        (("--audio", "x.wav", "--rate", "16000"), "--rate"),
        (("--audio", "-", "--speed", "2"), "--speed"),
        (("--audio", "mic", "--speed", "2"), "--speed"),
        (("--replay", "x.txt", "--recogniser", "tiny.en"), "--recogniser"),
        (("--language", "de"), "--language"),
        (("--speed", "2"), "--speed"),
    ],
)
def test_an_option_without_effect_is_refused(run, capsys, flags, named):
    assert stream(run, *flags, data=b"") == 2
    assert f"{named}: has no effect on" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--replay", "x"), ("--transcript", "x")])
def test_sound_and_text_at_once_are_refused(run, capsys, flags):
    with pytest.raises(SystemExit):
        stream(run, "--audio", "x.wav", *flags)
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("devices", "reason"), [(None, "needs sounddevice"), (Devices(None), "no microphone was found")]
)
def test_without_a_microphone_one_line_says_what_to_do(run, monkeypatch, capsys, devices, reason):
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    assert stream(run, "--audio", "mic") == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]
