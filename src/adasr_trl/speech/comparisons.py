"""Comparisons in words, and what stands between angle brackets without them.

    >>> comparisons_in_words("Is x<y, and z >= 3? He waits <5 minutes.")
    'Is x is less than y, and z is at least 3? He waits less than 5 minutes.'

Arrows (->, <-, =>), the heart <3 and paths of menus (File > Open) stay as they are.
"""

from __future__ import annotations

import re

from adasr_trl.speech.money import CURRENCY

_SIGNS = {
    "less than": ("<",),
    "greater than": (">",),
    "at most": ("<=", "=<", "\u2264"),
    "at least": (">=", "\u2265"),
    "not equal to": ("!=", "<>", "\u2260"),
    "about": ("~", "\u2248"),
}
_WORDS = {sign: words for words, signs in _SIGNS.items() for sign in signs}
_QUOTE = re.compile(r"^[ \t]*(?:(?:>[ \t]*)+(?=[^\W\d_])|(?:>+[ \t]+)+)", re.MULTILINE)
_NAME = re.compile(r"(?<!<)<++/?([^\W_][^<>\s]{0,200})>+")
_PHRASE = re.compile(r"<([^\W\d_]{2}[^<>=\n]{0,60}[^\W\d_]{2})>(?![\w(])")
_SIGN = re.compile(
    r"\s?(?<![<>=!\-~|:])([\u2264\u2265\u2260\u2248]|(?:<=|>=|=<|!=|<>|<(?!-(?!\d))|>)(?![<>=|:])"
    rf"|(?<!\w)~(?={CURRENCY}?\.?\d))\s?"
)
_NUMBER = rf"[-\u2212+]?(?:{CURRENCY}\s?)?\.?\d"
_RIGHT = re.compile(rf"(?P<number>{_NUMBER})|(?P<title>[A-Z][a-z])|[-\u2212+]?[^\W_]|[(\[#]")
_LEFT = re.compile(r"(?:(?P<word>[^\W\d_]{2,})|[^\W_]|[)\]%\u00b0]|\d['\"]|[^\W_]\|)$")
_HEART = re.compile(r"<3(?!\w|[.,]?\d|%)")
_FUNCTION_WORD = re.compile(
    "(?i:about|an|and|are|at|by|for|from|has|have|if|in|is|it|of|on|only|or|over|than|the|to|under|was|with|within)"
)


def comparisons_in_words(text: str) -> str:
    """A text with its comparisons in words."""
    return _SIGN.sub(_comparison, text)


def without_brackets(text: str) -> str:
    """A text without the marks of quoted lines, and the brackets around addresses and names."""
    return _PHRASE.sub(_name, _NAME.sub(_name, _QUOTE.sub("", text)))


def _name(found: re.Match[str]) -> str:
    start, end, text = found.start(), found.end(), found.string
    before, behind = text[max(0, start - 1) : start], text[end : end + 1]
    is_chain = (before.isalnum() or before in ")]") and (behind.isalnum() or behind == "(")
    if before and is_chain and not re.search("[@/:]", found[1]):  # x<y>z
        return found[0]
    left = "" if before in "([\"'" else " "
    right = "" if behind in ".,;:!?)]\"'" else " "
    return f"{left}{found[1]}{right}"


def _comparison(found: re.Match[str]) -> str:
    text, sign = found.string, found[1]
    left = _LEFT.search(text, max(0, found.start() - 30), found.start())
    right = _RIGHT.match(text, found.end())
    is_alone = not left or sign == "~" or _is_no_operand(left, found)
    if sign in "<>" and not (right and _is_comparison(left, found, right, is_alone=is_alone)):
        return found[0]
    if sign.isascii() and not right:
        return found[0]
    words = _WORDS[sign]
    said = words.replace("greater", "more") if is_alone else f"is {words}"
    return f"{' ' if found.start() else ''}{said} "


def _is_no_operand(left: re.Match[str], found: re.Match[str]) -> bool:
    """Whether the word before it is none of the things compared: in < 5 minutes, takes <5 minutes."""
    if not left["word"]:
        return False
    is_glued_to_right = found[0].startswith(" ") and not found[0].endswith(" ")
    return bool(_FUNCTION_WORD.fullmatch(left["word"])) or (is_glued_to_right and found[1] in "<>")


def _is_comparison(
    left: re.Match[str] | None, found: re.Match[str], right: re.Match[str], *, is_alone: bool
) -> bool:
    """Whether it is no path of menus and no heart: "<3" compares behind a number or a letter such as x."""
    if is_alone and not right["number"]:
        return False
    if left and left["word"] and right["title"]:
        return False
    is_operand = left and (found[0].startswith("<") or not (left["word"] or left[0] in "iIuU"))
    return bool(is_operand) or not _HEART.match(found.string, found.start(1))
