"""How a stream is shown, live or recorded: lines for programs and pipes, rows with the thoughts beside the input for people.

     1.60 s read    Tom has 5 apples.
     1.68 s think   Tom 5                                   4 tokens
     2.80 s read    He buys 3.
     2.83 s skip    <skip>                                   1 token

All words come from somebody else or from a model: they are never markup, control characters are made visible
(``visible``), and what follows a new line of theirs is indented, so that no label can be forged.
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
    from rich.text import Text

READ_STYLE, STREAM_STYLE, DEEP_STYLE = "", "cyan", "magenta"
SKIP_STYLE, FAILED_STYLE, RIGHT_STYLE = "dim", "bold red", "bold green"
BESIDE_WIDTH = 96  # narrower terminals show the lines below one another
LINE_WIDTH = 60  # and still narrower ones no notes at the right edge
_WHEN, _LABEL, _NOTE = 9, 6, 22  # columns


@dataclass(frozen=True)
class Line:
    """Something that was read, written or judged.

    Attributes:
        label: What it is, in a word.
        words: The text, as it came.
        style: Of a colour terminal; it only repeats what the label says.
        note: Its tokens, and how it ended if that was not well.
        seconds: When, or None.
    """

    label: str
    words: str
    style: str = ""
    note: str = ""
    seconds: float | None = None


def read_line(chunk: str, seconds: float | None) -> Line:
    """A chunk, when it had arrived."""
    return Line("read", chunk.strip(), READ_STYLE, "", seconds)


def thought_line(words: str, ending: Ending, tokens: int, seconds: float | None) -> Line:
    """A thought or a skip, when it was written."""
    if ending is Ending.SKIP:
        return Line("skip", "<skip>", SKIP_STYLE, count(tokens), seconds)
    return written_line("think", words, STREAM_STYLE, ending, tokens, seconds)


def deep_line(words: str, ending: Ending, tokens: int, seconds: float | None) -> Line:
    """The deep reasoning, when it ended."""
    return written_line("deep", words, DEEP_STYLE, ending, tokens, seconds)


def answer_line(words: str, seconds: float | None) -> Line:
    """The answer, when its value was written."""
    return Line("answer", words, f"bold {DEEP_STYLE}", "", seconds)


def written_line(
    label: str, words: str, style: str, ending: Ending, tokens: int, seconds: float | None
) -> Line:
    """What the model wrote, and how it ended if that was not well."""
    if ending in (Ending.OUT_OF_TOKENS, Ending.MALFORMED):
        return Line(label, words, FAILED_STYLE, f"{ending.name} {count(tokens)}", seconds)
    return Line(label, words, style, count(tokens), seconds)


def count(tokens: int) -> str:
    """Such as ``1 token``."""
    return f"{tokens} token" if tokens == 1 else f"{tokens} tokens"


def plain_line(line: Line, width: int = 100) -> str:
    """One line of text (or more, indented, where its words need it), without its last new line."""
    head = f"{_when(line.seconds):>{_WHEN}} {line.label:<{_LABEL}} "
    room = max(width - len(head) - len(line.note) - 1, 20)
    parts = [
        part
        for row in visible(line.words).split("\n")
        for part in textwrap.wrap(row, room, drop_whitespace=False, break_on_hyphens=False) or [""]
    ]
    first = f"{head}{parts[0]}"
    if line.note:
        first = f"{first.ljust(width - len(line.note) - 1)} {line.note}"
    rest = [" " * len(head) + part for part in parts[1:]]
    return "\n".join(each.rstrip() for each in (first, *rest))


class Beside:
    """Pairs of what was read and what was thought about it, side by side, for a rich console.

    A narrow console gets the lines below one another. Tables of one width have the same columns, so that rows can be
    printed one by one.
    """

    def __init__(self, pairs: Iterable[tuple[Line | None, Line | None]]) -> None:
        """Each pair is a row; either side may be missing."""
        self._pairs = tuple(pairs)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich asks for."""
        if options.max_width >= BESIDE_WIDTH:
            yield self._wide(options.max_width)
            return
        from rich.table import Table
        from rich.text import Text

        lines = [line for pair in self._pairs for line in pair if line]
        if options.max_width >= LINE_WIDTH:
            for line in lines:
                yield Text(plain_line(line, options.max_width), style=line.style)
            return
        table = Table.grid(padding=(0, 1))
        for line in lines:
            when, label, words, note = _cells(line)
            table.add_row(when, label, Text.assemble(words, " ", note))
        yield table

    def _wide(self, width: int) -> Table:
        from rich.table import Table

        rest = _words_width(width)
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", no_wrap=True, width=_WHEN)
        table.add_column(width=rest - rest // 2)
        table.add_column(no_wrap=True, width=_LABEL)
        table.add_column(width=rest // 2)
        table.add_column(justify="right", width=_NOTE)
        for read, written in self._pairs:
            when, _, words, _ = _cells(read or Line("", ""))
            _, label, thought, note = _cells(written or Line("", ""))
            if written and written.seconds is not None:
                note.append(f"  {_when(written.seconds)}")
            table.add_row(when, words, label, thought, note)
        return table


def written_column(width: int) -> int:
    """Where what was written begins in rows of a console of this width."""
    rest = _words_width(width)
    return _WHEN + 1 + rest - rest // 2 + 1


def _words_width(width: int) -> int:
    return width - _WHEN - _LABEL - _NOTE - 5


def tail(lines: Sequence[Line]) -> Beside:
    """What is written behind the last chunk."""
    return Beside((None, line) for line in lines)


def _cells(line: Line) -> tuple[Text, Text, Text, Text]:
    from rich.text import Text

    return (
        Text(_when(line.seconds), style="dim"),
        Text(line.label, style=line.style),
        Text(visible(line.words), style=line.style),
        Text(line.note, style=line.style),
    )


def _when(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"
