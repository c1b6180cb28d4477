"""A session's times, the lines of a display, the picture."""

from __future__ import annotations

import dataclasses
import io
import re
import time
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from adasr_trl.core.protocol import Ending
from adasr_trl.live.background import BackgroundStream
from adasr_trl.live.display_state import SENTENCE_END, DisplayState
from adasr_trl.live.picture import draw
from adasr_trl.live.reasoner import ReadThenThinkResult
from adasr_trl.live.rendering import (
    DisplayLine,
    SideBySide,
    answer_line,
    plain_line,
    written_line,
)
from adasr_trl.live.screen import LineScreen, StreamHeader
from adasr_trl.live.session import InputArrival, Session, StreamSummary, UnfinishedSentence
from adasr_trl.live.sources import InputPiece, replayed
from adasr_trl.live.stream import Event, EventKind
from support.live_use import QUESTION, TEXT, reasoner_of
from support.settings import STREAMING

HEADER = StreamHeader(QUESTION, "run", "interleaved", "cpu", 0.0, 0)
SUMMARY = StreamSummary(0.25, 0.2, None, 13, 9, 12, 1, ReadThenThinkResult(0.75, "9\nright?"))


def test_the_answer_latency_is_measured_from_the_end_of_the_input(taught, tokenizer):
    reasoner = reasoner_of(taught, tokenizer, STREAMING)
    with Session(reasoner, QUESTION, replayed("x", TEXT, 60_000)) as session:
        updates = list(session)
    summary = session.summary()
    last = max(update.at for update in updates if isinstance(update, InputArrival))
    answer = next(each.at for each in updates if getattr(each, "kind", 0) is EventKind.ANSWER)
    assert 0 < summary.answer_latency_seconds <= answer - last + 0.02
    times = session.stream.token_seconds
    assert summary.tokens == len(times)
    assert summary.tokens_before_end == sum(time < session.ended for time in times)
    assert [each.text for each in updates if getattr(each, "kind", 0) is EventKind.READ] == [
        "Tom has 5 coins.", " He sings.", " Tom finds 3 coins.",
    ]  # fmt: skip


def test_a_pause_in_a_sentence_is_reported_behind_what_was_read_before_it(taught, tokenizer):
    def source(stop):
        yield InputPiece("Tom has 5 coins. Tom finds")
        yield InputPiece("", pause=True)
        yield InputPiece(" 3 coins.")
        yield InputPiece("", pause=True)

    with Session(reasoner_of(taught, tokenizer, STREAMING), QUESTION, source) as session:
        updates = [update for update in session if not isinstance(update, InputArrival)]
    (pause,) = (update for update in updates if isinstance(update, UnfinishedSentence))
    assert pause.text == "Tom finds"
    kinds = [update.kind for update in updates[: updates.index(pause)]]
    assert kinds == [EventKind.READ, EventKind.THOUGHT]


def test_an_error_of_the_source_is_raised_where_the_updates_are_taken(taught, tokenizer):
    def broken(stop):
        yield InputPiece("Tom has 5 coins.")
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
    """A display of two chunks, the second of which was read late."""
    state = DisplayState(started=100.0)
    for update in (
        InputArrival("Tom has 5. He", 101.0),
        Event(EventKind.READ, "Tom has 5.", at=101.0),
        InputArrival(" sings.\n", 102.0),
        Event(EventKind.THOUGHT, "Tom 5", Ending.THOUGHT, 0, 3, at=103.0),
        Event(EventKind.READ, " He sings.\n", chunk=1, at=103.0),
        Event(EventKind.THOUGHT, "", Ending.SKIP, 1, 1, at=103.5),
        Event(EventKind.DEEP, "5", Ending.ANSWERED, 2, 4, at=104.0),
        Event(EventKind.ANSWER, "5", Ending.ANSWERED, 2, 4, at=104.25),
    ):
        state.take(update)
    return state


def test_a_chunks_time_is_the_start_of_its_reading_and_its_arrival_that_of_its_last_word():
    state = played()
    times = [(read.seconds, thought.seconds) for read, thought in state.pairs]
    assert times == [(1.0, 3.0), (3.0, 3.5)]
    assert [line.seconds for line in state.tail] == [4.0, 4.25]
    assert state.arrived_seconds == 2.0


def test_a_late_report_of_another_thread_does_not_turn_time_back():
    state = DisplayState(started=0.0)
    state.take(InputArrival("Tom has 5.", 1.0))
    assert state.take(Event(EventKind.READ, "Tom has 5.", at=0.999)).seconds == 1.0


def test_an_unfinished_sentence_is_reported_once():
    state = DisplayState(started=0.0)
    pause = UnfinishedSentence("Tom has 5", 1.0)
    assert plain_line(state.take(pause)) == f"   1.00 s waits  for {SENTENCE_END}"
    assert state.take(pause) is None
    state.take(Event(EventKind.READ, "Tom has 5.", at=2.0))
    assert state.status is None


def test_failed_endings_are_named_in_words():
    assert (
        written_line("think", "Tom 5", Ending.OUT_OF_TOKENS, 12, None).note == "cut off, 12 tokens"
    )
    assert written_line("deep", "Tom 5", Ending.MALFORMED, 1, None).note == "malformed, 1 token"
    refused = answer_line("29", Ending.MALFORMED, None)
    assert (refused.note, refused.has_failed) == ("malformed, not counted", True)
    assert answer_line("29", Ending.ANSWERED, None).note == ""


def test_lines_say_when_what_and_how_much():
    assert plain_line(DisplayLine("think", "Tom 5", 3.0, "3 tokens"), 60) == (
        "   3.00 s think  Tom 5                              3 tokens"
    )


def test_no_words_can_forge_a_line_or_reach_the_terminal():
    forged = plain_line(DisplayLine("answer", "7\n   9.00 s answer 8\x1b[2J\x9b", 9.0))
    first, second = forged.split("\n")
    assert first == "   9.00 s answer 7"
    assert second.startswith(" " * 17)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", forged)
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(
        SideBySide(
            [(DisplayLine("read", "[red]a[/red]\x1b[2J"), DisplayLine("think", ":apple:\x07"))]
        )
    )
    shown = console.file.getvalue()
    assert "[red]a[/red]␛[2J" in shown
    assert ":apple:␇" in shown


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_on_no_terminal_can_words_reach_the_first_column(width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    words = "so it goes on and on " * 5 + "\n9.00 s answer 8"
    console.print(
        SideBySide(
            [(DisplayLine("read", words, 1.0), DisplayLine("think", words, note="9 tokens"))]
        )
    )
    shown = console.file.getvalue().splitlines()
    assert shown[0].split()[:2] == ["1.00", "s"]
    assert not [line for line in shown[1:] if line[:6].strip() and "think" not in line]


def test_every_line_is_flushed_at_once():
    flushed = []

    class Out(io.StringIO):
        def flush(self):
            flushed.append(self.getvalue())

    screen = LineScreen(Console(file=Out(), width=100), DisplayState(0.0))
    screen.begin(HEADER)
    screen.show(Event(EventKind.READ, "Tom has 5.", at=1.0))
    assert flushed[-1].splitlines()[-1].endswith("read   Tom has 5.")


def test_the_closing_line_says_what_is_true_of_this_stream():
    assert SUMMARY.words() == (
        "Answer 0.25 s after the end of the input; 9 of 13 tokens were written while it arrived. "
        "Read-then-think: answer 9 right? after 0.75 s."
    )
    alone = dataclasses.replace(SUMMARY, read_then_think=None)
    assert alone.words() == (
        "Answer 0.25 s after the end of the input; 9 of 13 tokens were written while it arrived."
    )
    failed = dataclasses.replace(alone, failure="malformed: a marker inside the answer")
    assert failed.words().startswith("No answer (malformed: a marker inside the answer); 9 of 13")


def test_a_picture_loads_nothing_and_shows_untrusted_words_as_words(tmp_path):
    state = played()
    state.pairs.append(
        (DisplayLine("read", '<script src="http://x"/>&\x1b'), DisplayLine("skip", ""))
    )
    draw(tmp_path / "a.svg", HEADER, state, SUMMARY)
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
