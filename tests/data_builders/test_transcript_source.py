"""Transcripts: captions, their times, and their cuts."""

import json

import pytest

from data_builders.__main__ import main
from support.building import build_source, manifest, refused, write_rows

SRT = "1\n00:00:00,500 --> 00:00:02,000\nGood <i>morning</i>.\n\n2\n00:00:02,000 --> 00:01:05,250\nThe exam is\non Friday.\n"
VTT = SRT.replace(",", ".").replace("1\n0", "WEBVTT\n\n0", 1).replace("\n\n2\n", "\n\n")


@pytest.mark.parametrize("captions", [SRT, VTT])
def test_captions_arrive_when_they_were_said(tmp_path, out, captions):
    row = {"question": "When is the exam?", "answer": "Friday", "segments": captions}
    (episode,) = build_source(
        "transcript", tmp_path, out, [row], "--licence", "MIT", "--chunk", "source"
    )
    assert episode.chunks == ("Good morning.", " The exam is on Friday.")
    assert episode.arrival_seconds == (2.0, 65.25)


def test_other_cuts_interpolate_between_the_times_of_segments(tmp_path, out):
    segments = [{"end": 2.0, "text": "One two."}, {"end": 4.0, "text": " Then three. Four!"}]
    row = {"question": "Last?", "answer": "four", "segments": segments}
    (episode,) = build_source("transcript", tmp_path, out, [row], "--licence", "MIT")
    assert episode.chunks == ("One two.", " Then three.", " Four!")
    assert episode.arrival_seconds == (2.0, 3.333, 4.0)  # 12 of 18 characters of the second


def test_times_that_go_back_are_corrected_and_counted(tmp_path, out):
    segments = [{"end": 3.0, "text": "One."}, {"end": 1.0, "text": "Two."}]
    row = {"question": "Last?", "answer": "two", "segments": segments}
    (episode,) = build_source("transcript", tmp_path, out, [row], "--licence", "MIT")
    assert episode.arrival_seconds == (3.0, 3.0)
    assert manifest(out)["counts"] == {"times_that_go_back": 1}


def test_a_file_name_leads_nowhere_else(tmp_path, out, capsys):
    talks = tmp_path / "talks"
    talks.mkdir()
    (talks / "a.srt").write_text(SRT)
    (tmp_path / "secret.srt").write_text(SRT)
    row = {"question": "When?", "answer": "Friday", "segments": "a.srt"}
    more = ("--licence", "MIT", "--transcripts", str(talks), "--chunk", "source")
    (episode,) = build_source("transcript", tmp_path, out, [row], *more)
    assert episode.chunks[0] == "Good morning."
    path = write_rows(tmp_path / "bad.jsonl", [{**row, "segments": "../secret.srt"}])
    status = main(["transcript", "--input", str(path), "--out", str(tmp_path / "b"), *more])
    refused(status, capsys, "bad.jsonl:1", "no transcript", "../secret.srt")


JSON = '{"segments": [{"start": 0.5, "end": 2.0, "text": "Good morning."}]}'


@pytest.mark.parametrize("given", [JSON, json.loads(JSON), "talk.json"])
def test_a_recogniser_s_json_may_be_text_a_cell_or_a_file(tmp_path, out, given):
    talks = tmp_path / "talks"
    talks.mkdir()
    (talks / "talk.json").write_text(JSON)
    row = {"question": "Which greeting?", "answer": "Good morning", "segments": given}
    (episode,) = build_source(
        "transcript", tmp_path, out, [row], "--licence", "MIT", "--transcripts", str(talks)
    )
    assert (episode.chunks, episode.arrival_seconds) == (("Good morning.",), (2.0,))


def test_a_broken_transcript_rejects_its_row_only(tmp_path, out):
    talks = tmp_path / "talks"
    talks.mkdir()
    (talks / "latin.srt").write_bytes("1\n00:00:01 --> 00:00:02\ncaf\u00e9\n".encode("latin-1"))
    broken = [
        [{"start": 2.0, "end": 1.0, "text": "Back."}],
        [{"start": 1, "stop": 2, "text": "Units."}],
        "1\n00:00:01,000 --> 00:00:0x,000\nHi.\n",
        "latin.srt",
        "nowhere.srt",
        "word " * 100,
        "a\0b",
    ]
    rows = [
        {"question": "Which greeting?", "answer": "Good morning", "segments": segments}
        for segments in (*broken, JSON)
    ]
    more = ("--licence", "MIT", "--transcripts", str(talks))
    (episode,) = build_source("transcript", tmp_path, out, rows, *more)
    assert episode.chunks == ("Good morning.",)
    assert manifest(out)["rejected"]["total"] == len(broken)
