r"""Words and signs around digits that make another value of them, or none.

    >>> changes_value("at most ", "5", " hens"), changes_value("exactly ", "5", " hens")
    (True, False)

Bounds, ranges, ratios, dates, times, rates, negations, hedges, products, powers, subscripts, repeating decimals,
magnitudes that are not read. Two numbers with up to three signs, or a word, between them are one expression, unless the
signs end a sentence or the word is a known one of prose. Else the lists are ours; what stands on none of them is taken for
a unit or for prose.
"""

from __future__ import annotations

import re

from adasr_trl.core.characters import CJK, INVISIBLE, OPERATOR, RAISED
from adasr_trl.core.number_words import (
    BEFORE_NUMBER,
    BEHIND_NUMBER,
    BOUND,
    CORRECTED,
    MAGNITUDE,
    NUMBER_WORD,
    PARTS,
    TIME_BEHIND,
    WRONG,
)
from adasr_trl.core.script_stops import WIDE

# ruff: noqa: RUF001 - typographic signs are meant
REACH = 40  # characters on either side that are looked at
_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
# Commands of LaTeX that leave a number as it is.
_HARMLESS = (
    r"(?:text|math|bm|boldsymbol|underline|emph|num|mbox|boxed|fbox|box|circ|degree|left|right"
    r"|quad|qquad|displaystyle|approx|sim|therefore|implies|Rightarrow)"
)
# Of HTML: a sign, a power, a fraction; not white space.
_ENTITY = r"&(?!\w{1,4}sp;|quot;)\#?\w{2,31};"
_HAN = "〇零一二三四五六七八九十"
# Words and signs that end what is said of a number, so that another one may follow.
_GOES_ON = (
    r"(?:of|out|from|since|because|per|in|at|on|by|for|than|not|as|after|when|if|with|is|are|was|left|equals?|makes?|gives?|leaves?|becomes?"
    r"|during|sono?|es|est|sont|font|ist|sind|macht|ergibt|são|равно|это|будет|потому|так)\b"
)
_ENDS = r".!?)\]}\"'”’»*`$=%#—|\\(\[{<" + WIDE  # in a class
_LETTER = rf"(?:[^\W\d_{CJK}]|(?![{WIDE}])[\u0300-\u1cff])"  # also vowels that are marks
# But for "is", "has", "makes".
_CJK_LETTER = rf"(?:(?![是得共有为為等剩余餘因所故はがで는은이가])[{CJK}])"

_BEHIND = re.compile(
    rf"""# a longer number: dates, times, decimals, groups, repeating digits, marks on digits, other bases
    \s?[:/]\s?[0-9] | [.,'_][0-9] | \s[.,]\s?[0-9] | \s?-\s?[0-9] | \^(?!\s*\{{?\\circ) | ⁄ | [⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉{RAISED}\u0300-\u036f\u20d0-\u20ff]
    | {INVISIBLE}+[.,]?{INVISIBLE}*[0-9] | \s?(?:\.{{2,}}|…)\s?[0-9] | \.?\([0-9] | [\\~][0-9] | _\{{?[0-9]
    | -(?![A-Za-z0-9]) | \\(?:over)?(?:line|bar|dot)\{{
    | [A-Za-z][0-9] | [A-Za-z]{{1,2}}'?[0-9] | \s++[0-9] | '\s?[0-9] | [A-F](?![A-Za-z])
    | -?(?:ty|teen|ish)\b | -odd\b | \s?[{_HAN}半割成] | \s?点[0-9]
    | (?:\s?[^\w\s{_ENDS}]){{1,3}}\s?[-+$£€¥]?[0-9]
    # a relation, a mapping, a product, a sum, a power
    | \s?{OPERATOR}
    | \s?[~→⇒⟶∼>≤≥≠|±∓]\s?[-0-9A-Za-z] | \s?<(?!/|[A-Za-z]+\s?/?>) | \s?∈ | ,?\s?[-+]?(?:∞|\\infty)
    | \s?[-=]+> | \s?!=
    | \s?<su[bp]\b | {_ENTITY} | &\w+sp;\s?[0-9] | \s?\\(?!{_HARMLESS})[A-Za-z] | \s?√ | \s?sqrt\b
    | \s?(?:π|\\pi)
    | \)?\s?[*·x]{{1,2}}\s?[0-9(]
    | \)?\s?(?:[+×÷±]|\+-|-?plus|minus|times|less|divided\sby|multiplied\sby)(?![A-Za-z])
    | [\s-]?(?:squared|cubed|factorial|doubled|halved|tripled|twice|\(?mod|choose|base|\(?in\sbase|\(base\s[0-9]|with\s(?:a\s)?remainder|raised|to\sthe\s(?:power|\w+(?:st|nd|rd|th))|or\s(?:so|thereabouts?)|point|per\smille|bps?|basis\spoints?|over\s[0-9])\b | \s?[‰‱]
    | [xyznijabcequvwo](?![A-Za-z]) | \s(?:[xyznij]|pi)(?![A-Za-z']) | [GkK](?![A-Za-z]) | \sk(?![A-Za-z])
    # several values, a correction
    | \s?\(\s?(?:or|to|and|maybe|perhaps|possibly)\b
    | \s?(?:to|through|or|and|versus|vs\.?|nor|&|,|;|\|)\s?(?:about\s|maybe\s|perhaps\s)?[-$£€¥]?[0-9.]*[0-9]
    | (?:\s[a-z]{{1,12}})?,?\s(?:to|through|or|and|nor|point)\s{NUMBER_WORD}\b
    | \s{NUMBER_WORD}\b(?!\s(?:hours?|days?|weeks?|months?|years?|minutes?|times)\b)
    | (?i:{CORRECTED})[0-9]
    # a bound, a comparison, a rate, a denial
    | {BOUND} | (?:\s[a-z]{{1,12}})?\s(?:or|and)\s(?:none|nothing|neither|change|something|some|counting)\b
    | (?:\s[a-z]{{1,12}})?\s(?:more|less|fewer|greater|larger|smaller|higher|lower)\sthan\s(?:\w+\s)?(?:[-$£€¥]?[0-9]|{NUMBER_WORD}\b)
    | (?:\s[a-z]{{1,12}}){{0,2}}\s(?:per|every|each|in\severy|for\severy)\s[0-9]
    | \s(?:out\sof|of|in|per|for\severy)\s(?:every\s)?[0-9]
    | -for-[0-9] | \s(?:pairs|groups|sets|packs|bags|boxes|rows|teams|lots)\sof\s(?:[0-9]|{NUMBER_WORD}\b)
    | (?:\s[a-z]{{1,12}})?\s(?:is|was|are|were|would\sbe|seems|looks)(?:n't)?\s(?:\w+\s)?(?:not\s(?:\w+\s)?(?:right|correct|true|valid|possible|it|the)|{WRONG})\b | (?:\s[a-z]{{1,12}})?\s(?:is|was|are|were)n't\b
    | \snot\s*(?:[.!]|$) | \s(?:\w+\s)?(?:below|under)\s(?:zero|0)
    | \sby\s[0-9]{{1,3}}(?![0-9:]|\s?[ap]\.?m) | \s?(?:%|percent|per\scent)\s(?:points?\s)?(?:of\b|[0-9])
    # a part, a date, a time, a magnitude
    | (?:\s?-?|\s(?:and|&)\s(?:\w+\s)?){PARTS}\b | (?:st|nd|rd|th)s?\s(?:of|part|{_MONTH})\b | ths\b
    | (?:-|\s(?:of\s)?){_MONTH}(?![a-z]) | ,?\s?[(\[]\s?(?:in\s|US)?[$£€¥]?\s?(?:(?i:{MAGNITUDE})|(?:1?,?000|[mM]|bn|mil|mn)'?s?\s?[)\]])
    | ,?\sin\s(?i:(?:thousand|million|billion|trillion|hundred|lakh|crore)s)\b
    | \s?(?i:[ap]\.?m)\b(?!\s?[²³^]) | \spast\s | \s?-?[MBT](?![^\W\d_]) | \s?-?(?i:{MAGNITUDE})
    """,
    re.VERBOSE,
)
_MAGNITUDE_OF_MONEY = re.compile(
    r"\s?(?:mm?|b|k|mill\.|grand|lakhs|crores)(?![A-Za-z])", re.IGNORECASE
)
# A second quantity with a unit: "5 feet 6 inches", "3 dollars and 50 cents", "5 apples or 6 pears".
SECOND = re.compile(
    rf"\s?(?!{_GOES_ON})(?:(?:{_LETTER}|[°\"'′″%]|\\%){{1,12}}\.?(?:,?\s(?:and|or|to)(?!\snot\b))?,?"
    rf"|または|또는|{_CJK_LETTER}{{1,3}})\s?(?:[-×x*~±]\s?|by\s(?!\S+\s?[ap]\.?m))?[$£€¥]?[0-9]"
)
_BEFORE = re.compile(
    rf"""(?: \b(?:not|never|no|neither|nor|cannot|without|unlike|except(?:\sfor)?|excluding|besides|apart\sfrom|instead\sof|rather\sthan
        |than|under|over|below|above|between|beyond|point|out\sof|at\s(?:the\s)?(?:very\s)?(?:least|most)|up\sto|(?:up|north|south)(?:wards?)?\sof|excess\sof|exceed(?:s|ing)?|(?:maxim|minim)um(?:\sof)?|(?:max|min)\.?
        |half(?:\sof)?|{PARTS}\sof|twice|double|triple|thrice|almost|nearly|but|(?:(?:square|cube|cubic)\sroot|square|cube|factorial|reciprocal|inverse|opposite|negation)\sof
        |(?:quarter|half|ten|twenty|minutes)\s(?:to|past)|past|tens\sof|base|root\sof|sqrt|log|ln|sin|cos|exp|abs|minus|negative|plus|times|divided\sby|dozen|hundred|thousand|million
        |and|or|either|{NUMBER_WORD}(?:\s(?:to|through|of|in|per|plus|times|less|minus))?|(?-i:{_MONTH}))
      | (?:[½¼¾]|[0-9]/[0-9]++|%|percent)\sof | n't | !=|=/=|[<>]= | [⌊⌈] | [<>≤≥≠√∛±—―⁻⁺{OPERATOR}{RAISED}] | [A-Za-z0-9]-
      | [A-Za-z]\( | -\s?\(? | (?-i:-[A-Z]{{3}})\s | \)\s?[*·×x/+-]{{1,2}}\s?
      | [0-9]\s?(?:[:/x×*÷⁄·^'.,;|&+~→⇒⟶∼\\-]|to|through|vs\.?|versus|mod|over|choose) | \^\{{?
      | {_ENTITY}\s? | [0-9]_\{{? | [½¼¾⅐-⅞]\s? | [{_HAN}百千万] | ∞\s?[,;]?
      | \\(?!{_HARMLESS})[A-Za-z]+\s?\{{? | [0-9-]{INVISIBLE}+ | [0-9](?:\s?[^\w\s{_ENDS}]){{1,3}}
      | [0-9]\s?(?:\.{{2,}}|…) | [0-9] | [-+]\s )
    \s?(?:the\s|a\s|an\s|about\s|exactly\s|actually\s|really\s|equal\sto\s|be\s|[*"'(\\$]){{0,3}}$""",
    re.VERBOSE | re.IGNORECASE,
)
_CORRECTION = re.compile(rf"{CORRECTED}", re.IGNORECASE)
_TO_NEXT = re.compile(r"\s?(?:(?:power\s)?of\s)?(?:the\s|every\s|a\s)?[-$£€¥({\s]?")
_ONE_PART = re.compile(r"\b(?:an?|one)\s$", re.IGNORECASE)  # before "5th": a fraction
_WORDS = re.compile(r"\\(?:text\w*|mathrm|mathbf|mbox)\s*\{([^{}]*)(?:\}|$)")  # in LaTeX
_SPACING = re.compile(r"\\[,;:!\s]|\\q?quad(?![A-Za-z])|\s+")
_DECIMALS_GO_ON = re.compile(r"\.{2,}|…")
# Around several values: an interval, a set, a vector.
_OPENS = re.compile(r"(?:[\])]|\\[{|]|\\l(?:brace|brack|angle)|\\left\s*.)\s*$")
_CLOSES = re.compile(r"\s*(?:[\[(]|\\[}|]|\\r(?:brace|brack|angle)|\\right\s*\S)")
_DECIMAL_COMMA = re.compile(r"[0-9],(?:[0-9]{1,2}|[0-9]{4,})$")
_BRACKET = re.compile(r"(?<![\\\w])[(]\s?$")


def changes_value(before: str, number: str, behind: str, *, is_money: bool = False) -> bool:
    """Whether what stands around a number makes another value of it, or none."""
    before, behind = as_prose(before[-REACH:]), as_prose(behind[: 2 * REACH])
    return bool(
        _BEHIND.match(behind)
        or SECOND.match(behind)
        or BEHIND_NUMBER.match(behind)
        or TIME_BEHIND.match(behind)
        or _BEFORE.search(before)
        or BEFORE_NUMBER.search(before[-24:])  # longer than the longest of them
        or (is_money and _MAGNITUDE_OF_MONEY.match(behind))
        or ("." in number and _DECIMALS_GO_ON.match(behind))
        or (behind.startswith("th") and _ONE_PART.search(before))
        or ("," in number and before.rstrip().endswith(("(", "[")) and behind[:1] in ")]")
        or (_DECIMAL_COMMA.search(number) and before.endswith("{") and behind.startswith("}"))
        or ("," in number and _OPENS.search(before) and _CLOSES.match(behind))
        or (number.startswith("-") and before.endswith("|"))  # an absolute value
    )


def joins_next(between: str, number: str) -> bool:
    """Whether a number belongs to the expression of the one before it, as in "5 of 9", and is no correction of it."""
    text = as_prose(between + number)
    if len(text) > 2 * REACH or _CORRECTION.match(text):
        return False
    gap = len(text) - len(number)
    matches = (_BEHIND.match(text), SECOND.match(text))
    ends = [match.end() for match in matches if match is not None]
    return any(end > gap or _TO_NEXT.fullmatch(text, end, gap) for end in ends)


def as_prose(text: str) -> str:
    """The text without LaTeX's commands for words, money and spacing."""
    return _SPACING.sub(" ", _WORDS.sub(r"\1", text)).replace("\\$", "$") if "\\" in text else text


def is_bracketed(before: str, behind: str) -> bool:
    """Whether a number stands alone in round brackets: less than nothing where accounts are kept, a remark elsewhere."""
    return _BRACKET.search(before) is not None and re.match(r"\\?%?\s?\)", behind) is not None
