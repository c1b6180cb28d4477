r"""Characters of all scripts in their plain form, by their Unicode properties.

    >>> plain("٤٢ − ４ ⋅ 5 ≦ 9"), bare("don’t\u200b")
    ('42 - 4 · 5 ≤ 9', "don't")

``plain`` is for reading numbers and labels: digits, dashes, operators and full-width forms become the few characters that the
patterns know, and no offset changes. ``bare`` is for comparing words: what shows nothing goes, and one form of quotes, dashes and fractions stays.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# ruff: noqa: RUF001, RUF002 - typographic signs are meant
INVISIBLE = "\u200b"  # stands for every character that shows nothing
OPERATOR = "∘"  # stands for every sign of mathematics that is not read
RAISED = "ⁿ"  # stands for every raised or lowered letter and sign
CJK = "\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff"  # written without spaces, in a class

_EM_DASHES = "—―⸺⸻"  # they separate; other dashes are signs or hyphens
_READ = frozenset("+<=>|~¬±×÷√∛∜∞∈≠≤≥≈∼→⇒⟶∓∴∵∎⁺⁻")  # signs of mathematics that the patterns know
_FOLDED = {
    **dict.fromkeys("−˗➖", "-"),
    **dict.fromkeys("⋅∙・‧", "·"),
    **dict.fromkeys("✕✖⨉⨯", "×"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("’ʼ", "'"),
    **dict.fromkeys("٬،、", ","),
    **dict.fromkeys("‥⋯", "…"),
    **dict.fromkeys("〜〰", "~"),
    "➕": "+",
    "➗": "÷",
    "∗": "*",
    "∶": ":",
    "٫": ".",
    "。": ".",
}
_RELATIONS = {
    "LESS-THAN": "≤",
    "GREATER-THAN": "≥",
    "NOT ": "≠",
    "ARROW": "→",
    "IDENTICAL": "=",
    "EQUAL": "≈",
}
_SAME_FORM = frozenset(("<wide>", "<narrow>", "<small>", "<font>"))
_RAISED_RUN = re.compile("[²³¹⁰-⁹⁺-ⁿ]+")
_FRACTION = re.compile("([0-9])?([¼-¾⅐-⅞])")
_QUOTES = str.maketrans(dict.fromkeys("‘’‚‛ʼ′", "'") | dict.fromkeys("“”„‟″«»", '"'))


def plain(text: str) -> str:
    """The text with digits, dashes, operators and full-width forms of all scripts in few characters; no offset changes."""
    return text if text.isascii() else "".join(map(_plain_character, text))


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if character.isascii() or character in _READ or character in _EM_DASHES:
        return character
    if character in _FOLDED:
        return _FOLDED[character]
    if _shows_nothing(character):
        return INVISIBLE
    form, _, code = unicodedata.decomposition(character).partition(" ")
    if form in _SAME_FORM and " " not in code:
        return _plain_character(chr(int(code, 16)))
    if form in ("<super>", "<sub>") and category in ("Lm", "Sm", "Ps", "Pe"):
        return RAISED
    if category == "Sm":
        return _plain_sign(character)
    return {"Zs": " ", "Pd": "-"}.get(category, character)


def _plain_sign(sign: str) -> str:
    """A relation or an operator, by its name; shapes such as "▷" are no operators."""
    if "\u2500" <= sign <= "\u27bf":
        return sign
    name = unicodedata.name(sign, "")
    return next((plain for word, plain in _RELATIONS.items() if word in name), OPERATOR)


def _shows_nothing(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def bare(text: str) -> str:
    """The text in one form of each character: "10²" is "10^2" and never "102", "2½" is "2 1/2"."""
    if text.isascii():
        return text
    text = "".join(character for character in text if not _shows_nothing(character))
    text = _RAISED_RUN.sub(lambda raised: "^" + raised[0], text)
    text = _FRACTION.sub(lambda found: f"{found[1] or ''} {found[2]}".strip(), text)
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES)).replace("⁄", "/")
    return "".join("-" if _is_dash(character) else character for character in text)


def _is_dash(character: str) -> bool:
    return character == "−" or unicodedata.category(character) == "Pd"
