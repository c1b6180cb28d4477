"""Displays of a running stream: lines, rows on a terminal, or JSON for programs.

    >>> with TerminalScreen(console, state) as screen:
    ...     screen.begin(header)
    ...     for update in session:
    ...         screen.show(update)
    ...     screen.finish(summary)

Every output is flushed at once.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from adasr_trl.live.display_state import DisplayState
from adasr_trl.live.rendering import DisplayLine, SideBySide, plain_line, tail
from adasr_trl.live.session import InputArrival, StreamSummary, Update
from adasr_trl.live.stream import Event

if TYPE_CHECKING:
    from rich.console import Console, Group

PLAIN_WIDTH = 100
UNREAD_SHOWN = 240  # characters of unread input


@dataclass(frozen=True)
class StreamHeader:
    """Facts before the first arrival."""

    question: str
    run: str
    layout: str
    device: str
    temperature: float
    seed: int


class Screen(AbstractContextManager["Screen"]):
    """Display of one stream; the end of a ``with`` block gives the terminal back as it was."""

    def __init__(self, state: DisplayState) -> None:
        self._state = state

    def __exit__(self, *_error: object) -> None:
        return

    @abstractmethod
    def begin(self, header: StreamHeader) -> None:
        """Show the question."""

    @abstractmethod
    def show(self, update: Update) -> None:
        """Show the next update."""

    @abstractmethod
    def finish(self, summary: StreamSummary) -> None:
        """Show the summary."""


class LineScreen(Screen):
    """A line for each step: for pipes, and for a terminal with typed input."""

    def __init__(self, console: Console, state: DisplayState) -> None:
        super().__init__(state)
        self._console = console
        self._width = console.width if console.is_terminal else PLAIN_WIDTH

    def begin(self, header: StreamHeader) -> None:
        """Print the question."""
        line = DisplayLine("question", header.question)
        self._print(plain_line(line, self._width).lstrip(), "bold")

    def show(self, update: Update) -> None:
        """Print the update's line."""
        line = self._state.take(update)
        if line is not None:
            self._print(plain_line(line, self._width), line.style)

    def finish(self, summary: StreamSummary) -> None:
        """Print the summary."""
        self._print(summary.words(), "bold")

    def _print(self, words: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(words, style=style), soft_wrap=True)


class TerminalScreen(LineScreen):
    """Rows with the thoughts beside the input; unfinished ones are redrawn below the printed rows."""

    def __init__(self, console: Console, state: DisplayState) -> None:
        from rich.live import Live

        super().__init__(console, state)
        self._printed = 0  # rows
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> TerminalScreen:
        self._live.start()  # hides the cursor
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()  # leaves only finished rows

    def show(self, update: Update) -> None:
        """Print finished rows, and redraw the others."""
        self._state.take(update)
        finished = self._state.pairs[self._printed :]
        if not self._state.tail:
            finished = [pair for pair in finished if pair[1]]
        if finished:
            self._printed += len(finished)
            self._console.print(SideBySide(finished))
        self._live.update(self._unfinished(), refresh=True)

    def finish(self, summary: StreamSummary) -> None:
        """Print the deep part, the answer and the summary."""
        from rich.text import Text

        self._live.update(Text(""), refresh=True)
        self._console.print(tail(self._state.tail))
        super().finish(summary)

    def _unfinished(self) -> Group:
        from rich.console import Group

        state, pairs = self._state, self._state.pairs[self._printed :]
        if unread := state.unread.strip():
            pairs = [*pairs, (DisplayLine("unread", unread[-UNREAD_SHOWN:]), None)]
        return Group(SideBySide(pairs), tail([*state.tail, *filter(None, [state.status])]))


class JsonScreen(Screen):
    """One JSON object a line; its fields are in docs/LIVE.md."""

    def __init__(self, out: IO[str], state: DisplayState) -> None:
        super().__init__(state)
        self._out = out

    def begin(self, header: StreamHeader) -> None:
        """Write ``start``."""
        self._put("start", seconds=0.0, **asdict(header))

    def show(self, update: Update) -> None:
        """Write ``text``, ``unfinished``, or the event of the stream."""
        state, fields = self._state, dict[str, object]()
        state.take(update)
        name = "text" if isinstance(update, InputArrival) else "unfinished"
        if isinstance(update, InputArrival) and update.lag_seconds is not None:
            fields["lag_seconds"] = update.lag_seconds
        if isinstance(update, Event):
            name, fields["chunk"] = update.kind.value, update.chunk
            if update.ending is None:
                fields["arrived_seconds"] = state.arrived_seconds
            else:
                fields |= {"ending": update.ending.value, "tokens": update.tokens}
        self._put(name, seconds=state.seconds, text=update.text, **fields)

    def finish(self, summary: StreamSummary) -> None:
        """Write ``summary``."""
        self._put("summary", seconds=self._state.seconds, **asdict(summary))

    def _put(self, event: str, **fields: object) -> None:
        rounded = {n: round(v, 6) if isinstance(v, float) else v for n, v in fields.items()}
        print(json.dumps({"event": event, **rounded}), file=self._out, flush=True)
