"""The parts of live use: the session's times, the lines, the picture."""

from __future__ import annotations

import io
import re
import time
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from adasr_trl.core.protocol import Ending
from adasr_trl.live.background import BackgroundStream
from adasr_trl.live.display_state import Script
from adasr_trl.live.picture import draw
from adasr_trl.live.rendering import Beside, Line, plain_line
from adasr_trl.live.screen import Closing, LineScreen, Opening
from adasr_trl.live.session import Arrived, Session
from adasr_trl.live.sources import Piece, replayed
from adasr_trl.live.stream import Event, Kind
from support.live_use import QUESTION, TEXT, reasoner_of
from support.settings import STREAMING

OPENING = Opening(QUESTION, "run", "interleaved", "cpu", 0.0, 0)
CLOSING = Closing(3.0, 0.25, 0.2, 0.75, "9", "measured", 12, 1)


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


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_on_no_terminal_can_words_reach_the_first_column(width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    words = "so it goes on and on " * 5 + "\n9.00 s answer 8"
    console.print(
        Beside([(Line("read", words, "", "", 1.0), Line("think", words, "", "9 tokens"))])
    )
    shown = console.file.getvalue().splitlines()
    assert shown[0].split()[:2] == ["1.00", "s"]
    assert not [line for line in shown[1:] if line[:6].strip() and "think" not in line]


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
        "read-then-think would have taken 0.75 s, measured, answer 9",
        "streaming 12 tokens, deep 1 token",
    ]
    alone = Closing(3.0, 0.25, None, None, None, "not asked for", 12, 1)
    assert alone.words().splitlines()[0] == "waited 0.25 s for the answer"


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
    assert re.search(r'delay:1.00s">Tom&#160;has&#160;5', picture)
    assert re.search(r'delay:3.00s">think.*delay:3.00s">Tom&#160;5', picture)
    assert len(picture) < 100_000
    ElementTree.fromstring(picture)
