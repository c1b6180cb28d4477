r"""The place of the final answer in a text: a box, behind a marker, or somewhere.

    >>> [span.text for span in answer_spans(r"So \boxed{8}. The answer is 9.")]
    ['8', '9.']

The last ``\boxed{...}`` is the surest place, then the last ``####``, ``<answer>`` or "answer is". A marker behind a box counts where the
box cannot be read. A last box that is blank or never closes hides the ones before it. A formula may stand on lines of its own.
No reading happens here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

from adasr_trl.core.characters import plain
from adasr_trl.core.sentences import sentence_chunks

MAX_TEXT = 10_000  # characters at the end of a text that are looked at
_AROUND = 120  # characters on either side of a box that are kept
_BRACE = re.compile(r"\\(?:boxed|fbox|box)\s*\{|\\[{}]|[{}]")
_MARKER = re.compile(
    r"(?:####|<answer>|\banswer\b[*_`\"']{0,3}\s{0,9}(?:is\b|was\b|equals\b|[:=])(?:[:=]|>(?!\s*=))?[*_`]{0,3})\s*"
    r"(?:(?:\\\[|\$\$)\s*\n\s*)?",  # of a formula on lines of its own
    re.IGNORECASE,
)
_OPENING = re.compile(r"\s*(?:\\\[|\$\$|\\begin\{[a-z*]{1,12}\})\s*$")


@dataclass(frozen=True)
class Found:
    """A normalised value ("45", "-3/4", LaTeX, or words in lower case), and where in the text it ends."""

    value: str
    end: int


class Place(Enum):
    """Where the answer stands, from the surest place on."""

    BOX = "box"
    BEHIND_MARKER = "behind marker"
    SOMEWHERE = "somewhere"


@dataclass(frozen=True)
class Span:
    """A part of a text, and its offset there; of a box also what stands on its line."""

    text: str
    start: int
    place: Place
    before: str = ""
    behind: str = ""

    def found(self, value: str, end: int) -> Found:
        """A value that ends at an offset of the span."""
        return Found(value, self.start + end)

    def part(self, start: int, end: int, place: Place) -> Span:
        """The span between two of its offsets."""
        return Span(self.text[start:end], self.start + start, place)


def answer_spans(text: str) -> tuple[Span, ...]:
    """The place of the answer, and a marker behind it where it is a box; never none."""
    start = max(0, len(text) - MAX_TEXT)
    tail = plain(text[start:])
    box = _last_box(tail)
    whole = Span(text, 0, Place.SOMEWHERE)
    spans = []
    if box is not None:
        place = Place.BOX if box.is_filled else Place.BEHIND_MARKER
        span = whole.part(start + box.start, start + box.end, place)
        spans.append(_with_sides(span, tail, box) if box.is_filled else span)
    for marker in reversed(list(_MARKER.finditer(tail, box.end if box else 0))):
        line = re.split(r"\n|</answer>", tail[marker.end() :], maxsplit=1)[0]
        if line.strip():
            begin = start + marker.end()
            return (*spans, whole.part(begin, begin + len(line), Place.BEHIND_MARKER))
    return tuple(spans) or (whole.part(start, len(text), Place.SOMEWHERE),)


@dataclass(frozen=True)
class _Box:
    """The content of a box and where its command begins; of one that is blank or never closes, the rest of its line."""

    command: int
    start: int
    end: int
    is_filled: bool


def _with_sides(span: Span, text: str, box: _Box) -> Span:
    """The box with what stands before it, also above a formula on lines of its own, and behind it on its line."""
    before = text[max(0, box.command - _AROUND) : box.command]
    opening = _OPENING.search(before)
    above = before[: opening.start()] if opening else before
    line = above.rpartition("\n")[2] + before[len(above) :]
    behind = text[box.end + 1 : min(_line_end(text, box.end), box.end + _AROUND)]
    return replace(span, before=line, behind=behind)


def _last_box(text: str) -> _Box | None:
    """The box that opens last."""
    open_braces: list[tuple[int, int, bool]] = []
    closed: _Box | None = None
    for brace in _BRACE.finditer(text):
        if brace.group() == "{" or len(brace.group()) > 2:
            open_braces.append((brace.start(), brace.end(), len(brace.group()) > 2))
        elif brace.group() == "}" and open_braces:
            command, start, is_box = open_braces.pop()
            if is_box and (closed is None or start > closed.start):
                is_filled = bool(text[start : brace.start()].strip())
                end = brace.start() if is_filled else _line_end(text, start)
                closed = _Box(command, start, end, is_filled)
    unclosed = [(command, start) for command, start, is_box in open_braces if is_box]
    if unclosed and (closed is None or unclosed[-1][1] > closed.start):
        command, start = unclosed[-1]
        return _Box(command, start, _line_end(text, start), is_filled=False)
    return closed


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def first_sentence(span: Span) -> Span:
    """The first sentence behind a marker; any other span as it is."""
    if span.place is not Place.BEHIND_MARKER or not span.text.strip():
        return span
    return span.part(0, len(sentence_chunks(span.text)[0]), span.place)
