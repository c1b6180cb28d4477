"""Ends of sentences in a text that arrives in pieces.

    >>> sentence_chunks("Dr. Lee has 3.5 kg (approx. 8 lb). How much is left?")
    ('Dr. Lee has 3.5 kg (approx. 8 lb).', ' How much is left?')

A sentence ends at a stop with its closing quotes and brackets before white space and a sentence start, or at a blank
line. The rules are our choice; a boundary depends only on the text up to the next sentence's first word. Text without any
capitals so far (speech) may begin sentences in lower case. Stops are those of Unicode's living scripts, and the Greek
semicolon; abbreviations are of English, German, French, Spanish, Italian, Portuguese, Dutch, and a few of Russian, Polish
and Swedish. Left out: lines without a stop (lists), scripts without stops (Thai, Lao).
"""

from __future__ import annotations

import re
from enum import Enum

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant
OPEN_BRACKET_REACH = 400  # characters after which a bracket that never closes is forgotten
_CONTEXT = 32  # characters before a stop that are looked at
_AHEAD = 16  # characters behind the white space that are looked at
_COMMON_STARTS = ("The", "Monday", "5")

# Stops of scripts in which they end a sentence whatever follows, with or without white space.
_WIDE = (
    "。！？｡‼‽⁇⁈⁉⸮﹖﹗"
    "\u037e\u0589\u05c3\u061d\u061e\u061f\u06d4"  # Greek, Armenian, Hebrew, Arabic, Urdu
    "\u0700\u0701\u0702\u07f9\u0964\u0965\u0f0d\u0f0e\u104b"  # Syriac, N'Ko, Indic, Tibetan, Burmese
    "\u10fb\u1362\u1367\u166e\u17d4\u17d5\u1803\u1809"  # Georgian, Ethiopic, Cree, Khmer, Mongolian
    "\u1944\u1945\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c\u1c7e\u1c7f"  # Limbu, Balinese, Lepcha, Santali
    "\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua9c8\ua9c9\uaa5d\uaa5e\uaa5f\uabeb"  # Lisu to Manipuri
)
_WIDE_STOPS = frozenset(_WIDE)
_OPENING = frozenset("([{（【「『《")
_CLOSING = frozenset(")]}）】」』》")
_WIDE_CLOSING = frozenset("）】」』》”")
_CONTINUES = frozenset(f",;:.!?…%&=/)]}}，、；：،؛{_WIDE}")  # these start no sentence
_LINE_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_BREAK = re.compile(rf"\r\n|[{_LINE_BREAKS}]")
_PARAGRAPH_SEPARATOR = "\u2029"
_EVENT = re.compile(rf"[.!?…;{_LINE_BREAKS}{_WIDE}()\[\]{{}}（）【】「」『』《》]")
# Behind a stop, an opening quote closes as in German, and a raised figure is a footnote's.
_NOT_STOP = re.compile(rf"[^.!?…;{_WIDE}\"'”’»“‘*_)\]}}）】」』》⁰¹²³⁴⁵⁶⁷⁸⁹†‡]")
_FOOTNOTE = re.compile(r"\[[0-9]{1,3}\]")
_FOOTNOTE_BEGUN = re.compile(r"\[[0-9]{0,3}")
_NOT_SPACE = re.compile(r"\S")
_SPACE = re.compile(r"\s+")
_NEXT = re.compile(r"[\"'“‘«„»(\[{（【「『《¿¡*_]{0,3}+(.)([^\W\d_]*)", re.DOTALL)
_CLOSED_SPEECH = re.compile("[。！？｡][」』”]")
# Behind direct speech these go on with its sentence: "he said", "she asked".
_SAID = re.compile("と(?!ても|ころ)|って|[他她我]?(?:们|們)?(?:说|說|问|問|道|喊|叫|答)")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]|[A-HJ-ZА-ЯЁΑ-Ω]")
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
# Abbreviations in several parts: "z. B.", "d. h.", "EE. UU."
_PART = re.compile(r"(?:^|[\s(])(?:[^\W\d_]|([A-Z])\1)$")
_NEXT_PART = re.compile(r"[^\W\d_]{1,2}\.")
_NEXT_PART_BEGUN = re.compile(r"[^\W\d_]{1,2}")
# A time that begins a sentence: "At 5 a.m. Mr. Lee woke."
_TIME_AHEAD = re.compile(
    r"(?:at|by|before|after|around|about|until|since|from)\s\S{1,8}\s[ap]\.m", re.IGNORECASE
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD_END = re.compile(r"(?:^|[\s\"'(“‘])[^\W\d_A-Z]{2,}$")
_GLUED_WORD = re.compile(r"^\w*[^\w]")
_GLUED_START = re.compile(r"[^\W\d_][^\W\d_A-Z]*['’]?[^\W\d_A-Z]*[\s,]")
# German words before an ordinal number, whose full stop ends nothing.
_BEFORE_ORDINAL = _words(
    "der die das dem den des am im vom zum zur beim seit bis ab jeder jede jedes"
)
# A full stop behind these words never ends a sentence.
_NEVER = _words(
    # German, French, Spanish, Italian, Dutch, Portuguese
    "Nr bzw z.B d.h u.a o.ä evtl ggf inkl exkl zzgl Hr Fr Frl Str vgl Abb Kap Hrsg geb gest "
    "Mme Mmes Mlle Mlles MM Mgr chap éd env "
    "Sra Sras Srta Dra Ud Uds núm pág Sig Sig.ra Dott Dott.ssa Avv Ing dhr mevr bijv blz nº "
    "Dr Mr Mrs Ms Mx Prof Sgt Capt Lt Col Gen Rep Sen Gov Rev Hon Mt Ft Fig Figs Eq Eqs "
    "Dhr Mevr o.a t.a.v i.p.v d.w.z sig dott avv ing Profa Av Exmo Exma Vd Vds p.ex np tj tzn bl.a t.ex m.fl "
    "ул им стр см рис табл проф акад т.е "
    "vs cf ca approx e.g i.e E.g I.e eg ie viz resp incl"
)
# Nor behind these before a digit: "No. 5", "3 ft. 6 in.", "Jan. 4".
_NUMBERED = _words(
    "n nr no nos vol sec bls ed eds max min s ok p pp fig ft lb oz jan feb mar apr jun jul aug sep oct nov dec"
)
# Behind these, as behind initials, it ends one only before a word that often starts one.
_MAYBE = _words(
    "г д руб коп тыс т.д т.п al jr sr st inc ltd co corp bros ave blvd rd ph.d univ sp spp subsp"
)
# Behind a.m. and p.m. it does not end one before these.
_OF_TIME = _words(
    "monday tuesday wednesday thursday friday saturday sunday et est pt pst gmt utc cet bst "
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_STARTERS = _words(
    "the a an he she it they we i you his her its their our my this that these those there here in on at if of to for "
    "from with by as and but or so then when while after before since because although however thus also finally how "
    "what who which why where is are was were do does did has have can could all each every both some most no one two "
    "он она они оно это в на и но а мы вы я все после потом затем если когда сколько"
)


_LOWER_CASE = frozenset(map(str.lower, _NEVER)) | _MAYBE | {"a.m", "p.m"}


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
        self._since_open = 0  # characters since the outermost one; white space counts once
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
            _ends_sentence(self._before_stop, self._stops, f"{start} ") for start in _COMMON_STARTS
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
        self._depth, self._step = 0, _Step.TEXT
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
        read = read[len(last) :]
        self._recent = (self._recent + read[-_CONTEXT:])[-_CONTEXT:]
        self._since_open += len(read)
        self._has_capitals = self._has_capitals or any(map(str.isupper, piece))
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
        elif character and character in _LINE_BREAKS:  # a blank line may follow
            self._step, self._stops = _Step.GAP, ""
            return end
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
            follows = buffer[end]
            is_wide = not _WIDE_STOPS.isdisjoint(self._stops)
            is_glued = self._stops in (".", "?", "!") and (
                follows in "¿¡[" or (follows.isupper() and _WORD_END.search(self._before_stop))
            )
            may_end = (follows.isspace() or is_wide or is_glued) and self._depth == 0
            self._step = _Step.GAP if may_end or follows in _LINE_BREAKS else _Step.TEXT
        return end

    def _read_gap(self, buffer: str, position: int, done: list[str]) -> int:
        end = _find(_NOT_SPACE, buffer, position)
        self._gap.append(buffer[position:end])
        if end == len(buffer):
            return end
        if buffer[end] == "[" and not any(self._gap):
            return self._read_footnote(buffer, end)
        ends: bool | None = self._is_paragraph()
        # A line may break between a wide stop and the quote that closes behind it.
        closes = buffer[end] in _WIDE_CLOSING and not _WIDE_STOPS.isdisjoint(self._stops)
        if not ends and not closes and self._stops and not self._depth:
            ends = self._ends_at(buffer[end : end + _AHEAD])
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
        is_glued = not any(self._gap) and _WIDE_STOPS.isdisjoint(self._stops)
        if is_glued and ahead[0] not in "¿¡":  # "He left.She came."
            if len(ahead) < _AHEAD and not _GLUED_WORD.search(ahead):
                return None
            if not _GLUED_START.match(ahead):
                return False
        return _ends_sentence(
            self._before_stop, self._stops, ahead, has_capitals=self._has_capitals
        )


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


def _ends_sentence(
    before: str, stops: str, ahead: str, *, has_capitals: bool = True
) -> bool | None:
    """Whether a sentence ends at a stop, or None while too little of what follows is known.

    ``before`` is the end of the sentence up to the stop, ``stops`` the first two characters of the run of stops and
    closing quotes or brackets, ``ahead`` what follows behind the white space, at most 16 characters. Text without any
    capitals so far is speech, whose sentences begin in lower case.
    """
    if stops[:1] == ";" and not _GREEK.match(before.rstrip()[-1:]):
        return False  # a question mark in Greek only
    if ahead[:1] == "»" and (len(ahead) == 1 or not ahead[1].isalnum()):
        return None if len(ahead) == 1 else False  # a French closing quote, with its space before
    match = _NEXT.match(ahead)
    if match is None:
        return None
    if _CLOSED_SPEECH.match(stops):
        following = "".join(ahead.split())  # a line may break in it
        if len(following) < 3 and len(ahead) < _AHEAD:
            return None
        if _SAID.match(following):
            return False
    first = match[1]
    is_lower_case = first.islower() and _WIDE_STOPS.isdisjoint(stops)
    if first in _CONTINUES or (is_lower_case and (has_capitals or len(stops) > 1)):
        return False
    if stops != "." or not before.strip():
        return True
    if not has_capitals and _is_abbreviation(before.split()[-1]):
        return False  # without capitals nothing tells whether a sentence begins behind it
    return _abbreviated_in_parts(before, ahead, match)


def _abbreviated_in_parts(before: str, ahead: str, match: re.Match[str]) -> bool | None:
    """The same for a single full stop, which "z. B." has two of."""
    if _PART.search(before):
        if _NEXT_PART.match(ahead):
            return False
        if _NEXT_PART_BEGUN.fullmatch(ahead):
            return None
    is_whole = match.end() < len(ahead) or len(ahead) == _AHEAD
    return _full_stop_ends(before.strip(), match[1] + match[2], is_whole=is_whole)


def _full_stop_ends(before: str, following: str, *, is_whole: bool) -> bool | None:
    """The same for a single full stop behind ``before``; ``following`` is the next word, perhaps not whole yet."""
    if re.fullmatch(r"\d{1,3}|[^\W\d_]|[IVXLC]{1,6}|[ivxlc]{1,6}", before):
        return False  # the number of an item
    if _TIME_AHEAD.fullmatch(before):
        return False
    *earlier, last = before.split()
    if re.fullmatch(r"\d{1,2}", last) and earlier and earlier[-1].lower() in _BEFORE_ORDINAL:
        return earlier[-2:-1] == ["I"]  # "der 1. Bundesliga", but "I am 1. He"
    is_label = re.fullmatch("[A-EX-Z]", last) and earlier and earlier[-1].islower()
    if is_label and earlier[-1] not in _STARTERS:
        return True  # "jar A. Ben" ends a sentence, "by A. Ben" and "John A. Ben" do not
    return _abbreviation_ends(last.lstrip("\"'“‘«([{"), following, is_whole=is_whole)


def _is_abbreviation(word: str) -> bool:
    return word in _LOWER_CASE or _INITIALS.fullmatch(word) is not None


def _abbreviation_ends(last: str, following: str, *, is_whole: bool) -> bool | None:
    """The same for a full stop behind the word ``last``, where ``following`` starts no lower-case word."""
    last = re.split("['’]", last)[-1]  # "l'ing."
    lower = last.lower()
    is_numbered = lower in _NUMBERED or lower.endswith("str")
    if last in _NEVER or (following[0].isdigit() and is_numbered):
        return False
    if lower in ("a.m", "p.m"):
        return following.lower() not in _OF_TIME if is_whole else None
    if lower in _MAYBE or _INITIALS.fullmatch(last):
        return following.lower() in _STARTERS if is_whole else None
    return True
