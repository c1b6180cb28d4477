"""Whether a sentence ends at a stop: the words around it.

    >>> ends_sentence("He met Dr", ".", "Lee at 5 "), ends_sentence("He met him", ".", "Ann left ")
    (False, True)

Abbreviations, initials, numbers of items, times, direct speech. The lists are ours. Streams of text are in ``sentences``.
"""

from __future__ import annotations

import re

from adasr_trl.core.script_stops import HAN_KANA, WIDE, WIDE_STOPS

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant
AHEAD = 16  # characters behind the white space that are looked at
_MONEY = "$£€¥₹"

_CONTINUES = frozenset(f",;:.!?…%&=/)]}}，、；：،؛{WIDE}")  # these start no sentence
_NEXT = re.compile(r"[\"'“‘«„»(\[{（【「『《¿¡*_]{0,3}+(.)([^\W\d_]*)", re.DOTALL)
# Lower case that begins a sentence all the same: "iPhone", "b)", "(iv)".
_LOWER_START = re.compile(r"[a-z]{1,5}[A-Z]|\(?(?:[a-z]|[ivx]{2,4})\)\s")
_LOWER_BEGUN = re.compile(r"\(?[a-z]{1,5}\)?|\(")
_DEGREE = re.compile(r"\b(?:[Dd]r|Prof)\. [a-z]{1,4}$")  # "Dr. med. Klein"
_IN_PARTS = re.compile(r"\b[^\W\d_]\. [a-zäöü]$")  # "u. a. 5 Eier"
_CLOSED_SPEECH = re.compile("[。！？｡][」』”]")
# Behind direct speech these go on with its sentence: "he said", "she asked".
_SAID = re.compile("と(?!ても|ころ)|って|[他她我]?(?:们|們)?(?:说|說|问|問|道|喊|叫|答)")
_ITEM = re.compile(r"\d{1,3}|[^\W\d_]|[IVXLC]{1,6}|[ivxlc]{1,6}")  # its number or letter
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]|[A-HJ-ZА-ЯЁΑ-Ω]")
_ELIDED = re.compile(f"['’{HAN_KANA}]")
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


# German words before an ordinal number, whose full stop ends nothing; but "I am 1. He".
_ORDINAL = re.compile(
    r"(?<!\bI )(?<!\S)(?i:der|die|das|dem|den|des|am|im|vom|zum|zur|beim|seit|bis|ab|jede[rs]?) \d{1,2}$"
)
# Behind these, with three digits or Roman, it ends a sentence before a word that often starts one: "Sie hat seine 5. Er hat 3."
_MAYBE_ORDINAL = re.compile(
    r"(?<![\w'’])(?i:(?:d(?:er|ie|as|em|en|es)|zum|zur|beim|vom|ins|ans|aufs|(?:[dkms]?ein|ihr|unser)(?:e[mnrs]?)?|euer"
    r"|(?:eur|dies|jed|jen|welch)e[mnrs]?|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend),?"
    r"|im(?= [IVX])|\d{1,3}\.,? (?:und|oder|bis|[-–])) (?:\d{1,3}|[IVX]{1,6})$"
)
_NUMBER = re.compile(r"\d{1,3}|[IVX]{1,6}")
_LABELS = frozenset("ABCDEXYZ")
_BEFORE_YEAR = re.compile(r"(?:^|[\s(])[bcdr]$")  # "c. 1900", "b. 1900"
_YEAR = re.compile(r"[12]\d{3}(?!\d)")
_YEAR_BEGUN = re.compile(r"[12]\d{0,3}")
# A full stop behind these words never ends a sentence.
_NEVER = _words(
    # German, French, Spanish, Italian, Dutch, Portuguese
    "Nr bzw z.B d.h u.a o.ä evtl ggf inkl exkl zzgl Hr Fr Frl Str vgl Abb Kap Hrsg geb gest "
    "Mme Mmes Mlle Mlles MM Mgr chap éd env "
    "Sra Sras Srta Dra Ud Uds núm pág Sig Sig.ra Dott Dott.ssa Avv Ing dhr mevr bijv blz nº "
    "Dr Mr Mrs Ms Mx Prof Sgt Capt Lt Col Gen Rep Sen Gov Rev Hon Mt Ft Fig Figs Eq Eqs "
    "Dhr Mevr o.a t.a.v i.p.v d.w.z sig dott avv ing Profa Av Exmo Exma Vd Vds p.ex np tj tzn bl.a t.ex m.fl "
    "ул им стр см рис табл проф акад т.е "
    "vs cf ca approx e.g i.e E.g I.e eg ie viz resp incl "
    "Drs drs Mw mw Dña Det Pvt Cpl Insp Assoc Asst Atty Dipl Mag "
    "Adm Pres Maj Cmdr Messrs Supt Fa např Např tzn tzv f.eks F.eks dvs Dvs esim Esim"
)
# Nor behind these before a digit: "No. 5", "3 ft. 6 in.", "Jan. 4".
_NUMBERED = _words(
    "rs ch chs thm apt ext tel sect pg pgs pag pagg vols rm bldg rte hwy eq eqs bd ziff abschn nrn "
    "n nr no nos est ver ex pl vol sec bls ed eds max min s ok p pp fig ft lb oz jan feb mar apr jun jul aug sep oct nov dec"
)
# As these are, where their capital tells them from a word: "Art. 5", but "She loves art. 5 of them came."
_NUMBERED_NAMES = _words("Art Abs Op Ca")
# Other words too in another case: "5 mm. Ann", "He ate a fig. Ann".
_OTHER_WORDS = _words(
    "abb av ca chap col det eg env eq eqs fa fig figs fr ft gen gest gov hon hr ie ing kap lt mag maj mm ms mt mw mx "
    "np pres rep rev sen str tj ud uds vd vds"
)
# Behind these, as behind initials, it ends one only before a word that often starts one.
_MAYBE = _words(
    "stk pck pkg tsd г д руб коп тыс т.д т.п mio mrd al jr sr st inc ltd co corp bros ave blvd rd ph.d univ sp spp subsp"
)
_MONTHS = _words(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
# Behind these it does not end one before a month.
_WEEKDAYS = _words("Mon Tue Tues Wed Weds Thu Thur Thurs Fri Sat Sun")
# Behind a.m. and p.m. it does not end one before these.
_OF_TIME = _MONTHS | _words(
    "monday tuesday wednesday thursday friday saturday sunday et est pt pst gmt utc cet bst"
)
_STARTERS = _words(
    "the a an he she it they we i you his her its their our my this that these those there here in on at if of to for "
    "from with by as and but or so then when while after before since because although however thus also finally how "
    "what who which why where is are was were do does did has have can could all each every both some most no one two "
    "das die der er sie es wir ich und aber dann wie wann wer wo jetzt danach "
    "он она они оно это в на и но а мы вы я все после потом затем если когда сколько"
)
_BEFORE_INITIAL = _STARTERS | _words("de del da do di du von van par por con mit")
# "dr. Silva" and "DR. SILVA" are less certain than "Dr. Silva".
_ANY_CASE = frozenset(map(str.lower, _NEVER)) - _OTHER_WORDS
_LOWER_CASE = frozenset(map(str.lower, _NEVER)) - {"det", "mag"} | _MAYBE | {"a.m", "p.m"}


def ends_sentence(before: str, stops: str, ahead: str, *, has_capitals: bool = True) -> bool | None:
    """Whether a sentence ends at a stop, or None while too little of what follows is known.

    ``before`` is the end of the sentence up to the stop, ``stops`` the first two characters of the run of stops and
    closing quotes or brackets, ``ahead`` what follows behind the white space, at most 16 characters. Text without any
    capitals so far is speech, whose sentences begin in lower case.
    """
    if stops[:1] == ";" and not _GREEK.match(before.rstrip()[-1:]):
        return False  # a question mark in Greek only
    match = _NEXT.match(ahead)
    if match is None:
        return None
    if _CLOSED_SPEECH.match(stops) and (is_said := _is_said(ahead)) is not False:
        return None if is_said is None else False
    if match[1] in _CONTINUES:
        return False
    is_lower_case = match[1].islower() and WIDE_STOPS.isdisjoint(stops)
    if is_lower_case and (has_capitals or len(stops) > 1) and not _LOWER_START.match(ahead):
        is_begun = _LOWER_BEGUN.fullmatch(ahead) and len(ahead) < AHEAD
        return None if is_begun else False
    if stops != "." or not before.strip():
        return True
    if not has_capitals and _is_abbreviation(before.split()[-1]):
        return False  # without capitals nothing tells whether a sentence begins behind it
    return _abbreviated_in_parts(before, ahead, match)


def _is_said(ahead: str) -> bool | None:
    """Whether "he said" or the like goes on behind direct speech; None while too little is known."""
    following = "".join(ahead.split())  # a line may break in it
    if len(following) < 3 and len(ahead) < AHEAD:
        return None
    return _SAID.match(following) is not None


def _abbreviated_in_parts(before: str, ahead: str, match: re.Match[str]) -> bool | None:
    """The same for a single full stop, which "z. B." has two of."""
    if _PART.search(before):
        if _BEFORE_YEAR.search(before) and _YEAR.match(ahead):
            return False
        if _BEFORE_YEAR.search(before) and _YEAR_BEGUN.fullmatch(ahead):
            return None
        if _NEXT_PART.match(ahead):
            return False
        if _NEXT_PART_BEGUN.fullmatch(ahead):
            return None
    is_whole = match.end() < len(ahead) or len(ahead) == AHEAD
    return _full_stop_ends(before.strip(), match[1] + match[2], is_whole=is_whole)


def _full_stop_ends(before: str, following: str, *, is_whole: bool) -> bool | None:
    """The same for a single full stop behind ``before``; ``following`` is the next word, perhaps not whole yet."""
    if _ITEM.fullmatch(before) or _TIME_AHEAD.fullmatch(before) or _DEGREE.search(before):
        return False
    starts_often = following.lower() in _STARTERS if is_whole else None
    if _IN_PARTS.search(before):
        return starts_often
    *earlier, last = ("", *before.split())
    if last in _WEEKDAYS and earlier[-1] != "the":  # "the Sun. May I go?"
        return following.lower() not in _MONTHS if is_whole else None
    is_number = _NUMBER.fullmatch(last) is not None
    if is_number and _ORDINAL.search(before):
        return False
    is_versus = last == "v" and earlier[-1][:1].isupper()  # but "the speed v. Find it"
    if is_versus or (is_number and _MAYBE_ORDINAL.search(before)):
        return starts_often
    is_label = last in _LABELS and earlier[-1].islower()
    if is_label and earlier[-1] not in _BEFORE_INITIAL:
        return True  # "jar A. Ben" ends a sentence, "by A. Ben" and "John A. Ben" do not
    last = last.lstrip("\"'“‘«([{")
    if _is_certain(last, following):
        return False
    if last.lower() in ("a.m", "p.m"):
        return following.lower() not in _OF_TIME if is_whole else None
    return starts_often if _is_uncertain(last, is_capitals=before.isupper()) else True


def _is_abbreviation(word: str) -> bool:
    return word in _LOWER_CASE or _INITIALS.fullmatch(word) is not None


def _is_certain(last: str, following: str) -> bool:
    """Whether a full stop behind the word ``last`` ends no sentence, where ``following`` starts no lower-case word."""
    *elided, word = _ELIDED.split(last)  # "l'ing.", "见Dr."
    if word in _NEVER:
        return True
    if not (following[0].isdigit() or following[0] in _MONEY):
        return False
    lower = word.lower()
    is_name = word in _NUMBERED_NAMES or (elided and lower == "art")
    return bool(is_name) or lower in _NUMBERED or lower.endswith("str")


def _is_uncertain(last: str, *, is_capitals: bool) -> bool:
    """Whether it ends one only before a word that often starts one; ``is_capitals``: all words so far are in capitals."""
    word = re.split("['’]", last)[-1]
    lower = word.lower()
    if lower in _MAYBE or _INITIALS.fullmatch(word) or ".-" in word:  # "Dipl.-Ing.", "J.-P."
        return True
    return lower in _ANY_CASE and (is_capitals or not word.isupper())
