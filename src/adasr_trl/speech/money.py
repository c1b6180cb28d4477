"""Amounts of money as they are said.

    >>> amounts_in_words(signs_in_front("-$5.50, US$1.5M, $.75, 20 \u20ac/day and $-2"))
    '-5 dollars and 50 cents, 1.5 million US dollars, 75 cents, 20 euros per day and -2 dollars'

A scale is a word, or a letter such as k and M.
"""

from __future__ import annotations

import re

_UNITS = {"$": ("dollar", "dollars"), "\u00a3": ("pound", "pounds"), "\u20ac": ("euro", "euros")}
_UNITS |= {"\u00a5": ("yen", "yen"), "\u20b9": ("rupee", "rupees"), "\u20a9": ("won", "won")}
_UNITS |= {"\u20bd": ("ruble", "rubles"), "\u20ba": ("lira", "lira"), "\u20ab": ("dong", "dong")}
_UNITS |= {"\u20aa": ("shekel", "shekels"), "\u20b1": ("peso", "pesos"), "\u0e3f": ("baht", "baht")}
_UNITS |= {"\u20a6": ("naira", "naira"), "\u20bf": ("bitcoin", "bitcoins")}
_COUNTRIES = {"A": "Australian", "AU": "Australian", "C": "Canadian", "CA": "Canadian"}
_COUNTRIES |= {"HK": "Hong Kong", "NZ": "New Zealand", "US": "US"}
_HUNDREDTHS = {"\u00a3": ("penny", "pence")}
_CENTS = ("cent", "cents")
CURRENCY = "[" + "".join(_UNITS) + "]"

_LETTERS = {"k": "thousand", "m": "million", "mm": "million", "mn": "million", "b": "billion"}
_LETTERS |= {"bn": "billion", "t": "trillion", "tn": "trillion"}
_SCALE_WORD = r"[\s-]?(?:hundred|thousand|million|billion|trillion)\b"
_SCALE_LETTERS = (
    r"(?:k|K|M|m|mm|MM|mn|b|B|bn|t|T|tn)(?!\w)|\s(?:k|K|M|m|B|bn|T(?!\sshirt))(?![\w'&-])"
)
SCALE = f"(?:{_SCALE_WORD}|{_SCALE_LETTERS})"

_AMOUNT = re.compile(
    rf"(?:\b({'|'.join(_COUNTRIES)}))?({CURRENCY})\s?(?=\.?\d)(\d[\d,]*)?(\.\d+)?(?!\.?\d)({SCALE})?"
    r"(?:\s?(/)\s?(?=[A-Za-z]))?"
)
_SIGN_BEHIND = re.compile(
    rf"(?<![\w.,])(?<!{CURRENCY})(\d[\d,]*+(?:\.\d+)?)\s?({CURRENCY})(?!\w|\s?\.?\d)"
)
_DECIMAL_COMMA = re.compile(r"^(\d+),(\d\d)$")  # 3,50 \u20ac
# Where one is, "1$" ends a formula such as $x = 1$.
_DOLLAR_IN_FRONT = re.compile(r"(?<!\d)(?<!\d\s)\$")
_MINUS_INSIDE = re.compile(rf"({CURRENCY})\s?([-\u2212])(?=\.?\d)")


def scale_word(scale: str) -> str:
    """The word for a scale such as "k"; "" for what is none."""
    word = scale.strip(" -")
    return _LETTERS.get(word.lower(), word)


def signs_in_front(text: str) -> str:
    """A text with its amounts in one form: 5 \u20ac as \u20ac5, and $-5 as -$5."""
    kept = "$" if _DOLLAR_IN_FRONT.search(text) else ""

    def turned(amount: re.Match[str]) -> str:
        number = _DECIMAL_COMMA.sub(r"\1.\2", amount[1])
        return amount[0] if amount[2] == kept else f"{amount[2]}{number}"

    text = _SIGN_BEHIND.sub(turned, text)
    return _MINUS_INSIDE.sub(r"\2\1", text)


def amounts_in_words(text: str) -> str:
    """A text with its amounts in words."""
    return _AMOUNT.sub(_in_words, text)


def _in_words(amount: re.Match[str]) -> str:
    country, sign, digits, cents, scale, rate = amount.groups("")
    whole = digits.rstrip(",")
    behind = digits[len(whole) :] + (" per " if rate else "")
    if amount.string[amount.end() : amount.end() + 1].isalnum() and not rate:
        behind += " "
    one, many = (f"{_COUNTRIES.get(country, '')} {unit}".lstrip() for unit in _UNITS[sign])
    if scale:
        return f"{whole or 0}{cents} {scale_word(scale)} {many}{behind}"
    if not cents.strip(".0"):
        return f"{whole or 0} {one if whole == '1' else many}{behind}"
    if len(cents) != 3:
        return f"{whole or 0}{cents} {many}{behind}"
    count = int(cents[1:])
    hundredths = f"{count} {_HUNDREDTHS.get(sign, _CENTS)[count != 1]}"
    if not whole:
        return f"{hundredths}{behind}"
    return f"{whole} {one if whole == '1' else many} and {hundredths}{behind}"
