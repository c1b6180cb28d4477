"""State of a live display: the lines of a stream so far, with their times; the one source of every screen.

>>> state = DisplayState(session.started)
>>> for update in session:
...     line = state.take(update)         # a DisplayLine, or None for an update without one
>>> state.pairs, state.tail
"""

from __future__ import annotations

from collections import deque

from adasr_trl.live.rendering import DisplayLine, answer_line, written_line
from adasr_trl.live.session import InputArrival, UnfinishedSentence, Update
from adasr_trl.live.stream import EARLY_ENDS, EventKind

SENTENCE_END = "the end of the sentence (. ? !), an empty line, or the end of the input"


class DisplayState:
    """Lines of a stream so far. Their times never decrease.

    Attributes:
        seconds: Time of the last update, in seconds since the start.
        arrived_seconds: Arrival of the last character of the last chunk that was read, likewise.
        pairs: Each chunk that was read, and its thought; None while that is not written.
        tail: Lines behind the last chunk.
        unread: Input that has arrived and was not read yet.
        status: The reason for a standstill; None while the stream goes on.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._arrivals: deque[tuple[int, float]] = deque()  # (characters so far, seconds)
        self._arrived = self._read = 0  # characters
        self.seconds = self.arrived_seconds = 0.0
        self.pairs: list[tuple[DisplayLine, DisplayLine | None]] = []
        self.tail: list[DisplayLine] = []
        self.unread = ""
        self.status: DisplayLine | None = None

    def take(self, update: Update) -> DisplayLine | None:
        """Take in the next update; return its line, if it has one."""
        # Two threads report: an arrival may overtake a token by microseconds.
        seconds = self.seconds = max(self.seconds, update.at - self._started)
        if isinstance(update, UnfinishedSentence):
            is_reported = self.status is not None
            self.status = DisplayLine("waits", f"for {SENTENCE_END}", seconds)
            return None if is_reported else self.status
        if isinstance(update, InputArrival):
            self._arrived += len(update.text)
            self._arrivals.append((self._arrived, seconds))
            self.unread += update.text
            return None
        self.status = None
        if update.kind is EventKind.READ:
            self._note_reading(update.text)
            line = DisplayLine("read", update.text.strip(), seconds)
            self.pairs.append((line, None))
            return line
        if update.kind in (EventKind.THOUGHT, EventKind.DEEP):
            label = "think" if update.kind is EventKind.THOUGHT else "deep"
            line = written_line(label, update.text, update.ending, update.tokens, seconds)
        elif update.kind in EARLY_ENDS:
            line = DisplayLine("end", update.text, seconds)
        else:
            line = answer_line(update.text, update.ending, seconds)
        if update.kind is EventKind.THOUGHT:
            self.pairs[-1] = (self.pairs[-1][0], line)
        else:
            self.tail.append(line)
        return line

    def _note_reading(self, chunk: str) -> None:
        last = self._read + len(chunk.rstrip())  # white space may have come later
        self._read += len(chunk)
        self.unread = self.unread[len(chunk) :]
        while len(self._arrivals) > 1 and self._arrivals[0][0] < last:
            self._arrivals.popleft()
        self.arrived_seconds = self._arrivals[0][1] if self._arrivals else self.seconds
