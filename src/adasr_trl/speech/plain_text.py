"""Characters of other forms as plain ones: digits of every script, fractions, powers, wide letters; pictures left out.

    >>> plain("\uff15kg, \u0663\u2044\u0664 of 10\u00b2, Act \u2167 and 2\u00bd\U0001f600")
    '5kg, 3/4 of 10^2, Act 8 and 2 1/2 '

Synthesisers read digits of other scripts as nothing, or by the name of the character.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from adasr_trl.speech.roman import roman_number

_OTHERS = {
    "'": "\u2019\u02bc\u2018\u2032",  # apostrophes, and the prime
    '"': "\u2033",
    "-": "\u2010\u2011",
    "\u2013": "\u2012",
    "/": "\u2044\u2215",
    "+": "\u2795",
    "\u2212": "\u2796",
    "\u00d7": "\u2715\u2716\u22c5\u2219\u2217",
    "\u00f7": "\u2797",
    "\u2264": "\u2a7d\u2266",
    "\u2265": "\u2a7e\u2267",
    "\u2248": "\u2243\u2245\u223c",
    "%": "\u066a",
    ".": "\u066b",
    ",": "\u066c",
    ":": "\u2236",
    " number ": "\u2116",
}
_ALIKE = str.maketrans({other: one for one, others in _OTHERS.items() for other in others})
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])[`\u00b4](?=[^\W\d_])")
_RAISED, _LOWERED = "[\u00b9\u00b2\u00b3\u2070\u2071\u2074-\u207b\u207f]", "[\u2080-\u208b]"
# Digits around a slash.
_STACKED = re.compile(rf"(?<!{_RAISED})({_RAISED}++)[\u2044\u2215/]({_LOWERED}++)")
_POWER = re.compile(rf"(?<=[^\W_]|[)\]])(?<!{_RAISED}){_RAISED}+")
_NOTE = re.compile(rf"{_RAISED}+")  # of a sentence
_BASE = re.compile(rf"(?<=\d){_LOWERED}+")
# Fractions, and numbers in circles.
_NUMBERS = "\u00bc-\u00be\u2150-\u215f\u2189\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
_NUMBER_BEHIND = re.compile(rf"(?<=[\d{_NUMBERS}])(?=[{_NUMBERS}])")
_ROMAN = re.compile(r"[\u2160-\u217f]+")
_FORMS = ("<wide>", "<narrow>", "<small>", "<font>", "<noBreak>", "<super>", "<sub>")
_LETTERS_OF_THEIR_OWN = "\u00aa\u00ba\u00b5"  # ordinals and micro, which voices know
_READ_IN_PICTURES = re.compile(r"[ -~\u00b0\u00b2\u00b3\u2215]+")


def plain(text: str) -> str:
    """A text in characters that voices read."""
    if text.isascii() and "`" not in text:
        return text
    text = _APOSTROPHE.sub("'", unicodedata.normalize("NFC", text))
    text = _STACKED.sub(lambda found: f" {_digits(found[1])}/{_digits(found[2])}", text)
    text = _POWER.sub(lambda found: f"^{_digits(found[0])}", text)
    text = _NOTE.sub(lambda found: f" {_digits(found[0])}", text)
    text = _BASE.sub(lambda found: f" base {_digits(found[0])}", text)
    text = _NUMBER_BEHIND.sub(" ", text)
    text = _ROMAN.sub(_numeral, text.translate(_ALIKE))
    return unicodedata.normalize("NFC", "".join(map(_plain, text)))


def _digits(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _numeral(found: re.Match[str]) -> str:
    number = roman_number(_digits(found[0]).upper())
    if number:
        return str(number)
    return " ".join(f"{unicodedata.numeric(numeral):.0f}" for numeral in found[0])


@functools.lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    if character.isascii():
        return " " if character == "`" else character
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    if kind in ("No", "Nl"):
        return _number(character)
    if kind == "Cf" or "\ufe00" <= character <= "\ufe0f" or character == "\u20e3":
        return ""  # no look of its own
    if kind in ("So", "Sk") or _is_shape(character):
        return _picture(character)
    form = unicodedata.decomposition(character).split(" ")[0]
    is_other_form = form in _FORMS or (form == "<compat>" and kind.startswith("L"))
    if is_other_form and kind != "Zs" and character not in _LETTERS_OF_THEIR_OWN:
        return unicodedata.normalize("NFKC", character).translate(_ALIKE)
    return character


def _number(character: str) -> str:
    """A number in one character, such as a fraction, a digit in a circle, or a dozen of another script."""
    parts = unicodedata.normalize("NFKC", character)
    if parts != character:
        return parts.translate(_ALIKE)
    value = unicodedata.numeric(character, -1.0)
    return f"{value:.0f}" if value == int(value) >= 0 else " "


def _is_shape(character: str) -> bool:
    """Arrows and geometric shapes, some of which are signs of mathematics for Unicode."""
    return any(
        first <= character <= last
        for first, last in ("\u2190\u21ff", "\u25a0\u25ff", "\u27f0\u27ff", "\u2900\u297f")
    )


def _picture(character: str) -> str:
    """A degree, and letters that stand for a unit or an option; else nothing."""
    if character == "\u00b0":
        return character
    form, *codes = unicodedata.decomposition(character).split(" ")
    parts = "".join(chr(int(code, 16)) for code in codes)
    is_read = form in ("<compat>", "<circle>", "<square>") and _READ_IN_PICTURES.fullmatch(parts)
    return plain(parts) if is_read else " "
