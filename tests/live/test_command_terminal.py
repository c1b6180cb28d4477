"""adasr stream on a terminal: typing, watching, and being told to stop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import sys
import termios
import threading
import time

import pytest

from support.live_use import stream, threads_left


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
    monkeypatch.setenv("COLUMNS", "100")  # rich asks the file descriptors 0 to 2
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
    assert re.search(r"Answer \d|No answer ", text)
    assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_after_a_pause_an_unfinished_sentence_says_which_end_it_waits_for(run, terminal):
    def by_hand():
        terminal.wait_for(b"question")
        terminal.type(b"Tom has 5 coins\n")
        terminal.wait_for(b"waits")
        terminal.type(b"\n")  # an empty line ends the sentence
        terminal.wait_for(b"read")
        terminal.type(b"Tom finds 3\n\x04")

    threading.Thread(target=by_hand, daemon=True).start()
    with terminal.entered(typing=True):
        stream(run, "--pause", "0.1")
    text = terminal.text()
    assert (
        "waits  for the end of the sentence (. ? !), an empty line, or the end of the input" in text
    )
    assert re.search(r"read +Tom has 5 coins\r\n", text)
    assert text.index("waits") < text.index("read")


def test_on_a_terminal_thoughts_stand_beside_the_input_and_the_cursor_comes_back(
    run, story, terminal
):
    with terminal.entered():
        stream(run, "--replay", story, "--wpm", "30000")
    assert re.search(r"\d\.\d\d s Tom has 5 coins\. +(think|skip) ", terminal.text())
    rows = re.findall(r"(\d\.\d\d) s [^\r\n]* tokens?  (\d\.\d\d) s", terminal.text())
    times = [float(time) for row in rows for time in row]
    assert len(rows) == 3
    assert times == sorted(times)
    assert terminal.shown.count(b"\x1b[?25l") == terminal.shown.count(b"\x1b[?25h") == 1


@pytest.fixture
def heeding():
    """Python's own answer to Ctrl-C, which processes that run tests side by side ignore, and to a hang-up, which nohup ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGHUP, hang_up)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_gives_the_terminal_back(run, story, terminal, number, status, capfd, heeding):
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
    assert threads_left() == []
