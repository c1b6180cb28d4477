"""Where live text comes from: bytes to text, times, pauses, and what is refused."""

from __future__ import annotations

import os
import threading
import time

import pytest

from adasr_trl.core.clock import Clock, arrivals
from adasr_trl.core.decoding import Decoder, read_text
from adasr_trl.core.errors import UserError
from adasr_trl.live import sources
from adasr_trl.live.sources import InputPiece, on_time, replayed, transcribed, typed
from support.live_use import EPISODE, TEXT


@pytest.fixture
def due(monkeypatch):
    """When each piece of a source is due; nothing waits."""
    seen = []

    def at_once(timed, stop):
        for seconds, piece in timed:
            seen.append(seconds)
            yield piece

    monkeypatch.setattr(sources, "on_time", at_once)
    return seen


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


def pieces_of(source):
    return list(source(threading.Event()))


def test_a_character_may_be_split_anywhere():
    data = "naïve 漢字 🐤".encode()
    for cut in range(len(data)):
        reader = Decoder("x")
        text = (
            reader.decode(data[:cut]) + reader.decode(data[cut:]) + reader.decode(b"", final=True)
        )
        assert text == "naïve 漢字 🐤"


@pytest.mark.parametrize(
    ("parts", "byte", "offset"),
    [
        ([b"\xff\x00"], "0xff", 0),
        ([b"caf\xe9 au lait"], "0xe9", 3),
        ([b"abcd", b"ef\xff"], "0xff", 6),
        ([b"ab\xe6\xbc", b"x"], "0xe6", 2),  # a character that was begun in the read before
        ([b"ab\xe6\xbc"], "0xe6", 2),  # and one that the end cut off
        ([b"ab", b"c\0d"], "0x00", 3),
    ],
)
def test_bytes_that_are_no_text_are_named_with_their_offset(parts, byte, offset):
    def read():
        reader = Decoder("story")
        for part in parts:
            reader.decode(part)
        reader.decode(b"", final=True)

    with pytest.raises(UserError, match=f"story: byte {byte} at offset {offset} is not UTF-8"):
        read()


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfTom has 5.")
    assert read_text(path) == "Tom has 5."


@pytest.mark.parametrize("form", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("cut", range(6))
def test_a_byte_order_mark_is_obeyed_wherever_a_pipe_cuts_it(form, cut):
    mark = "" if form in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    data = f"{mark}Tom has 5 \u20ac.".encode(form)
    reader = Decoder("x")
    text = reader.decode(data[:cut]) + reader.decode(data[cut:]) + reader.decode(b"", final=True)
    assert text == "Tom has 5 \u20ac."


def test_a_replay_says_words_at_the_reading_speed_and_chunks_when_the_clock_does(due):
    pieces = pieces_of(replayed("x", TEXT, words_per_minute=150))
    assert "".join(piece.text for piece in pieces) == TEXT
    assert [piece.chunk for piece in pieces if piece.chunk] == list(EPISODE.chunks)
    assert due == pytest.approx([0.4 * n for n in range(1, 11)])  # ten words
    ends = [t for t, piece in zip(due, pieces, strict=True) if piece.chunk]
    assert ends == pytest.approx(arrivals(EPISODE, Clock()))


def test_speed_makes_both_kinds_of_replay_faster(due):
    pieces_of(replayed("x", "Tom sings.", words_per_minute=150, speed=4))
    pieces_of(transcribed("x", '[{"end": 6, "text": "Hi."}]', speed=4))
    assert due == pytest.approx([0.1, 0.2, 1.5])


def test_a_transcript_arrives_segment_by_segment_at_its_own_times(due):
    text = '[{"end": 2, "text": "Tom has 5"}, {"end": 1, "text": "coins."}]'
    assert pieces_of(transcribed("x", text)) == [
        InputPiece("Tom has 5", pause=True),
        InputPiece(" coins.", pause=True),
    ]
    assert due == [2.0, 2.0]


def test_files_without_text_are_refused_by_name():
    with pytest.raises(UserError, match="story: holds no text"):
        replayed("story", " \n", 150)
    with pytest.raises(UserError, match="talk: holds no caption times"):
        transcribed("talk", "A story.")


def test_a_pipe_gives_what_was_written_until_it_is_closed(pipe):
    reading, writing = pipe
    os.write(writing, b"Tom has 5.")
    os.close(writing)
    found = pieces_of(typed(reading, "x", 1.0, by_line=False))
    assert found == [InputPiece("Tom has 5."), InputPiece("")]


def test_silence_is_one_pause(pipe):
    reading, writing = pipe
    source = typed(reading, "x", 0.05, by_line=False)(threading.Event())
    os.write(writing, b"Tom has 5.")
    assert next(source) == InputPiece("Tom has 5.")
    assert next(source) == InputPiece("", pause=True)
    threading.Timer(0.3, os.write, (writing, b" He")).start()
    assert next(source) == InputPiece(" He")  # no second pause in 0.3 s of silence


def test_a_line_at_a_terminal_is_a_pause(pipe):
    reading, writing = pipe
    source = typed(reading, "x", 1.0, by_line=True)(threading.Event())
    os.write(writing, b"Tom has 5.\n")
    assert next(source) == InputPiece("Tom has 5.\n", pause=True)


def test_a_pipe_without_text_is_refused(pipe):
    reading, writing = pipe
    os.write(writing, b" \n")
    os.close(writing)
    with pytest.raises(UserError, match="standard input: ended without any text"):
        pieces_of(typed(reading, "standard input", 1.0, by_line=False))


def test_sources_end_soon_after_they_are_stopped(pipe):
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()
    assert list(typed(pipe[0], "x", 60.0, by_line=False)(stop)) == []
    assert list(on_time([(60.0, InputPiece("x"))], stop)) == []
    assert time.monotonic() - started < 2.0
