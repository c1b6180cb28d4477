"""How a text is cut into the chunks that arrive one by one: sentences, n words, or seconds of speech.

    >>> sentence_chunks("Dr. Lee has 3.5 kg (approx. 8 lb). How much is left?")
    ('Dr. Lee has 3.5 kg (approx. 8 lb).', ' How much is left?')
    >>> chunk("Tom has 5 apples.", "word:2")
    ('Tom has', ' 5 apples.')

Every way is loss-free: joined, the chunks are the text. White space belongs to the chunk that follows, at the end
of the text to the last one. No chunk is blank, and a blank text has none.

A sentence ends at a stop with its closing quotes and brackets before white space and a sentence start. The rules are
ours; a boundary depends only on the text up to the next sentence's first word. Left out: sentences without a stop
(titles, lists) or in lower case, a missing space behind a stop. A Chinese or Japanese character counts as a word where
words are counted out; other scripts that write no spaces (Thai, Lao, Khmer) are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import Enum
from itertools import accumulate, pairwise

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant
OPEN_BRACKET_REACH = 400  # characters after which a bracket that never closes is forgotten
_CONTEXT = 32  # characters before a stop that are looked at
_AHEAD = 16  # characters behind the white space that are looked at
_COMMON_START = "The"

_WIDE_STOPS = frozenset("。！？｡")  # these need no white space behind them
_OPENING = frozenset("([{（【「『《")
_CLOSING = frozenset(")]}）】」』》")
_CONTINUES = frozenset(",;:.!?…%&=/)]}，、；：。！？｡")  # these start no sentence
_EVENT = re.compile(r"[.!?…。！？｡()\[\]{}（）【】「」『』《》]")
_NOT_STOP = re.compile(r"[^.!?…。！？｡\"'”’»*_)\]}）】」』》]")
_NOT_SPACE = re.compile(r"\S")
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff"
_WIDE_LETTER = re.compile(f"[{_HAN}{_KANA}]")
_KANA_LETTER = re.compile(f"[{_KANA}]")
# A word, or one Chinese or Japanese character, with the marks behind it.
_WORD = re.compile(rf"\s*(?:[{_HAN}{_KANA}][^\s\w]*|[^\s{_HAN}{_KANA}]+)")
CHINESE_WORD = 0.6  # of a word to speak a character: 250 a minute at 150 words a minute
JAPANESE_WORD = 0.5  # 300 a minute
_NEXT = re.compile(r"[\"'“‘«(\[{（【「『《¿¡*_]{0,3}+(.)([^\W\d_]*)", re.DOTALL)
_CLOSED_SPEECH = re.compile("[。！？｡][」』”]")
# Behind direct speech these go on with its sentence: "he said", "she asked".
_SAID = re.compile("と(?!ても|ころ)|って|[他她我]?(?:们|們)?(?:说|說|问|問|道|喊|叫|答)")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]|[A-HJ-Z]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A full stop behind these words never ends a sentence.
_NEVER = _words(
    "Dr Mr Mrs Ms Mx Prof Sgt Capt Lt Col Gen Rep Sen Gov Rev Hon Mt Ft Fig Figs Eq Eqs "
    "vs cf ca approx e.g i.e E.g I.e eg ie viz resp incl"
)
# Nor behind these before a digit: "No. 5", "3 ft. 6 in.", "Jan. 4".
_NUMBERED = _words("no nos vol sec p pp fig ft lb oz jan feb mar apr jun jul aug sep oct nov dec")
# Behind these, as behind initials, it ends one only before a word that often starts one.
_MAYBE = _words("al jr sr st inc ltd co corp bros ave blvd rd ph.d univ sp spp subsp")
# Behind a.m. and p.m. it does not end one before these.
_OF_TIME = _words("monday tuesday wednesday thursday friday saturday sunday et est pt pst gmt utc")
_STARTERS = _words(
    "the a an he she it they we i you his her its their our my this that these those there here in on at if of to for "
    "from with by as and but or so then when while after before since because although however thus also finally how "
    "what who which why where is are was were do does did has have can could all each every both some most no one two"
)


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
        self._stops = ""  # the first characters of the run of stops and what closes behind them
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

    def pause(self) -> tuple[str, ...]:
        """Nothing more comes for now: return the open sentence if it stands at its stop, else nothing.

        It is taken for ended if any common next word would end it; white space belongs to what follows, as ever.
        """
        if self._step is _Step.TEXT or self._ahead or self._depth:
            return ()
        if not _ends_sentence(self._before_stop, self._stops, f"{_COMMON_START} "):
            return ()
        sentence, gap = "".join(self._body), "".join(self._gap)
        self._body, self._gap, self._recent, self._step = [], [], "", _Step.TEXT
        if gap:
            self._take(gap)
        return (sentence,) if sentence.strip() else ()

    def finish(self) -> tuple[str, ...]:
        """The text has ended: return what is left, nothing if that is blank. The next text needs a new stream."""
        rest = "".join((*self._body, *self._gap, self._ahead))
        self._body, self._gap, self._ahead = [], [], ""
        return (rest,) if rest.strip() else ()

    def _take(self, piece: str) -> None:
        self._body.append(piece)
        self._recent = (self._recent + piece[-_CONTEXT:])[-_CONTEXT:]
        self._since_open += len(piece)
        if self._since_open > OPEN_BRACKET_REACH:
            self._depth = 0

    def _read_text(self, buffer: str, position: int) -> int:
        end = _find(_EVENT, buffer, position)
        self._take(buffer[position:end])
        character = buffer[end : end + 1]
        if character in _OPENING:
            self._since_open = self._since_open if self._depth else 0
            self._depth += 1
        elif character in _CLOSING:
            self._depth = max(0, self._depth - 1)
        elif character:
            self._step, self._before_stop, self._stops = _Step.STOP, self._recent, ""
            return end
        self._take(character)
        return end + len(character)

    def _read_stop(self, buffer: str, position: int) -> int:
        end = _find(_NOT_STOP, buffer, position)
        piece = buffer[position:end]
        self._take(piece)
        self._stops = (self._stops + piece[:2])[:2]
        self._depth = max(0, self._depth - sum(character in _CLOSING for character in piece))
        if end < len(buffer):
            may_end = buffer[end].isspace() or not _WIDE_STOPS.isdisjoint(self._stops)
            self._step = _Step.GAP if may_end and self._depth == 0 else _Step.TEXT
        return end

    def _read_gap(self, buffer: str, position: int, done: list[str]) -> int:
        end = _find(_NOT_SPACE, buffer, position)
        self._gap.append(buffer[position:end])
        if end == len(buffer):
            return end
        ends = _ends_sentence(self._before_stop, self._stops, buffer[end : end + _AHEAD])
        if ends is None:
            self._ahead = buffer[end:]
            return len(buffer)
        if ends:
            done.append("".join(self._body))
            self._body, self._recent = [], ""
        for piece in self._gap:
            self._take(piece)
        self._gap, self._step = [], _Step.TEXT
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


def spoken_words(text: str) -> float:
    """How many words it takes as long to speak; Chinese and Japanese characters are parts of a word (rates are ours).

    >>> spoken_words("Tom has 5 hens."), spoken_words("\u5c0f\u660e\u6709\u4e94\u53ea\u9e21\u3002")
    (4, 3.6)
    """
    wide = _WIDE_LETTER.findall(text)
    if not wide:
        return len(text.split())
    others = sum(any(map(str.isalnum, word)) for word in _WIDE_LETTER.sub(" ", text).split())
    rate = JAPANESE_WORD if _KANA_LETTER.search(text) else CHINESE_WORD
    return round(others + rate * len(wide), 6)


def clock_chunks(text: str, seconds: float, words_per_minute: float = 150.0) -> tuple[str, ...]:
    """What is heard in each window of ``seconds``: the words that end in it; a window without one is no chunk."""
    if not (0.0 < seconds < math.inf and 0.0 < words_per_minute < math.inf):
        raise ValueError(
            f"got {seconds} seconds, {words_per_minute} words a minute; expected above 0."
        )
    words_per_window = max(1.0, seconds * words_per_minute / 60.0)
    found = list(_WORD.finditer(text))
    rate = JAPANESE_WORD if _KANA_LETTER.search(text) else CHINESE_WORD
    spoken = accumulate(rate if _WIDE_LETTER.search(word.group()) else 1 for word in found)
    # The tolerance keeps a word that ends with its window inside it in spite of rounding.
    windows = [math.ceil(words / words_per_window - 1e-9) for words in spoken]
    cuts = [
        word.end()
        for word, (now, then) in zip(found, pairwise(windows), strict=False)
        if now != then
    ]
    return _cut(text, cuts) if found else ()


def chunk(text: str, spec: str) -> tuple[str, ...]:
    """Cut a text as a config says: ``sentence``, ``word:5``, ``clock:2.0`` or ``clock:2.0@150`` (words a minute)."""
    if spec == "sentence":
        return sentence_chunks(text)
    if words := re.fullmatch(r"word:([1-9][0-9]{0,8})", spec):
        return word_chunks(text, int(words[1]))
    if clock := re.fullmatch(r"clock:(\d+(?:\.\d+)?)(?:@(\d+(?:\.\d+)?))?", spec, re.ASCII):
        return clock_chunks(text, float(clock[1]), float(clock[2] or 150.0))
    raise ValueError(
        f"chunking: got {spec!r}; expected 'sentence', 'word:N' (N words), 'clock:S' (S seconds of speech) "
        f"or 'clock:S@W' (at W words a minute), such as 'word:5' or 'clock:2.0@150'."
    )


def _cut(text: str, cuts: Sequence[int]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in pairwise((0, *cuts, len(text))))


def _find(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.search(text, position)
    return len(text) if found is None else found.start()


def _ends_sentence(before: str, stops: str, ahead: str) -> bool | None:
    """Whether a sentence ends at a stop, or None while too little of what follows is known.

    ``before`` is the end of the sentence up to the stop, ``stops`` the first two characters of the run of stops and
    closing quotes or brackets, ``ahead`` what follows behind the white space, at most 16 characters.
    """
    found = _NEXT.match(ahead)
    if found is None:
        return None
    if _CLOSED_SPEECH.match(stops):
        if len(ahead) < 3:
            return None
        if _SAID.match(ahead):
            return False
    first, word = found[1], found[1] + found[2]
    if first in _CONTINUES or (first.islower() and _WIDE_STOPS.isdisjoint(stops)):
        return False
    if stops != "." or not before.strip():
        return True
    if re.fullmatch(r"\d{1,3}|[A-Za-z]", before.strip()):
        return False
    *earlier, last = before.split()
    is_label = re.fullmatch("[A-EX-Z]", last) and earlier and earlier[-1].islower()
    if is_label and earlier[-1] not in _STARTERS:
        return True  # "jar A. Ben" ends a sentence, "by A. Ben" and "John A. Ben" do not
    is_whole = found.end() < len(ahead) or len(ahead) == _AHEAD
    return _abbreviation_ends(last.lstrip("\"'“‘«([{"), word, is_whole=is_whole)


def _abbreviation_ends(last: str, following: str, *, is_whole: bool) -> bool | None:
    """The same for a full stop behind the word ``last``, where ``following`` starts no lower-case word."""
    lower = last.lower()
    if last in _NEVER or (following[0].isdigit() and lower in _NUMBERED):
        return False
    if lower in ("a.m", "p.m"):
        return following.lower() not in _OF_TIME if is_whole else None
    if lower in _MAYBE or _INITIALS.fullmatch(last):
        return following.lower() in _STARTERS if is_whole else None
    return True
