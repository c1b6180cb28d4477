"""How a text is cut into the chunks that arrive one by one: sentences, n words, or seconds of speech.

    >>> sentence_chunks("Dr. Lee has 3.5 kg (approx. 8 lb). How much is left?")
    ('Dr. Lee has 3.5 kg (approx. 8 lb).', ' How much is left?')
    >>> chunk("Tom has 5 apples.", "word:2")
    ('Tom has', ' 5 apples.')

Every way is loss-free: joined, the chunks are the text. White space belongs to the chunk that follows; that at the
end of the text stays with the last chunk. No chunk is blank, and a blank text has none.

A sentence ends at a stop with its closing quotes and brackets, white space, and a sentence start. The rules are
ours, in the manner of sentence splitters such as pysbd, but a boundary depends only on the text up to the start of
the next sentence (``SentenceStream``). Left out: sentences without a stop (titles, lists), sentences that start in
lower case, a missing space behind a stop, and words in scripts that write none (``word``, ``clock``).
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant

OPEN_BRACKET_REACH = 400  # characters after which a bracket that never closes is forgotten
_CONTEXT = 32  # characters before a stop that are looked at
_AHEAD = 16  # characters behind the white space that are looked at

_WIDE_STOPS = frozenset("。！？｡")  # these need no white space behind them
_OPENING = frozenset("([{（【「『《")
_CLOSING = frozenset(")]}）】」』》")
_CONTINUES = frozenset(",;:.!?…%&=/)]}，、；：。！？｡")
_EVENT = re.compile(r"[.!?…。！？｡()\[\]{}（）【】「」『』《》]")
_STOP_RUN = re.compile(r"[.!?…。！？｡\"'”’»*_)\]}）】」』》]*")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\s*\S+")
_NEXT = re.compile(r"[\"'“‘«(\[{（【「『《¿¡*_]{0,3}+(.)([^\W\d_]*)", re.DOTALL)
_QUOTES = "\"'“‘«([{"
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]|[A-HJ-Z]")
_ENUMERATOR = re.compile(r"\d{1,3}|[A-Za-z]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A full stop behind these words never ends a sentence.
_TITLES = _words(
    "Dr Mr Mrs Ms Mx Prof Sgt Capt Lt Col Cmdr Gen Rep Sen Gov Rev Hon Messrs Mt Ft Fig Figs Eq Eqs"
)
_NEVER = _words("vs cf ca approx e.g i.e eg ie viz resp incl")
# Nor behind these before a digit: "No. 5", "3 ft. 6 in.", "Jan. 4".
_BEFORE_DIGIT = _words(
    "no nos nr vol vols ch sec sect art p pp ex op ed fig figs eq eqs ref refs ft lb lbs oz yd hr hrs mi "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
# Behind these, as behind initials, it ends one only if the next word often starts one.
_MAYBE = _words("al jr sr st inc ltd co corp bros ave blvd rd ph.d univ sp spp subsp")
_HOURS = _words("a.m p.m")
_AFTER_HOURS = _words(
    "monday tuesday wednesday thursday friday saturday sunday est edt et cst cdt ct mst mdt pst pdt pt gmt utc"
)
_STARTERS = _words(
    "the a an he she it they we i you his her its their our my your this that these those there here "
    "in on at if of to for from with by as and but or so then when while where after before during until since "
    "because although though however therefore thus moreover furthermore also finally next later how what who "
    "which why whose is are was were do does did has have had can could would should all each every both some "
    "most many no none one two three given find calculate let assume suppose between among using overall"
)


class _Step(Enum):
    """What the next character is part of."""

    TEXT = "text"
    STOP = "stop"
    GAP = "gap"


class SentenceStream:
    """Sentences of a text that arrives in pieces; the same ones however it is cut.

    A boundary is final: ``feed`` returns a sentence when the start of the next one has arrived, and what arrives
    later never moves it. So the boundaries inside any prefix of a text, its own end apart, are the first
    boundaries of the whole text. Work is linear in the text; between two feeds only the open sentence is held.

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
        self._stops = ""  # the first characters of the run of stops and what closes behind them
        self._wide = False  # whether that run has a stop that needs no white space
        self._depth = 0  # open brackets
        self._since_open = 0  # characters since the outermost one

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

    def finish(self) -> tuple[str, ...]:
        """The text has ended: return what is left, nothing if that is blank. The next text needs a new stream."""
        rest = "".join((*self._body, *self._gap, self._ahead))
        self._body, self._gap, self._ahead = [], [], ""
        return (rest,) if rest.strip() else ()

    def _take(self, piece: str) -> None:
        self._body.append(piece)
        self._recent = (self._recent + piece[-_CONTEXT:])[-_CONTEXT:]
        self._since_open += len(piece)

    def _read_text(self, buffer: str, position: int) -> int:
        event = _EVENT.search(buffer, position)
        if event is None:
            self._take(buffer[position:])
            return len(buffer)
        self._take(buffer[position : event.start()])
        character = event.group()
        if character not in _OPENING and character not in _CLOSING:
            self._step, self._before_stop = _Step.STOP, self._recent
            self._stops, self._wide = "", False
            return event.start()
        self._take(character)
        if character in _OPENING:
            self._open_bracket()
        else:
            self._depth = max(0, self._depth - 1)
        return event.end()

    def _open_bracket(self) -> None:
        if self._is_inside_bracket():
            self._depth += 1
        else:
            self._depth, self._since_open = 1, 0

    def _is_inside_bracket(self) -> bool:
        return self._depth > 0 and self._since_open <= OPEN_BRACKET_REACH

    def _read_stop(self, buffer: str, position: int) -> int:
        end = _end_of(_STOP_RUN, buffer, position)
        piece = buffer[position:end]
        self._take(piece)
        self._stops = (self._stops + piece[:2])[:2]
        self._wide = self._wide or not _WIDE_STOPS.isdisjoint(piece)
        self._depth = max(0, self._depth - sum(character in _CLOSING for character in piece))
        if end < len(buffer):
            may_end = self._wide or buffer[end].isspace()
            self._step = _Step.GAP if may_end and not self._is_inside_bracket() else _Step.TEXT
        return end

    def _read_gap(self, buffer: str, position: int, done: list[str]) -> int:
        end = _end_of(_SPACE, buffer, position)
        if end > position:
            self._gap.append(buffer[position:end])
        if end == len(buffer):
            return end
        ahead = buffer[end : end + _AHEAD]
        ends = _ends_sentence(self._before_stop, self._stops, ahead, wide=self._wide)
        if ends is None:
            self._ahead = buffer[end:]
            return len(buffer)
        if ends:
            done.append("".join(self._body))
            self._body, self._recent = [], ""
        gap, self._gap, self._step = self._gap, [], _Step.TEXT
        for piece in gap:
            self._take(piece)
        return end


def sentence_chunks(text: str) -> tuple[str, ...]:
    """The sentences of a text, as ``SentenceStream`` finds them; () for a blank text."""
    stream = SentenceStream()
    return stream.feed(text) + stream.finish()


def word_chunks(text: str, words: int) -> tuple[str, ...]:
    """A text in pieces of ``words`` words; the last may be shorter."""
    if words < 1:
        raise ValueError(f"words: got {words}; expected a whole number of 1 or more.")
    ends = [word.end() for word in _WORD.finditer(text)]
    return _cut(text, ends[words - 1 : -1 : words]) if ends else ()


def clock_chunks(text: str, seconds: float, words_per_minute: float = 150.0) -> tuple[str, ...]:
    """What is heard in each window of ``seconds`` of speech; a word belongs to the window in which it ends.

    A window in which no word ends yields no chunk, so at a slow pace chunks are single words.
    """
    for name, value in (("seconds", seconds), ("words_per_minute", words_per_minute)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}: got {value}; expected a finite number above 0.")
    words_per_window = seconds * words_per_minute / 60.0
    ends = [word.end() for word in _WORD.finditer(text)]
    # The tolerance keeps a word that ends with its window inside it in spite of rounding.
    windows = [math.ceil((i + 1) / words_per_window - 1e-9) for i in range(len(ends))]
    cuts = [ends[i] for i in range(len(ends) - 1) if windows[i] != windows[i + 1]]
    return _cut(text, cuts) if ends else ()


def chunk(text: str, spec: str) -> tuple[str, ...]:
    """Cut a text as a config says: ``sentence``, ``word:5``, ``clock:2.0`` or ``clock:2.0@150`` (words a minute)."""
    if spec == "sentence":
        return sentence_chunks(text)
    if words := re.fullmatch(r"word:([0-9]{1,9})", spec):
        return word_chunks(text, int(words[1]))
    if clock := re.fullmatch(r"clock:([0-9.]{1,9})(?:@([0-9.]{1,9}))?", spec):
        with contextlib.suppress(ValueError):  # "1.2.3" and 0 are reported below, with the spec
            return clock_chunks(text, float(clock[1]), float(clock[2] or 150.0))
    raise ValueError(
        f"chunking: got {spec!r}; expected 'sentence', 'word:N' (N words), 'clock:S' (S seconds of speech) "
        f"or 'clock:S@W' (at W words a minute), such as 'word:5' or 'clock:2.0@150'."
    )


def _cut(text: str, cuts: Sequence[int]) -> tuple[str, ...]:
    edges = (0, *cuts, len(text))
    return tuple(text[start:end] for start, end in pairwise(edges))


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _ends_sentence(before: str, stops: str, ahead: str, *, wide: bool) -> bool | None:
    """Whether a sentence ends at a stop, or None while too little of what follows is known.

    Args:
        before: What stands before the stop, at most the last 32 characters of the sentence.
        stops: The first two characters of the run of stops and closing quotes or brackets.
        ahead: What follows behind the white space, at most 16 characters.
        wide: Whether the run has a Chinese or Japanese stop.
    """
    found = _NEXT.match(ahead)
    if found is None:
        return None
    first, word = found[1], found[1] + found[2]
    if wide or first.islower() or first in _CONTINUES:
        return wide and first not in _CONTINUES
    if stops != "." or not before.strip():
        return True
    if _ENUMERATOR.fullmatch(before.strip()):
        return False
    is_whole = found.end() < len(ahead) or len(ahead) == _AHEAD
    return _abbreviation_ends(before.split()[-1].lstrip(_QUOTES), word, is_whole=is_whole)


def _abbreviation_ends(last: str, following: str, *, is_whole: bool) -> bool | None:
    """The same for a full stop behind the word ``last``, where ``following`` starts no lower-case word."""
    lower = last.lower()
    if last in _TITLES or lower in _NEVER:
        return False
    if following[0].isdigit() and lower in _BEFORE_DIGIT:
        return False
    if lower in _HOURS:
        return following.lower() not in _AFTER_HOURS if is_whole else None
    if lower in _MAYBE or _INITIALS.fullmatch(last):
        return following.lower() in _STARTERS if is_whole else None
    return True
