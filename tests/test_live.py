"""adasr stream as it is used: pipes, files, terminals, programs, and everything that can go wrong."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import re
import signal
import struct
import sys
import termios
import threading
import time

import pytest
from conftest import STREAMING
from loopback_completions import CompletionServer
from rich.console import Console
from test_reasoner import QUESTION, TEXT
from test_reasoner_served import reasoner_of

from adasr_trl import cli
from adasr_trl.background import BackgroundStream
from adasr_trl.live.picture import draw
from adasr_trl.live.rows import Beside, Line, plain_line
from adasr_trl.live.screen import Closing, LineScreen, Opening
from adasr_trl.live.script import Script
from adasr_trl.live.session import Arrived, Session
from adasr_trl.live.sources import Piece, replayed
from adasr_trl.protocol import Ending
from adasr_trl.reasoner import Event, Kind
from adasr_trl.streaming_file import save_streaming

OPENING = Opening(QUESTION, "run", "interleaved", "cpu", 0.0, 0)
CLOSING = Closing(3.0, 0.25, 0.2, 0.75, "measured", 12, 1)


@pytest.fixture
def run(tmp_path, taught, tokenizer):
    """A whole model's directory."""
    taught.save_pretrained(tmp_path / "run")
    tokenizer.save_pretrained(tmp_path / "run")
    save_streaming(tmp_path / "run", STREAMING)
    return str(tmp_path / "run")


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text(TEXT)
    return str(path)


@contextlib.contextmanager
def piped(data: bytes):
    """Standard input is a pipe that holds ``data`` and is closed."""
    reading, writing = os.pipe()
    threading.Thread(target=lambda: (os.write(writing, data), os.close(writing))).start()
    kept, sys.stdin = sys.stdin, os.fdopen(reading)
    try:
        yield
    finally:
        sys.stdin.close()
        sys.stdin = kept


def stream(run, *flags, data=None):
    command = ["stream", run, "--question", QUESTION, "--device", "cpu", *flags]
    if data is None:
        return cli.main(command)
    with piped(data):
        return cli.main(command)


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_pipe_is_read_thought_about_and_answered(run, capsys):
    status = stream(run, data=b"Tom has 5 coins. Tom finds 3 more coins.")
    lines = capsys.readouterr().out.splitlines()
    labels = [line.split(" s ")[-1].split()[0] for line in lines[1:-2]]
    assert labels[0] == "read"
    assert labels.count("read") == 2
    assert labels[-2:] == ["deep", "answer"]
    assert lines[0] == f"question {QUESTION}"
    assert re.search(r"read-then-think would have taken \d+\.\d\d s, measured$", lines[-2])
    assert status in (0, 1)


def test_programs_get_one_event_a_line_with_its_time(run, story, capsys):
    stream(run, "--replay", story, "--wpm", "30000", "--json")
    found = events(capsys)
    assert [each["event"] for each in found if each["event"] not in ("text", "thought")] == [
        *("start", "read", "read", "read", "deep", "answer", "wait"),
    ]
    assert "".join(each["text"] for each in found if each["event"] == "text") == TEXT
    assert [each["chunk"] for each in found if each["event"] == "thought"] == [0, 1, 2]
    assert all(each["seconds"] >= 0 for each in found)
    first = next(each for each in found if each["event"] == "read")
    assert first["arrived_seconds"] <= first["seconds"]
    wait = found[-1]
    assert 0 < wait["wait_seconds"] < 10
    assert wait["read_then_think"] == "measured"
    assert wait["read_then_think_seconds"] > 0


def test_a_transcript_and_another_layout_can_be_asked_for(run, tmp_path, capsys):
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
    assert found[-4:] == ["out_of_positions", "deep", "answer", "wait"]
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
    assert not any(each.name.startswith("adasr") for each in threading.enumerate())


def test_a_completion_server_can_write(run, story, taught, tokenizer, capsys):
    with CompletionServer(taught, tokenizer) as server:
        flags = ["--server", server.url, "--replay", story, "--wpm", "30000", "--json"]
        stream(run, *flags)
        assert events(capsys)[0]["device"] == server.url
        assert stream(run, *flags, "--layout", "parallel") == 2


class Terminal:
    """A pseudo terminal that is standard input (``typing``) and output while it is entered."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        self.shown = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 65_536):
                self.shown += data

    @contextlib.contextmanager
    def entered(self, *, typing: bool = False):
        """pytest sets the standard streams again between a fixture and its test, so this is for the test."""
        kept = sys.stdin, sys.stdout
        sys.stdout = os.fdopen(os.dup(self.slave), "w")
        if typing:
            sys.stdin = os.fdopen(os.dup(self.slave))
        try:
            yield
        finally:
            sys.stdout.close()
            if typing:
                sys.stdin.close()
            sys.stdin, sys.stdout = kept

    def wait_for(self, words: bytes) -> None:
        until = time.monotonic() + 10
        while words not in self.shown:
            if time.monotonic() > until:
                self.type(b"\x04")
                raise TimeoutError(self.shown)
            time.sleep(0.02)

    def type(self, words: bytes) -> None:
        os.write(self.master, words)

    def text(self) -> str:
        """What it shows, without colours and movements."""
        time.sleep(0.1)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown.decode())


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    made = Terminal()
    yield made
    os.close(made.slave)
    os.close(made.master)


def test_a_sentence_that_is_typed_is_thought_about_when_its_line_ends(run, terminal):
    def by_hand():
        terminal.wait_for(b"question")
        terminal.type(b"Tom has 5")
        time.sleep(0.1)
        terminal.type(b" coins.\n")
        terminal.wait_for(b"read")  # before anything else is typed
        terminal.type(b"Tom finds 3 more")
        terminal.type(b"\n\x04")

    threading.Thread(target=by_hand, daemon=True).start()
    with terminal.entered(typing=True):
        stream(run)
    text = terminal.text()
    assert re.search(r"read +Tom has 5 coins\.", text)
    assert re.search(r"read +Tom finds 3 more\r\n", text)
    assert "waited" in text
    assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_on_a_terminal_thoughts_stand_beside_the_input_and_the_cursor_comes_back(
    run, story, terminal
):
    with terminal.entered():
        stream(run, "--replay", story, "--wpm", "30000")
    assert re.search(r"\d\.\d\d s Tom has 5 coins\. +(think|skip) ", terminal.text())
    assert terminal.shown.count(b"\x1b[?25l") == terminal.shown.count(b"\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_gives_the_terminal_back(run, story, terminal, number, status, capfd):
    def strike():
        terminal.wait_for(b"Tom")
        os.kill(os.getpid(), number)

    threading.Thread(target=strike, daemon=True).start()
    with terminal.entered():
        try:
            found = stream(run, "--replay", story, "--wpm", "60")  # ten seconds
        except SystemExit as left:
            found = left.code
    assert found == status
    terminal.text()
    assert terminal.shown.rfind(b"\x1b[?25h") > terminal.shown.rfind(b"\x1b[?25l")
    assert "Traceback" not in capfd.readouterr().err
    assert not any(each.name.startswith("adasr") for each in threading.enumerate())


# ---- parts


def test_the_wait_is_measured_from_the_end_of_the_input(taught, tokenizer):
    reasoner = reasoner_of(taught, tokenizer, STREAMING)
    with Session(reasoner, QUESTION, replayed("x", TEXT, 60_000)) as session:
        moments = list(session)
    waited = session.waited()
    last = max(moment.at for moment in moments if isinstance(moment, Arrived))
    answer = next(moment.at for moment in moments if getattr(moment, "kind", 0) is Kind.ANSWER)
    assert waited.end_seconds == pytest.approx(answer - last, abs=0.02)
    assert 0 < waited.seconds <= waited.end_seconds
    assert [m.text for m in moments if getattr(m, "kind", 0) is Kind.READ] == [
        "Tom has 5 coins.", " He sings.", " Tom finds 3 coins.",
    ]  # fmt: skip


def test_an_error_of_the_source_is_raised_where_the_moments_are_taken(taught, tokenizer):
    def broken(stop):
        yield Piece("Tom has 5 coins.")
        raise ValueError("the line is dead")

    with (
        Session(reasoner_of(taught, tokenizer, STREAMING), QUESTION, broken) as session,
        pytest.raises(ValueError, match="the line is dead"),
    ):
        list(session)


def test_closing_stops_behind_a_token(taught, tokenizer):
    stream = BackgroundStream(reasoner_of(taught, tokenizer, STREAMING), QUESTION)
    stream.feed(TEXT * 10)
    stream.finish()
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 1.0


def played():
    """A script of two chunks, the second of which was read late."""
    script = Script(started=100.0)
    for moment in (
        Arrived("Tom has 5. He", 101.0),
        Event(Kind.READ, "Tom has 5.", at=101.0),
        Arrived(" sings.\n", 102.0),
        Event(Kind.THOUGHT, "Tom 5", Ending.THOUGHT, 0, 3, at=103.0),
        Event(Kind.READ, " He sings.\n", chunk=1, at=103.0),
        Event(Kind.THOUGHT, "", Ending.SKIP, 1, 1, at=103.5),
        Event(Kind.DEEP, "5", Ending.ANSWERED, 2, 4, at=104.0),
        Event(Kind.ANSWER, "5", Ending.ANSWERED, 2, 4, at=104.25),
    ):
        script.take(moment)
    return script


def test_a_chunks_time_is_the_arrival_of_its_last_word():
    pairs = played().pairs
    assert [(read.seconds, thought.seconds) for read, thought in pairs] == [(1.0, 3.0), (2.0, 3.5)]
    assert [line.seconds for line in played().tail] == [4.0, 4.25]


def test_lines_say_when_what_and_how_much():
    assert plain_line(Line("think", "Tom 5", "", "3 tokens", 3.0), 40) == (
        "   3.00 s think  Tom 5          3 tokens"
    )


def test_no_words_can_forge_a_line_or_reach_the_terminal():
    forged = plain_line(Line("answer", "7\n   9.00 s answer 8\x1b[2J\x9b", "", "", 9.0))
    first, second = forged.split("\n")
    assert first == "   9.00 s answer 7"
    assert second.startswith(" " * 17)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", forged)
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(Beside([(Line("read", "[red]a[/red]\x1b[2J"), Line("think", ":apple:\x07"))]))
    shown = console.file.getvalue()
    assert "[red]a[/red]␛[2J" in shown
    assert ":apple:␇" in shown


def test_every_line_is_flushed_at_once():
    flushed = []

    class Out(io.StringIO):
        def flush(self):
            flushed.append(self.getvalue())

    screen = LineScreen(Console(file=Out(), width=100), Script(0.0))
    screen.begin(OPENING)
    screen.show(Event(Kind.READ, "Tom has 5.", at=1.0))
    assert flushed[-1].splitlines()[-1].endswith("read   Tom has 5.")


def test_the_closing_words_say_how_read_then_think_is_known():
    assert CLOSING.words().splitlines() == [
        "waited 0.25 s for the answer (its first token after 0.20 s); "
        "read-then-think would have taken 0.75 s, measured",
        "streaming 12 tokens, deep 1 token",
    ]


def test_a_picture_loads_nothing_and_shows_hostile_words_as_words(tmp_path):
    script = played()
    script.pairs.append((Line("read", '<script src="http://x"/>&\x1b'), Line("skip", "<skip>")))
    draw(tmp_path / "a.svg", OPENING, script, CLOSING)
    picture = (tmp_path / "a.svg").read_text()
    assert set(re.findall(r"https?://[^\"&]*", picture)) <= {
        "http://www.w3.org/2000/svg",
        "http://x",
    }
    assert not re.search(r"<script|@font-face|@import|url\((?!#)|href", picture)
    assert "Tom" in picture
    assert len(picture) < 100_000
    import xml.etree.ElementTree as ElementTree

    ElementTree.fromstring(picture)
