"""Ends of sentences in a text that arrives in pieces.

    >>> sentence_chunks("Dr. Lee has 3.5 kg (approx. 8 lb). How much is left?")
    ('Dr. Lee has 3.5 kg (approx. 8 lb).', ' How much is left?')

A sentence ends at a stop with its closing quotes and brackets before white space and a sentence start, or at a blank
line. The rules are our choice; a boundary depends only on the text up to the next sentence's first word. Text without any
capitals so far (speech) may begin sentences in lower case. Stops are Unicode's, and the Greek semicolon; behind one, the
end of a formula and a smiley belong to the sentence. Abbreviations are of English, German, French, Spanish, Italian,
Portuguese, Dutch, and a few of Russian, Polish and Swedish. Left out: lines without a stop (lists), scripts without stops
(Thai, Lao), slashes between lines of verse.
"""

from __future__ import annotations

import re
from enum import Enum

from adasr_trl.core.script_stops import (
    FULL_STOPS,
    STAND_INS,
    WIDE,
    WIDE_STOPS,
    ends_unspaced,
    stand_in,
)
from adasr_trl.core.sentence_ends import AHEAD, ends_sentence

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant
OPEN_BRACKET_REACH = 400  # characters after which a bracket that never closes is forgotten
_CONTEXT = 32  # characters before a stop that are looked at
_COMMON_STARTS = ("The", "Monday", "5")

_OPENING = frozenset("([{（【「『《")
_CLOSING = frozenset(")]}）】」』》")
_WIDE_CLOSING = frozenset("）】」』》”")
_LINE_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_BREAK = re.compile(rf"\r\n|[{_LINE_BREAKS}]")
_PARAGRAPH_SEPARATOR = "\u2029"
_EVENT = re.compile(rf"[.．﹒!?…;{STAND_INS}{_LINE_BREAKS}{WIDE}()\[\]{{}}（）【】「」『』《》]")
# Behind a stop, an opening quote closes as in German, and a raised figure is a footnote's.
_STOPPED = rf"[.．﹒!?…;{WIDE}\"'”’»«“‘*_)\]}}）】」』》⁰¹²³⁴⁵⁶⁷⁸⁹†‡]|\\[)\]]"
_STOP_RUN = re.compile(rf"(?:{_STOPPED})*+")
_STOP_RUN_IN_FORMULA = re.compile(rf"(?:{_STOPPED}|\$)*+")
_DOLLARS = re.compile(r"\$+")
_BEFORE_FORMULA = frozenset("([{“‘\"'—–-~")
_LETTERS = re.compile(r"\b[A-Z]\.[A-Z]$")  # "U.S.$ 5"
# Smileys; those that end in a letter or an eye are followed by white space.
_FACE = re.compile(r"[:;][-'^]?[)(|*/\\]|=[-']?\)|\)\)|(?:[:;=][-'^]?[DPpOo3]|\([:;])(?=\s)")
_FACE_BEGUN = re.compile(r"[:;=][-'^]?[DPpOo3]?|\([:;]?|\)")
_FACE_STARTS = frozenset(":;=()")
_FOOTNOTE = re.compile(r"\[[0-9]{1,3}\]")
_FOOTNOTE_BEGUN = re.compile(r"\[[0-9]{0,3}")
_NOT_SPACE = re.compile(r"\S")
_SPACE = re.compile(r"\s+")
_WORD_END = re.compile(r"(?:^|[\s\"'(“‘])[^\W\d_A-Z]{2,}$")
_GLUED_WORD = re.compile(r"^\w*[^\w]")
_GLUED_START = re.compile(r"[^\W\d_][^\W\d_A-Z]*['’]?[^\W\d_A-Z]*[\s,]")


class _Step(Enum):
    """What the next character is part of."""

    TEXT = "text"
    STOP = "stop"
    GAP = "gap"


class SentenceStream:
    """Sentences of a text that arrives in pieces; the same ones however it is cut.

    ``feed`` returns a sentence when the next one's start has arrived, and what arrives later never moves a boundary:
    those inside any prefix of a text, its own end apart, are the first ones of the whole text. Work is linear.

        >>> stream = SentenceStream()
        >>> stream.feed("It is 3."), stream.feed("5 km. Now"), stream.finish()
        ((), ('It is 3.5 km.',), (' Now',))
    """

    def __init__(self) -> None:
        self._step = _Step.TEXT
        self._body: list[str] = []  # the open sentence, up to the last possible boundary
        self._gap: list[str] = []  # white space behind it
        self._ahead = ""  # too little of the next sentence to decide
        self._recent = ""  # the end of the open sentence
        self._before_stop = ""
        self._stop_run = _STOP_RUN  # what may stand behind the stop
        self._stops = ""  # the first characters of the run of stops and what closes behind them
        self._depth = 0  # open brackets
        self._since_open = 0  # characters since the outermost one; white space counts once
        self._quotes = 0  # straight ones in the open sentence
        self._is_formula = False  # between "$" and "$"
        self._has_capitals = False  # speech without any begins its sentences in lower case

    def feed(self, text: str) -> tuple[str, ...]:
        """Take more text; return the sentences that it completes."""
        buffer, self._ahead = self._ahead + text, ""
        done: list[str] = []
        position = 0
        while position < len(buffer):
            if self._step is _Step.TEXT:
                position = self._read_text(buffer, position)
            elif self._step is _Step.STOP:
                position = self._read_stop(buffer, position)
            else:
                position = self._read_gap(buffer, position, done)
        return tuple(done)

    def pause(self) -> tuple[str, ...]:
        """Nothing more comes for now: return the open sentence if it stands at its stop, else nothing.

        It is taken for ended if a common word, a name and a number would each end it: no line that breaks behind an
        abbreviation does. White space belongs to what follows, as ever.
        """
        if self._step is _Step.TEXT or self._ahead:
            return ()
        is_at_stop = self._stops and not self._depth
        ends = is_at_stop and all(
            ends_sentence(self._before_stop, self._stops, f"{start} ") for start in _COMMON_STARTS
        )
        return self.cut() if ends or self._is_paragraph() else ()

    def cut(self) -> tuple[str, ...]:
        """A chunk ends here, whatever its words: return the open sentence, nothing if it is blank."""
        self._gap.append(self._ahead)
        self._ahead = ""
        sentences: list[str] = []
        self._end_sentence(sentences)
        return tuple(sentences)

    def finish(self) -> tuple[str, ...]:
        """The text has ended: return what is left, nothing if that is blank. The next text needs a new stream."""
        rest = "".join((*self._body, *self._gap, self._ahead))
        self._body, self._gap, self._ahead = [], [], ""
        return (rest,) if rest.strip() else ()

    def _is_paragraph(self) -> bool:
        """Whether a blank line follows the open sentence."""
        gap = "".join(self._gap)
        return gap != " " and line_breaks(gap) > 1

    def _end_sentence(self, done: list[str]) -> None:
        """Hand the open sentence on; the white space behind it belongs to the next one."""
        whole = "".join(self._body)
        sentence = whole.rstrip()
        gap = whole[len(sentence) :] + "".join(self._gap)
        self._body, self._gap, self._recent = [], [], ""
        self._depth, self._quotes, self._step = 0, 0, _Step.TEXT
        self._is_formula = False
        if sentence:
            done.append(sentence)
        if gap:
            self._take(gap)

    def _take(self, piece: str) -> None:
        self._body.append(piece)
        last = self._recent[-1:]
        read = last + piece
        # Odd white space moves no boundary; a plain space needs no pattern.
        if "  " in read or not read.isprintable():
            read = _SPACE.sub(" ", read)
        if "$" in piece:
            self._read_dollars(read, len(last))
        read = read[len(last) :]
        self._recent = (self._recent + read[-_CONTEXT:])[-_CONTEXT:]
        self._since_open += len(read)
        self._quotes += piece.count('"')
        self._has_capitals = self._has_capitals or any(map(str.isupper, piece))
        if self._since_open > OPEN_BRACKET_REACH:
            self._depth = 0

    def _read_dollars(self, read: str, start: int) -> None:
        """Where formulas begin and end: "$" and "$$" open one behind white space, "$5" too, which does no harm."""
        for dollars in _DOLLARS.finditer(read, start):
            before = read[dollars.start() - 1] if dollars.start() else " "
            if before not in "\\$":
                opens = before in _BEFORE_FORMULA and not self._is_formula
                self._is_formula = opens or before.isspace()

    def _read_text(self, buffer: str, position: int) -> int:
        end = _find(_EVENT, buffer, position)
        self._take(buffer[position:end])
        character = buffer[end : end + 1]
        if character in _OPENING:
            self._since_open = self._since_open if self._depth else 0
            self._depth += 1
        elif character in _CLOSING:
            self._depth = max(0, self._depth - 1)
        elif character and character in _LINE_BREAKS:  # a blank line may follow
            self._step, self._stops = _Step.GAP, ""
            return end
        elif character and character in STAND_INS:
            if stop := stand_in(self._recent + character):
                self._begin_stop(stop)
        elif character:
            self._begin_stop("")
            return end
        self._take(character)
        return end + len(character)

    def _begin_stop(self, stops: str) -> None:
        self._step, self._before_stop, self._stops = _Step.STOP, self._recent, stops
        is_formula = self._is_formula and not _LETTERS.search(self._recent)
        self._stop_run = _STOP_RUN_IN_FORMULA if is_formula else _STOP_RUN

    def _read_stop(self, buffer: str, position: int) -> int:
        run = self._stop_run.match(buffer, position)
        piece = run.group() if run else ""
        end = position + len(piece)
        self._take(piece)
        self._stops = (self._stops + piece[:2].translate(FULL_STOPS))[:2]
        self._depth = max(0, self._depth - sum(character in _CLOSING for character in piece))
        if end == len(buffer) - 1 and buffer[end] == "\\":  # "\\)" may come
            self._ahead = "\\"
            return len(buffer)
        if end < len(buffer):
            follows = buffer[end]
            may_end = self._depth == 0 and self._may_end_at(follows)
            may_end = may_end or (self._depth < 2 and follows.isspace())  # "\\]" may come
            self._step = _Step.GAP if may_end or follows in _LINE_BREAKS else _Step.TEXT
        return end

    def _may_end_at(self, follows: str) -> bool:
        """Whether the sentence may end at its stop though no white space follows."""
        if not WIDE_STOPS.isdisjoint(self._stops) or self._ends_unspaced(follows):
            return True
        if self._stops not in (".", "?", "!"):
            return False
        is_word = follows.isupper() and _WORD_END.search(self._before_stop) is not None
        return is_word or follows in "¿¡[" or (follows in ":;" and self._stops != ".")

    def _ends_unspaced(self, follows: str) -> bool:
        return ends_unspaced(self._before_stop, self._stops, follows)

    def _read_gap(self, buffer: str, position: int, done: list[str]) -> int:
        end = _find(_NOT_SPACE, buffer, position)
        self._gap.append(buffer[position:end])
        if end == len(buffer):
            return end
        if buffer[end] == "[" and not any(self._gap):
            return self._read_footnote(buffer, end)
        ends: bool | None = self._is_paragraph()
        if not ends and self._stops and not self._depth and buffer[end] in _FACE_STARTS:
            read = self._read_face(buffer, end)
            if read is not None:
                return read
        closes = self._closes_at(buffer[end : end + 2]) if not ends else False
        if closes is None:
            ends = None
        elif not ends and not closes and self._stops and not self._depth:
            ends = self._ends_at(buffer[end : end + AHEAD])
        if ends is None:
            self._ahead = buffer[end:]
            return len(buffer)
        if ends:
            self._end_sentence(done)
            return end
        for piece in self._gap:
            self._take(piece)
        self._gap, self._step = [], _Step.STOP if closes else _Step.TEXT
        return end

    def _closes_at(self, ahead: str) -> bool | None:
        """Whether a quote behind a stop and white space closes; None while what follows it is not known."""
        if ahead[0] in _WIDE_CLOSING and not WIDE_STOPS.isdisjoint(self._stops):
            return True  # a line may break before it
        if self._stops and ahead[0] in "\\$":
            return self._closes_formula(ahead)
        is_odd = ahead[0] == '"' and self._quotes % 2 == 1
        if not self._stops or self._depth or not (is_odd or ahead[0] in "»”"):
            return False
        return None if len(ahead) < 2 else not ahead[1].isalnum()

    def _closes_formula(self, ahead: str) -> bool | None:
        if len(ahead) < 2:
            return None
        is_display = ahead == "$$" and self._stop_run is _STOP_RUN_IN_FORMULA
        return is_display or (ahead in (r"\)", r"\]") and self._depth == 1)

    def _read_face(self, buffer: str, position: int) -> int | None:
        """The end of a smiley, which belongs to the sentence before it; None if there is none."""
        if mark := _FACE.match(buffer, position):
            for piece in self._gap:
                self._take(piece)
            self._body.append(mark[0])  # not taken: its letters are no capitals, its brackets none
            self._gap, self._step = [], _Step.STOP
            return mark.end()
        if _FACE_BEGUN.fullmatch(buffer, position):
            self._ahead = buffer[position:]
            return len(buffer)
        return None

    def _read_footnote(self, buffer: str, position: int) -> int:
        """A mark like "[3]" belongs to the stop before it; any other bracket is text."""
        if mark := _FOOTNOTE.match(buffer, position):
            self._take(mark.group())
            self._step = _Step.STOP
            return mark.end()
        if _FOOTNOTE_BEGUN.fullmatch(buffer, position):
            self._ahead = buffer[position:]
            return len(buffer)
        self._gap, self._step = [], _Step.TEXT
        return position

    def _ends_at(self, ahead: str) -> bool | None:
        """Whether the sentence ends at its stop; None while too little of what follows is known."""
        is_glued = not any(self._gap) and WIDE_STOPS.isdisjoint(self._stops)
        if is_glued and ahead[0] not in "¿¡" and not self._ends_unspaced(ahead[0]):
            # "He left.She came."
            if len(ahead) < AHEAD and not _GLUED_WORD.search(ahead):
                return None
            if not _GLUED_START.match(ahead):
                return False
        return ends_sentence(self._before_stop, self._stops, ahead, has_capitals=self._has_capitals)


def sentence_chunks(text: str) -> tuple[str, ...]:
    """The sentences of a text, as ``SentenceStream`` finds them; () for a blank text."""
    stream = SentenceStream()
    return stream.feed(text) + stream.finish()


def line_breaks(text: str) -> int:
    r"""Number of line breaks of any kind: ``\r\n`` is one, a paragraph separator counts two."""
    return len(_LINE_BREAK.findall(text)) + text.count(_PARAGRAPH_SEPARATOR)


def _find(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.search(text, position)
    return len(text) if found is None else found.start()
