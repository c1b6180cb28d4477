"""Lines of a stream, live or recorded: plain for programs and pipes, thoughts beside the input for people.

     1.60 s read    Tom has 5 apples.
     1.68 s think   Tom 5                                   4 tokens
     2.80 s read    He buys 3.
     2.83 s skip                                            1 token

All words are untrusted text: never markup, with pictures for control characters (``visible``), and indented behind a new
line, so that no label can be forged.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adasr_trl.core.protocol import Ending
from adasr_trl.core.safe_text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

STYLES = {
    "think": "cyan",
    "skip": "dim",
    "deep": "magenta",
    "answer": "bold magenta",
    "unread": "dim",
    "waits": "dim",
    "end": "bold red",
    "right": "bold green",
    "wrong": "bold red",
}
FAILED_STYLE = "bold red"
WIDE = 96  # columns; narrower terminals show the lines below one another
LINE_WIDTH = 60  # columns; narrower terminals show notes behind the words
_TIME, _LABEL, _NOTE = 9, 6, 22  # columns
_FAILURES: dict[Ending | None, str] = {
    Ending.OUT_OF_TOKENS: "cut off, ",
    Ending.MALFORMED: "malformed, ",
}


@dataclass(frozen=True)
class DisplayLine:
    """One line of a stream.

    Attributes:
        label: Its kind, in one word.
        words: Untrusted text.
        seconds: Its time, or None.
        note: Number of tokens, and a failed ending.
        has_failed: Whether the ending has failed.
    """

    label: str
    words: str
    seconds: float | None = None
    note: str = ""
    has_failed: bool = False

    @property
    def style(self) -> str:
        """Colours; they only repeat label and note."""
        return FAILED_STYLE if self.has_failed else STYLES.get(self.label, "")


def written_line(
    label: str, words: str, ending: Ending | None, tokens: int, seconds: float | None
) -> DisplayLine:
    """A thought or the deep reasoning at its last token."""
    if ending is Ending.SKIP:
        label = "skip"
    failure = _FAILURES.get(ending, "")
    note = f"{failure}{token_count(tokens)}"
    return DisplayLine(label, words, seconds, note, has_failed=bool(failure))


def answer_line(words: str, ending: Ending | None, seconds: float | None) -> DisplayLine:
    """The answer; one behind a fault of form is shown, and said not to count."""
    failure = _FAILURES.get(ending, "")
    note = f"{failure}not counted" if failure else ""
    return DisplayLine("answer", words, seconds, note, has_failed=bool(failure))


def token_count(tokens: int) -> str:
    """Such as ``1 token``."""
    return f"{tokens} token" if tokens == 1 else f"{tokens} tokens"


def plain_line(line: DisplayLine, width: int = 100) -> str:
    """A line as text without its final new line; long words continue on indented lines."""
    head = f"{_time(line):>{_TIME}} {line.label:<{_LABEL}} "
    words, note = visible(line.words), line.note
    if width < LINE_WIDTH:
        words, note = f"{words} {note}", ""
    room = max(width - len(head) - len(note) - 1, 10)
    parts = [
        part
        for row in words.split("\n")
        for part in textwrap.wrap(row, room, drop_whitespace=False, break_on_hyphens=False) or [""]
    ]
    first = f"{head}{parts[0]}"
    if note:
        first = f"{first.ljust(width - len(note) - 1)} {note}"
    rest = [" " * len(head) + part for part in parts[1:]]
    return "\n".join(row.rstrip() for row in (first, *rest))


class SideBySide:
    """Pairs of a chunk and its thought side by side, for a rich console; either may be missing.

    A narrow console shows the lines below one another. Rows printed one by one have the same columns.
    """

    def __init__(self, pairs: Iterable[tuple[DisplayLine | None, DisplayLine | None]]) -> None:
        self._pairs = tuple(pairs)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= WIDE:
            yield self._wide(options.max_width)
            return
        from rich.text import Text

        for line in (line for pair in self._pairs for line in pair if line):
            yield Text(plain_line(line, options.max_width), style=line.style)

    def _wide(self, width: int) -> Table:
        from rich.table import Table
        from rich.text import Text

        rest = _words_width(width)
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", no_wrap=True, width=_TIME)
        table.add_column(width=rest - rest // 2)
        table.add_column(no_wrap=True, width=_LABEL)
        table.add_column(width=rest // 2)
        table.add_column(justify="right", width=_NOTE)
        empty = DisplayLine("", "")
        for read, written in ((left or empty, right or empty) for left, right in self._pairs):
            table.add_row(
                Text(_time(read), style="dim"),
                Text(visible(read.words), style=read.style),
                Text(written.label, style=written.style),
                Text(visible(written.words), style=written.style),
                Text(f"{written.note}  {_time(written)}".rstrip(), style=written.style),
            )
        return table


def tail(lines: Sequence[DisplayLine]) -> SideBySide:
    """Lines behind the last chunk."""
    return SideBySide((None, line) for line in lines)


def written_column(width: int) -> int:
    """First column of the thoughts on a console of this width."""
    rest = _words_width(width)
    return _TIME + 1 + rest - rest // 2 + 1


def _words_width(width: int) -> int:
    return width - _TIME - _LABEL - _NOTE - 5


def _time(line: DisplayLine) -> str:
    return "" if line.seconds is None else f"{line.seconds:.2f} s"
