"""Timed transcripts: three formats, one result."""

from __future__ import annotations

import json

import pytest

from adasr_trl.core.transcripts import (
    Segment,
    TranscriptError,
    in_order,
    read_transcript,
    spaced,
)

SRT = "1\n00:00:00,500 --> 00:00:02,000\nGood <i>morning</i>.\n\n2\n00:00:02,000 --> 01:01:05,250\nThe exam is\non Friday.\n"
VTT = (
    "WEBVTT\n\nNOTE from a talk\n\n00:00.500 --> 00:02.000 align:start\n<v Ann>Good morning.\n\n"
    "intro\n00:02.000 --> 01:01:05.250\nThe exam is\non Friday.\n"
)
WHISPER = json.dumps(
    {
        "text": " Good morning. The exam is on Friday.",
        "segments": [
            {"id": 0, "start": 0.5, "end": 2, "text": " Good morning."},
            {"id": 1, "start": 2.0, "end": 3665.25, "text": " The exam is on Friday."},
            {"id": 2, "start": 3666.0, "end": 3667.0, "text": " "},
        ],
    }
)


@pytest.mark.parametrize(
    "text", [SRT, SRT.replace("\n", "\r\n"), WHISPER], ids=["srt", "crlf", "json"]
)
def test_every_format_says_what_was_said_and_when(text):
    found = read_transcript(text)
    assert [each.end_seconds for each in found] == [2.0, 3665.25]
    assert [each.text.strip() for each in found] == ["Good morning.", "The exam is on Friday."]


def test_webvtt_has_settings_voices_and_times_without_hours():
    first, second = read_transcript(VTT)
    assert first == Segment(2.0, "Good morning. intro")  # a cue's name is not told from its text
    assert second == Segment(3665.25, "The exam is on Friday.")


def test_a_bare_list_of_segments_is_read_too():
    assert read_transcript('[{"end": 1.5, "text": "Hi."}]') == (Segment(1.5, "Hi."),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Just a story.", "holds no caption times"),
        ("{", "is no JSON"),
        ('{"text": "Hi"}', "has no list of segments"),
        ('{"segments": [{"end": "2", "text": "Hi"}]}', r"segments\[0\]: end is '2'"),
        ('{"segments": [{"end": NaN, "text": "Hi"}]}', r"segments\[0\]: end is nan"),
        ('{"segments": [{"end": -1, "text": "Hi"}]}', r"segments\[0\]: end is -1"),
        ('{"segments": [{"end": 1, "text": "Hi"}, 7]}', r"segments\[1\]: end is None"),
        ('{"segments": [{"end": 1, "text": null}]}', r"segments\[0\]: text is None"),
        ('{"segments": [{"end": 1, "text": " "}]}', "no segment with text"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_transcript_is_refused_with_its_place(text, words):
    with pytest.raises(TranscriptError, match=words):
        read_transcript(text)


def test_times_that_go_back_are_set_to_the_latest():
    given = (Segment(3.0, "a"), Segment(1.0, "b"), Segment(4.0, "c"))
    assert [each.end_seconds for each in in_order(given)] == [3.0, 3.0, 4.0]


def test_texts_are_set_apart_by_one_space_at_least():
    assert spaced(["a", "b", " c", "d\n", "e"]) == ("a", " b", " c", " d\n", "e")
