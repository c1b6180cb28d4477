"""What has been seen of a stream so far, as lines with their times: the one source of everything that is shown.

>>> script = Script(session.started)
>>> for moment in session:
...     line = script.take(moment)         # a Line, or None where text only arrived
>>> script.pairs, script.tail
"""

from __future__ import annotations

from collections import deque

from adasr_trl.core.protocol import Ending
from adasr_trl.live.rendering import (
    FAILED_STYLE,
    Line,
    answer_line,
    deep_line,
    read_line,
    thought_line,
)
from adasr_trl.live.session import Arrived, Moment
from adasr_trl.live.stream import Event, Kind


class Script:
    """See the module.

    Attributes:
        pairs: Each chunk that was read, and what was thought about it, None while that is not written.
        tail: What came behind the last chunk.
        unread: Text that has arrived and was not read yet.
    """

    def __init__(self, started: float) -> None:
        """Times count from ``started``."""
        self._started = started
        self._arrivals: deque[tuple[int, float]] = deque()  # characters by then, and when
        self._arrived = self._read = 0
        self.pairs: list[tuple[Line, Line | None]] = []
        self.tail: list[Line] = []
        self.unread = ""

    def seconds(self, moment: Moment) -> float:
        """When it happened, since the start."""
        return max(moment.at - self._started, 0.0)

    def take(self, moment: Moment) -> Line | None:
        """Take in what happened next; the line that shows it."""
        if isinstance(moment, Arrived):
            self._arrived += len(moment.text)
            self._arrivals.append((self._arrived, self.seconds(moment)))
            self.unread += moment.text
            return None
        if moment.kind is Kind.READ:
            line = read_line(moment.text, self.arrival_of(moment))
            self.pairs.append((line, None))
            return line
        line = self._written(moment)
        if moment.kind is Kind.THOUGHT:
            self.pairs[-1] = (self.pairs[-1][0], line)
        else:
            self.tail.append(line)
        return line

    def arrival_of(self, event: Event) -> float:
        """When the last character of a chunk that is read now had arrived; chunks are asked for in order."""
        last = self._read + len(event.text.rstrip())  # white space may have come later
        self._read += len(event.text)
        self.unread = self.unread[len(event.text) :]
        while len(self._arrivals) > 1 and self._arrivals[0][0] < last:
            self._arrivals.popleft()
        return self._arrivals[0][1] if self._arrivals else self.seconds(event)

    def _written(self, event: Event) -> Line:
        ending, when = event.ending or Ending.OUT_OF_TOKENS, self.seconds(event)
        if event.kind is Kind.THOUGHT:
            return thought_line(event.text, ending, event.tokens, when)
        if event.kind is Kind.DEEP:
            return deep_line(event.text, ending, event.tokens, when)
        if event.kind is Kind.ANSWER:
            return answer_line(event.text, when)
        return Line("end", event.text, FAILED_STYLE, event.kind.name, when)
