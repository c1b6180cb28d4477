"""Ways to show a stream while it happens: lines, rows on a terminal, or JSON for programs.

    >>> with TerminalScreen(console, script) as screen:
    ...     screen.begin(opening)
    ...     for moment in session:
    ...         screen.show(moment)
    ...     screen.finish(closing)

Whatever is shown is flushed at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from adasr_trl.core.safe_text import visible
from adasr_trl.live.display_state import Script
from adasr_trl.live.rendering import Beside, Line, count, plain_line, tail
from adasr_trl.live.session import Arrived, Moment
from adasr_trl.live.stream import Kind

if TYPE_CHECKING:
    from rich.console import Console, Group

PLAIN_WIDTH = 100
NOT_ASKED = "not asked for"
ANSWER_SHOWN = 40  # characters of read-then-think's answer
UNREAD_SHOWN = 240  # characters of what has arrived and waits to be read


@dataclass(frozen=True)
class Opening:
    """What is known before anything arrives."""

    question: str
    run: str
    layout: str
    device: str
    temperature: float
    seed: int


@dataclass(frozen=True)
class Closing:
    """What is known behind the answer.

    Attributes:
        seconds: Since the start.
        wait_seconds: From the input's end to the last token of the answer's value; None if nothing was written.
        first_seconds: The same to the first token of the answer; None without one.
        read_then_think_seconds: What the same text takes where nothing is thought before it has ended, or None.
        read_then_think_answer: What it answered; None without an answer.
        read_then_think: How that is known: ``measured`` by running it, else why it is not.
        streaming_tokens: Written while the input arrived.
        deep_tokens: Written behind it.
    """

    seconds: float
    wait_seconds: float | None
    first_seconds: float | None
    read_then_think_seconds: float | None
    read_then_think_answer: str | None
    read_then_think: str
    streaming_tokens: int
    deep_tokens: int

    def words(self) -> str:
        """For people."""
        if self.wait_seconds is None:
            return "no answer"
        waited = f"waited {self.wait_seconds:.2f} s for the answer"
        if self.first_seconds is not None:
            waited += f" (its first token after {self.first_seconds:.2f} s)"
        other = (
            ""
            if self.read_then_think == NOT_ASKED
            else f"; read-then-think: {self.read_then_think}"
        )
        if self.read_then_think_seconds is not None:
            said = "without an answer"
            if self.read_then_think_answer is not None:  # in one line, so that it forges none
                said = f"answer {visible(' '.join(self.read_then_think_answer.split()))[:ANSWER_SHOWN]}"
            taken = f"{self.read_then_think_seconds:.2f} s, {self.read_then_think}, {said}"
            other = f"; read-then-think would have taken {taken}"
        tokens = f"streaming {count(self.streaming_tokens)}, deep {count(self.deep_tokens)}"
        return f"{waited}{other}\n{tokens}"


class Screen(Protocol):
    """Shows one stream."""

    def __enter__(self) -> Screen:
        """Take the terminal, if that is where it is shown."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back as it was."""
        ...

    def begin(self, opening: Opening) -> None:
        """The question."""
        ...

    def show(self, moment: Moment) -> None:
        """Something happened."""
        ...

    def finish(self, closing: Closing) -> None:
        """The wait."""
        ...


class LineScreen:
    """A line for whatever is read and written: for pipes, and for a terminal that is being typed at."""

    def __init__(self, console: Console, script: Script) -> None:
        """``console`` decides about colours."""
        self._console, self._script = console, script
        self._width = console.width if console.is_terminal else PLAIN_WIDTH

    def __enter__(self) -> LineScreen:
        """Nothing to do."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to do."""

    def begin(self, opening: Opening) -> None:
        """The question."""
        line = plain_line(Line("question", opening.question), self._width).lstrip()
        self._print(line, "bold")

    def show(self, moment: Moment) -> None:
        """Its line."""
        line = self._script.take(moment)
        if line is not None:
            self._print(plain_line(line, self._width), line.style)

    def finish(self, closing: Closing) -> None:
        """The wait."""
        self._print(closing.words(), "bold")

    def _print(self, words: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(words, style=style), soft_wrap=True)


class TerminalScreen:
    """Rows with the thoughts beside the input; what is being read and thought stands below them."""

    def __init__(self, console: Console, script: Script) -> None:
        """Draw on ``console``."""
        from rich.live import Live

        self._console, self._script = console, script
        self._printed = 0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> TerminalScreen:
        """Hide the cursor."""
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Show the cursor, and leave only finished rows."""
        self._live.stop()

    def begin(self, opening: Opening) -> None:
        """The question."""
        from rich.text import Text

        self._console.print(Text(f"question {visible(opening.question)}", style="bold"))

    def show(self, moment: Moment) -> None:
        """Print rows that are finished, and redraw what is not."""
        self._script.take(moment)
        pairs = self._script.pairs
        if isinstance(moment, Arrived) or moment.kind in (Kind.READ, Kind.THOUGHT):
            finished = [pair for pair in pairs[self._printed :] if pair[1]]
        else:
            finished = pairs[self._printed :]
        if finished:
            self._printed += len(finished)
            self._console.print(Beside(finished))
        self._live.update(self._open(), refresh=True)

    def finish(self, closing: Closing) -> None:
        """The deep part, the answer and the wait."""
        from rich.text import Text

        self._live.update(Text(""), refresh=True)
        self._console.print(tail(self._script.tail))
        self._console.print(Text(closing.words(), style="bold"))

    def _open(self) -> Group:
        """What is not finished."""
        from rich.console import Group

        unread = self._script.unread
        waiting = Line("read", unread.strip()[-UNREAD_SHOWN:], "dim")
        pairs = [
            *self._script.pairs[self._printed :],
            *([(waiting, None)] if unread.strip() else []),
        ]
        return Group(Beside(pairs), tail(self._script.tail))


class JsonScreen:
    """One JSON object a line; the fields are in docs/LIVE.md."""

    def __init__(self, write: Callable[[str], object], script: Script) -> None:
        """``write`` takes a line with its new line, and flushes it."""
        self._write, self._script = write, script

    def __enter__(self) -> JsonScreen:
        """Nothing to do."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to do."""

    def begin(self, opening: Opening) -> None:
        """``start``."""
        self._put({"event": "start", "seconds": 0.0, **asdict(opening)})

    def show(self, moment: Moment) -> None:
        """``text``, or the stream's own event."""
        seconds = self._script.seconds(moment)
        line = self._script.take(moment)
        if isinstance(moment, Arrived):
            self._put({"event": "text", "seconds": seconds, "text": moment.text})
            return
        fields: dict[str, object] = {"event": moment.kind.value, "seconds": seconds}
        fields |= {"chunk": moment.chunk, "text": moment.text}
        if moment.kind is Kind.READ and line is not None:
            fields["arrived_seconds"] = line.seconds
        if moment.ending is not None:
            fields |= {"ending": moment.ending.value, "tokens": moment.tokens}
        self._put(fields)

    def finish(self, closing: Closing) -> None:
        """``wait``."""
        self._put({"event": "wait", **asdict(closing)})

    def _put(self, fields: dict[str, object]) -> None:
        rounded = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in fields.items()
        }
        self._write(json.dumps(rounded) + "\n")
