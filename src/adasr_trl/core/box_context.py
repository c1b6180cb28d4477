r"""What stands around a box, where it makes another value of the boxed one, or none.

    >>> around_number("So $x = -", "$.").value, around_number("at least $", "$").value
    ('minus', 'other')

A box is the writer's own mark, so prose beside it ("of the 12 hens", "in May", "times") changes nothing. What changes it: a
sign, an operator or a command of its formula, a bound, a magnitude, a denial, another box that it is joined to. An
equation that goes on to its "=" has the box for a blank: in "3 + \boxed{5} = 8" the value is 5.
"""

from __future__ import annotations

import re
from enum import Enum

from adasr_trl.core.number_context import SECOND, as_prose
from adasr_trl.core.number_words import (
    BEFORE_NUMBER,
    BEHIND_NUMBER,
    BOUND,
    CORRECTED,
    MAGNITUDE,
    NUMBER_WORD,
    PARTS,
    WRONG,
)

# ruff: noqa: RUF001 - typographic signs are meant
_SPACE = r"\s|\\[,;:! ]"
_OPENERS = re.compile(  # markup, and delimiters of a formula or of one of its groups
    rf"(?:{_SPACE}|[$({{\[&]|\\[(\[]|<[A-Za-z_]{{1,20}}>|__|(?<![0-9A-Za-z)}}\]])\*{{1,3}}(?!\s)"
    r"|\\(?:text)?color\s?\{\w+\}|\\(?:text|math|bm|boldsymbol|boxed|fbox|large|Large|displaystyle|left)[a-z]*(?![A-Za-z])|\\begin\{[a-z*]+\})+$"
)
_CLOSERS = re.compile(
    rf"(?:{_SPACE}|[$)}}\]%°]|\\[)\]%]|\^\s?\{{?\s?\\circ\}}?|\*{{2,3}}|\*(?!\s?[0-9(\\])|__|\\(?:right|end\{{[a-z*]+\}}))*"
)
_LIST_MARK = re.compile(r"^\s*[-*•+]\s+")
_FUNCTION = (
    r"\\(?:[dtc]?frac|sqrt|d?binom|times|cdot|div|pm|mp|neq?|not|le(?:q|qslant)?|ge(?:q|qslant)?|[lg]t|ll|gg|notin|log|ln|lg|exp|sin|cos|tan"
    r"|pi|sum|prod|over(?:line)?|bar|dot|infty|lfloor|lceil)(?![A-Za-z])"
)
_RELATION = r"[<>≤≥≠]"
_OPERAND = r"[0-9A-Za-z)\]}%!]"
_MINUS = re.compile(r"(?:^|[^\s\w)\]}%!-]\s?)-$|\s-$|\b(?:[Mm]inus|[Nn]egative)$")
# "Answer - ": no sign.
_DASH = re.compile(
    r"(?:(?<!\bis)(?<!\bwas)(?<!\bare)(?<=[A-Za-z]{2})|(?<=[*_]))\s-\s[$\\(\[{*\s]*$"
)
_SUBTRACTED = re.compile(rf"(?:{_OPERAND}|\b[0-9a-zA-Z])\s?(?:-|[Mm]inus)$")
_SIGNED = re.compile(r"[A-Za-z]{2}\s(?:-|[Mm]inus)$")
_OPERATED = re.compile(
    rf"(?:{_OPERAND}\s?[+/^*·]|{_OPERAND}_|[×÷·∓±√∛∘]|{_FUNCTION}|\\pi\s?[-+]|\\frac\s?\{{[^{{}}]*\}}|\b(?:plus|times|divided\sby))$"
)
_BOUNDED = re.compile(
    rf"(?:{_OPERAND}\$?\s?{_RELATION}=?|[≤≥≠]|\\(?:not\s?=|(?:neq?|le(?:q|qslant)?|ge(?:q|qslant)?|[lg]t|ll|gg|pm))"
    r"|\b(?:at\s(?:least|most)|(?<!dds\s)(?<!add\s)(?<!ums\s)(?<!mes\s)(?<!ing\s)up\sto|than|over|under|below|above|between|beyond|out\sof"
    r"|half(?:\sof)?|twice|double|triple|thrice|almost|nearly|(?:square|cube)\sroot\sof|either)"
    rf"|(?:%|percent|[0-9]/[0-9]+|{PARTS})\sof|\b{NUMBER_WORD}-|(?:=|\bis)\s?-?[0-9]+\$?\sor(?:\s\$?[A-Za-z]\s?=)?)$",
    re.IGNORECASE,
)
_TOUCHED = re.compile(r"(?:[0-9]|(?<![0-9])0\.|[^(][0-9]\)|(?<![A-Za-z\\])[A-Za-z])$")
_BLANK = re.compile(r"[^$\n]{0,40}?(?<![<>=!≤≥])=\s?[-0-9A-Za-z\\]")
_TEN = r"(?:[×x*·]|\\times|\\cdot)\s?10\s?(?:\^|[⁰-⁹⁻])"
_OPERATOR = re.compile(
    rf"[+/*·]\s?[0-9\\({{]|\+\s?[A-Za-z]\b|-\s?(?:[0-9\\{{]|[xyznkmpq]\b)|[×÷±∓√∘]|{_FUNCTION}|\^(?!\s?\{{?\s?\\?(?:text\s?\{{)?\s?(?:th|st|nd|rd|o)\b)"
    r"|[⁰¹²³⁴-⁹⁻ⁿ₀-₉]|_\{?[0-9]|x\s?[0-9(]|\s?[xyzn](?![A-Za-z'])|(?:plus|minus|divided\sby)\s[0-9]"
)
_CHANGED = re.compile(
    rf"""\s?{_RELATION}(?!/|\||[A-Za-z]+\s?/?>) | \s?{_TEN} | \s?-?(?i:{MAGNITUDE}) | (?i:{BEHIND_NUMBER.pattern}) | {BOUND} | (?i:{CORRECTED})[0-9]
    | \s(?:and|&)\s(?:\w+\s)?(?:half|third|quarter)\b | \s?-?(?!(?:quarters?|half|halves)\b){PARTS}\b
    | \s?-?(?:ish|odd|plus)\b
    | \s(?:or|and|to|through|versus|vs\.?|by)\s\$?-?[0-9] | \s[0-9]{{3}}(?![0-9])
    | \s(?:\w+\s)?(?:below|under)\s(?:zero|0) | \s?(?:squared|cubed)\b""",
    re.VERBOSE,
)
_TOUCHES = re.compile(r"[0-9]|[.,:'][0-9]|(?:[xyznijkKeM]|[MBT]|MM)(?![A-Za-z])")
_FILLER = (
    r"(?:the|an?|be|is|option|choice|answer|equal|to|exactly|really|just)\s|[A-Za-z]\s?=\s?|\$"
)
_DENIAL = re.compile(
    r"(?:\b(?:not|never|neither|nor|cannot|no\slonger|unlike|except(?:\sfor)?|excluding|instead\sof|rather\sthan|(?:any|every)thing\sbut"
    rf"|rul(?:e|es|ed|ing)\sout|reject\w*|eliminat\w+)\s|n['’]t\s)(?:{_FILLER}){{0,3}}$|(?:不[是选選]|不会是|不能选|除了|排除|并非)\s?$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:[a-z]{1,12}\s)?,?(?:(?:which|that|it|this)\s)?(?:is|was|are|were|seems|looks|must\sbe)(?:n['’]t)?\s(?:\w+\s)?"
    rf"(?:not\s(?:\w+\s)?(?:right|correct|true|valid|possible|it|the)|{WRONG})\b|(?:is|was)n['’]t\s(?:\w+\s)?(?:right|correct|true|valid|it|the)\b"
    r"|(?:or|and)\s(?:none|neither|nothing)\b|是?(?:不[对對正]|错|錯|誤)|は(?:間違|誤)|では(?:な|あり)|가?\s?아[니닌닙]",
    re.IGNORECASE,
)
_JOINT = r"(?:,|;|&|/|\||-|\\pm|,?\s?\b(?:or|and|nor|to|vs\.?)\b|或者?|和|与|與|か|と|や|または|또는|или|и)"
_JOINED = re.compile(
    rf"\\(?:boxed|fbox|box)\s?\{{(?P<other>(?:[^{{}}]|\{{[^{{}}]*\}}){{0,60}})\}}(?:{_SPACE}|[$*)}}])*{_JOINT}"
    rf"(?:{_SPACE}|[$*({{])*(?:(?<=r\s)\$?[A-Za-z]\s?=\s?)?(?:{_SPACE}|[$*({{])*$"
)


class Around(Enum):
    """What the surroundings of a boxed number make of it: its value, the negative one, or none."""

    NOTHING = "nothing"
    MINUS = "minus"
    OTHER = "other"


def around_number(before: str, behind: str) -> Around:
    """What the text on either side of a box makes of the number in it."""
    before, behind = _LIST_MARK.sub("", as_prose(before)), as_prose(behind)
    said = _OPENERS.sub("", before)
    opening, closing = before[len(said) :], _closing(behind)
    rest = behind[len(closing) :]
    spaced = " " + rest if closing[-1:].isspace() else rest
    is_blank = _BLANK.match(rest) is not None and not re.match(_TEN, rest)
    if not is_blank and (_OPERATOR.match(rest) or _is_operand(said, opening, before)):
        return Around.OTHER
    if _BOUNDED.search(said) or BEFORE_NUMBER.search(said[-24:]) or _CHANGED.match(spaced):
        return Around.OTHER
    second = SECOND.match(spaced)
    if second and "," not in second.group() and not second.group().lstrip()[0].isupper():
        return Around.OTHER
    if _TOUCHES.match(rest) and not re.search(r"\s", closing):
        return Around.OTHER
    is_sign = _MINUS.search(said) and not _DASH.search(before) and not _is_subtracted(said, before)
    return Around.MINUS if is_sign else Around.NOTHING


def _closing(behind: str) -> str:
    match = _CLOSERS.match(behind)
    return match.group() if match else ""


def _is_operand(said: str, opening: str, before: str) -> bool:
    """Whether what stands before a box computes with it."""
    if _OPERATED.search(said) or (said.endswith("}") and opening.startswith("{")):
        return True
    if _is_subtracted(said, before):
        return True
    return opening[:1] in ("", "(", "{") and _TOUCHED.search(said) is not None


def _is_subtracted(said: str, before: str) -> bool:
    return bool(_SUBTRACTED.search(said) and not _DASH.search(before) and not _SIGNED.search(said))


def is_denied(content: str, before: str, behind: str) -> bool:
    """Whether the text on either side of a box denies it, or joins it to another box with other content."""
    before, behind = as_prose(before), as_prose(behind)
    joined = _JOINED.search(before)
    if joined and joined["other"].strip() != as_prose(content).strip():
        return True
    said = _OPENERS.sub(" ", before)
    return bool(_DENIAL.search(said) or _DENIED.match(behind[len(_closing(behind)) :]))
