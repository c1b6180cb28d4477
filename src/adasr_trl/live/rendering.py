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
    from rich.text import Text

READ_STYLE, STREAM_STYLE, DEEP_STYLE = "", "cyan", "magenta"
SKIP_STYLE, FAILED_STYLE, RIGHT_STYLE = "dim", "bold red", "bold green"
WIDE = 96  # columns; narrower terminals show the lines below one another
LINE_WIDTH = 60  # columns; narrower terminals show no notes at the right edge
SENTENCE_END = "the end of the sentence (. ? !), an empty line, or the end of the input"
_TIME, _LABEL, _NOTE = 9, 6, 22  # columns
_FAILURES = {Ending.OUT_OF_TOKENS: "cut off, ", Ending.MALFORMED: "malformed, "}


@dataclass(frozen=True)
class DisplayLine:
    """One line of a stream.

    Attributes:
        label: Its kind, in one word.
        words: Untrusted text.
        style: Colours; they only repeat the label.
        note: Number of tokens, and a failed ending.
        seconds: Its time, or None.
    """

    label: str
    words: str
    style: str = ""
    note: str = ""
    seconds: float | None = None


def read_line(chunk: str, seconds: float | None) -> DisplayLine:
    """A chunk at the start of its reading."""
    return DisplayLine("read", chunk.strip(), READ_STYLE, "", seconds)


def thought_line(words: str, ending: Ending, tokens: int, seconds: float | None) -> DisplayLine:
    """A thought or a skip at its last token."""
    if ending is Ending.SKIP:
        return DisplayLine("skip", "", SKIP_STYLE, token_count(tokens), seconds)
    return _written_line("think", words, STREAM_STYLE, ending, tokens, seconds)


def deep_line(words: str, ending: Ending, tokens: int, seconds: float | None) -> DisplayLine:
    """The deep reasoning at its last token."""
    return _written_line("deep", words, DEEP_STYLE, ending, tokens, seconds)


def answer_line(words: str, seconds: float | None) -> DisplayLine:
    """The answer at its last token."""
    return DisplayLine("answer", words, f"bold {DEEP_STYLE}", "", seconds)


def status_line(seconds: float | None) -> DisplayLine:
    """A standstill inside a sentence."""
    return DisplayLine("waits", f"for {SENTENCE_END}", "dim", "", seconds)


def _written_line(
    label: str, words: str, style: str, ending: Ending, tokens: int, seconds: float | None
) -> DisplayLine:
    failure = _FAILURES.get(ending, "")
    note = f"{failure}{token_count(tokens)}"
    return DisplayLine(label, words, FAILED_STYLE if failure else style, note, seconds)


def token_count(tokens: int) -> str:
    """Such as ``1 token``."""
    return f"{tokens} token" if tokens == 1 else f"{tokens} tokens"


def plain_line(line: DisplayLine, width: int = 100) -> str:
    """A line as text without its final new line; long words continue on indented lines."""
    head = f"{_time(line.seconds):>{_TIME}} {line.label:<{_LABEL}} "
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
    return "\n".join(row.rstrip() for row in (first, *rest))


class SideBySide:
    """Chunks and their thoughts side by side, for a rich console.

    A narrow console shows the lines below one another. Tables of one width have the same columns: rows can be printed one
    by one.
    """

    def __init__(self, pairs: Iterable[tuple[DisplayLine | None, DisplayLine | None]]) -> None:
        """Each pair is a row; either side may be missing."""
        self._pairs = tuple(pairs)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol for what can be printed."""
        if options.max_width >= WIDE:
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
            time, label, words, note = _cells(line)
            table.add_row(time, label, Text.assemble(words, " ", note))
        yield table

    def _wide(self, width: int) -> Table:
        from rich.table import Table

        rest = _words_width(width)
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", no_wrap=True, width=_TIME)
        table.add_column(width=rest - rest // 2)
        table.add_column(no_wrap=True, width=_LABEL)
        table.add_column(width=rest // 2)
        table.add_column(justify="right", width=_NOTE)
        for read, written in self._pairs:
            time, _, words, _ = _cells(read or DisplayLine("", ""))
            _, label, thought, note = _cells(written or DisplayLine("", ""))
            if written and written.seconds is not None:
                note.append(f"  {_time(written.seconds)}")
            table.add_row(time, words, label, thought, note)
        return table


def written_column(width: int) -> int:
    """First column of the thoughts on a console of this width."""
    rest = _words_width(width)
    return _TIME + 1 + rest - rest // 2 + 1


def _words_width(width: int) -> int:
    return width - _TIME - _LABEL - _NOTE - 5


def tail(lines: Sequence[DisplayLine]) -> SideBySide:
    """Lines behind the last chunk."""
    return SideBySide((None, line) for line in lines)


def _cells(line: DisplayLine) -> tuple[Text, Text, Text, Text]:
    from rich.text import Text

    return (
        Text(_time(line.seconds), style="dim"),
        Text(line.label, style=line.style),
        Text(visible(line.words), style=line.style),
        Text(line.note, style=line.style),
    )


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"
