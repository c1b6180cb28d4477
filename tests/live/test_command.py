"""adasr stream as it is used: pipes, files, programs, and everything that can go wrong."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import write_episodes
from adasr_trl.live.reasoner import ReadThenThinkResult, StreamingReasoner
from support.live_use import EPISODE, QUESTION, TEXT, stream, threads_left
from support.loopback_completions import CompletionServer
from support.settings import PARALLEL


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_pipe_is_read_thought_about_and_answered(run, capsys):
    status = stream(run, data=b"Tom has 5 coins. Tom finds 3 more coins.")
    lines = capsys.readouterr().out.splitlines()
    labels = [line.split(" s ")[-1].split()[0] for line in lines[1:-1]]
    assert labels[0] == "read"
    assert labels.count("read") == 2
    assert labels[-2:] == ["deep", "answer"]
    assert lines[0] == f"question {QUESTION}"
    assert re.search(
        r"^(Answer \d+\.\d\d s after the end of the input|No answer \(.*\)); \d+ of \d+ tokens were written "
        r"while it arrived\.$",
        lines[-1],
    )
    assert status in (0, 1)


def test_text_for_the_demo_without_a_question_is_not_passed_over(tmp_path, monkeypatch, capsys):
    path = tmp_path / "story.txt"
    path.write_text(TEXT)
    with path.open() as text:
        monkeypatch.setattr(sys, "stdin", text)
        assert adasr(["stream", "demo", "--device", "cpu"]) == 2
    assert "--question: is missing" in capsys.readouterr().err


def test_a_question_inside_the_text_is_pointed_out(run, caplog):
    stream(run, data=f"{TEXT}\n{QUESTION.upper()}\n".encode())
    assert "asks the question again" in caplog.text
    caplog.clear()
    stream(run, data=TEXT.encode())
    assert "asks the question again" not in caplog.text


def times_in(lines: list[str]) -> list[float]:
    return [float(found[1]) for line in lines if (found := re.match(r" *(\d+\.\d\d) s ", line))]


@pytest.mark.parametrize("flags", [["--replay", "STORY", "--wpm", "30000"], []])
def test_times_of_printed_lines_never_decrease(run, story, capsys, flags):
    data = None if flags else TEXT.encode()  # a pipe delivers all sentences at once
    stream(run, *(story if flag == "STORY" else flag for flag in flags), data=data)
    times = times_in(capsys.readouterr().out.splitlines())
    assert len(times) >= 6
    assert times == sorted(times)


@pytest.mark.parametrize(("mode", "compares"), [("streaming", False), ("read_then_think", True)])
def test_read_then_think_is_compared_only_in_a_run_that_was_taught_it(
    run, story, capsys, monkeypatch, mode, compares
):
    result = ReadThenThinkResult(0.5, "9")
    monkeypatch.setattr(StreamingReasoner, "read_then_think", lambda *_, **__: result)
    Path(run, "config.yaml").write_text(f"mode: {mode}\n")
    stream(run, "--replay", story, "--wpm", "30000")
    closing = capsys.readouterr().out.splitlines()[-1]
    assert ("Read-then-think: answer 9 after 0.50 s." in closing) is compares
    stream(run, "--replay", story, "--wpm", "30000", "--no-compare")
    assert "Read-then-think" not in capsys.readouterr().out


def test_read_then_think_without_an_answer_is_not_mentioned(run, story, capsys, monkeypatch):
    monkeypatch.setattr(StreamingReasoner, "read_then_think", lambda *_, **__: None)
    Path(run, "config.yaml").write_text("mode: read_then_think\n")
    stream(run, "--replay", story, "--wpm", "30000")
    assert "Read-then-think" not in capsys.readouterr().out


def test_programs_get_one_event_a_line_with_its_time(run, story, capsys):
    stream(run, "--replay", story, "--wpm", "30000", "--json")
    found = events(capsys)
    assert [each["event"] for each in found if each["event"] not in ("text", "thought")] == [
        *("start", "read", "read", "read", "deep", "answer", "summary"),
    ]
    assert "".join(each["text"] for each in found if each["event"] == "text") == TEXT
    assert [each["chunk"] for each in found if each["event"] == "thought"] == [0, 1, 2]
    assert all(each["seconds"] >= 0 for each in found)
    first = next(each for each in found if each["event"] == "read")
    assert first["arrived_seconds"] <= first["seconds"]
    summary = found[-1]
    assert 0 < summary["answer_latency_seconds"] < 10
    assert 0 <= summary["tokens_before_end"] <= summary["streaming_tokens"]
    assert summary["tokens"] == summary["streaming_tokens"] + summary["deep_tokens"]


@pytest.mark.parametrize("command", ["stream", "replay"])
def test_another_layout_than_the_taught_one_is_refused_in_one_line(run, story, capsys, command):
    if command == "stream":
        assert stream(run, "--replay", story, "--layout", "parallel") == 2
    else:
        write_episodes(story, [EPISODE])
        assert adasr(["replay", run, "--layout", "parallel", "--episodes", story]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: layout: got parallel, but {run} was taught the interleaved layout; leave it out, or name a run that "
        f"was trained with streaming.layout: parallel."
    )


def test_a_transcript_and_the_parallel_layout(run, tmp_path, capsys):
    save_streaming(Path(run), PARALLEL)
    talk = tmp_path / "talk.srt"
    talk.write_text("1\n00:00:00,000 --> 00:00:01,000\nTom has 5 coins.\n")
    stream(run, "--transcript", str(talk), "--speed", "50", "--layout", "parallel", "--json")
    found = events(capsys)
    assert found[0]["layout"] == "parallel"
    read = next(each for each in found if each["event"] == "read")
    assert read["text"] == "Tom has 5 coins."
    assert read["arrived_seconds"] == pytest.approx(0.02, abs=0.5)


def test_ten_thousand_words_end_by_a_named_event(run, capsys):
    assert stream(run, "--json", data=b"Tom finds 3 more coins. " * 2_000) == 1
    found = [each["event"] for each in events(capsys)]
    assert found[-4:] == ["out_of_positions", "deep", "answer", "summary"]
    assert stream(run, "--json", data=b"no stop anywhere in it " * 2_000) == 1
    assert "out_of_positions" in [each["event"] for each in events(capsys)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "standard input: ended without any text"),
        (b"Tom \xff\xfe has", "byte 0xff at offset 4 is not UTF-8"),
        (b"\x7fELF\0\0", "byte 0x00 at offset 4 is not UTF-8"),
    ],
)
def test_input_that_is_no_text_is_one_line_of_error(run, capsys, data, words):
    assert stream(run, data=data) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--replay", "nowhere.txt"], "nowhere.txt: No such file"),
        (["--transcript", "STORY"], "holds no caption times"),
        (["--question", " "], "--question: got nothing"),
        (["--question", "why " * 2000], "question: cannot be read"),
        (["--device", "cuda:99"], "--device: got 'cuda:99'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_flag(run, story, capsys, flags, words):
    given = [story if flag == "STORY" else flag for flag in flags]
    if not {"--replay", "--transcript"} & set(flags):
        given += ["--replay", story]
    assert stream(run, *given) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("flag", ["--wpm", "--speed", "--pause"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "fast"])
def test_speeds_are_above_zero(flag, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        stream("run", f"{flag}={value}")
    assert f"{flag}: got '{value}'" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1", "1e-45", "nan", "inf", "hot"])
def test_a_temperature_is_zero_or_what_float32_can_divide_by(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        stream("run", f"--temperature={value}")
    assert f"--temperature: got '{value}'; expected" in capsys.readouterr().err


def test_a_directory_that_is_no_run_is_refused(tmp_path, story, capsys):
    assert stream(str(tmp_path), "--replay", story) == 2
    assert "not a finished run" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_reader_that_goes_away_ends_it_without_a_word(run, story, monkeypatch, capfd, flags):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert stream(run, "--replay", story, "--wpm", "30000", *flags) == 141
        monkeypatch.undo()
    assert "Traceback" not in capfd.readouterr().err
    assert threads_left() == []


def test_a_completion_server_can_write(run, story, taught, tokenizer, capsys):
    with CompletionServer(taught, tokenizer) as server:
        flags = ["--server", server.url, "--replay", story, "--wpm", "30000", "--json"]
        stream(run, *flags)
        assert events(capsys)[0]["device"] == server.url
        assert stream(run, *flags, "--layout", "parallel") == 2
