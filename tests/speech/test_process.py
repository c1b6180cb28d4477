"""The recogniser's process: streams by turns, its end with its parent, and its own crash."""

from __future__ import annotations

import os
import queue
import signal
import time

import numpy as np
import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.speech.encodings import Encoding
from adasr_trl.speech.listener import HearingKind
from adasr_trl.speech.process import RecogniserProcess, SoundForm
from support import stand_in_speech as stand_in
from support.processes import alive, python
from support.stand_in_speech import spoken


@pytest.fixture(scope="module")
def recogniser():
    with RecogniserProcess(stand_in.load) as process:
        yield process


def until(hearings: queue.Queue, kind: HearingKind):
    """All hearings up to the first of a kind."""
    found = []
    while not found or found[-1].kind is not kind:
        found.append(hearings.get(timeout=20))
    return found


def text(hearings) -> str:
    return "".join(word.text for hearing in hearings for word in hearing.words)


def ends(number: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while alive(number) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(number)


def test_two_streams_take_turns_and_hear_their_own_words(recogniser):
    heard = [queue.Queue(), queue.Queue()]
    streams = [recogniser.open(each.put) for each in heard]
    sounds = [spoken("Tom has 5 coins."), spoken("He sings. " * 3)]
    for stream, sound in zip(streams, sounds, strict=True):
        for block in np.array_split(sound, 5):
            stream.send(block.tobytes())
        stream.flush()
    assert text(until(heard[0], HearingKind.FLUSHED)) == " Tom has 5 coins."
    assert text(until(heard[1], HearingKind.FLUSHED)) == " He sings." * 3
    assert streams[0].sent_seconds == pytest.approx(len(sounds[0]) / 16_000)
    assert abs(streams[0].behind_seconds) < 0.04
    for stream in streams:
        stream.close()


def test_pcm_of_another_rate_is_heard_and_may_end_anywhere(recogniser):
    pytest.importorskip("av")
    heard = queue.Queue()
    stream = recogniser.open(heard.put, SoundForm(Encoding.PCM16, 48_000))
    data = np.repeat(np.round(spoken("Tom has 5 coins.") * 32_768).astype("<i2"), 3).tobytes()
    for start in range(0, len(data), 4_801):
        stream.send(data[start : start + 4_801])
    stream.flush()
    assert text(until(heard, HearingKind.FLUSHED)).split()[::3] == ["Tom", "coins."]
    assert stream.sent_seconds == pytest.approx(1.2)
    stream.close()


def test_a_closed_stream_says_nothing_more(recogniser):
    heard = queue.Queue()
    stream = recogniser.open(heard.put)
    stream.close()
    stream.send(spoken("Tom has 5 coins.").tobytes())
    stream.flush()
    other = queue.Queue()
    recogniser.open(other.put).flush()
    until(other, HearingKind.FLUSHED)
    assert heard.empty()


def test_what_the_recogniser_lacks_is_said_in_the_parent():
    with pytest.raises(UserError, match=r"tiny\.en: is no model\."):
        RecogniserProcess(stand_in.refuse)


def test_a_crash_reaches_every_stream_with_its_exit_code():
    heard = [queue.Queue(), queue.Queue()]
    with RecogniserProcess(stand_in.load) as process:
        streams = [process.open(each.put) for each in heard]
        streams[0].send(spoken("dies").tobytes())
        streams[0].flush()
        for each in heard:
            assert "exit code 3" in until(each, HearingKind.FAILED)[-1].reason
        assert not process.is_alive
        streams[1].send(b"\0" * 64)  # nothing is raised
        streams[1].flush()


def test_closing_ends_the_process_in_the_middle_of_its_work():
    process = RecogniserProcess(stand_in.load)
    stream = process.open(lambda _: None)
    stream.send(spoken("sleeps").tobytes())
    stream.flush()
    time.sleep(0.1)
    began = time.monotonic()
    process.close()
    assert time.monotonic() - began < 1.5
    assert not process.is_alive


PARENT = """
import os, signal, sys, time
from adasr_trl.speech.process import RecogniserProcess
from support import stand_in_speech as stand_in
if __name__ == "__main__":
    # Tests in the background of a shell inherit that interrupts are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = RecogniserProcess(stand_in.load)
    stream = process.open(lambda _: None)
    if "busy" in sys.argv:
        stream.send(stand_in.spoken("sleeps").tobytes()); stream.flush()
    try:
        print(process._process.pid, flush=True)
        while True:
            time.sleep(0.05)  # an interrupt just before one long sleep would wait for its end
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("how", "work"), [(signal.SIGKILL, "idle"), (signal.SIGKILL, "busy"), (signal.SIGINT, "busy")]
)
def test_the_process_ends_with_its_parent_however_that_ends(tmp_path, how, work):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = python(script, work)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    if how is signal.SIGINT:
        os.killpg(parent.pid, how)  # as a terminal does
    else:
        parent.kill()
    out, err = parent.communicate(timeout=20)
    assert ends(child)
    assert "Traceback" not in err
    assert out == ("interrupted\n" if how is signal.SIGINT else "")
