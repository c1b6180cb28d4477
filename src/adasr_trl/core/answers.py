r"""The final answer in what a model wrote, and whether it is right.

    >>> extract(r"5 + 3 = 8, so \boxed{8.0} apples", AnswerType.NUMBER)
    Found(value='8', end=24)
    >>> is_right("The answer is $1,200.", "1200", AnswerType.NUMBER)
    True

The answer is looked for in the last ``\boxed{...}``, else behind the last ``####`` or "answer is", else in the whole
text. Numbers are compared exactly, as fractions. Ours: units, currency and percent signs are ignored, so 45% equals
45; of several numbers in the whole text the last counts, behind "answer is" the first, in a box there must be one.
Other LaTeX goes to math-verify without its time limit (it needs signals), so only if short and with small powers.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from adasr_trl.core.episode import AnswerType

# ruff: noqa: RUF001 - the typographic minus signs and quotes are meant
MAX_TEXT = 10_000  # characters at the end of a text that are looked at
MAX_DIGITS = 100  # of one number
MAX_LATEX = 120  # characters of an expression for math-verify
_VALUE = r"(?:[0-9]{1,3}(?:(?:,|\{,\}|\\,|,\\!)[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?"
_VALUE = rf"(?:{_VALUE}|\.[0-9]++)(?:[eE][-+]?[0-9]{{1,3}}(?![0-9A-Za-z]))?"
_NUMBER = re.compile(
    rf"""(?:(?<![\w)\]}}])(?P<sign>[-−–+]))?(?:\\?[$£€¥]\s?(?P<minus>[-−])?)?(?<![A-Za-z0-9_])(?<![0-9]\.)
    (?: (?:(?P<whole>[0-9]++)\s?)? \\[dtc]?frac\s?
        (?: \{{\s?(?P<latex_top>[-−]?{_VALUE})\s?\}}\s?\{{\s?(?P<latex_bottom>[-−]?{_VALUE})\s?\}}
          | (?P<short_top>[0-9])\s?(?P<short_bottom>[0-9]) )
      | (?P<mixed>[0-9]++)\s(?P<mixed_top>[0-9]++)/(?P<mixed_bottom>[0-9]++)
      | (?P<top>{_VALUE})(?:\s?/\s?(?P<bottom>{_VALUE}))? )""",
    re.VERBOSE,
)
_BRACE = re.compile(r"\\(?:boxed|fbox|box)\s*\{|\\[{}]|[{}]")
_MARKER = re.compile(r"(?:####|\banswer\s{1,9}is\b\s{0,9}:?|\banswer\s{0,9}:)\s*", re.IGNORECASE)
_LATEX = re.compile(r"[\\^√π]")
_MATH = re.compile(r"\$[^$\n]{1,120}\$|\\\([^\n]{1,120}?\\\)|\\\[[^\n]{1,120}?\\\]")
_CORE = re.compile(r"[\s$.]*(?:\\[(\[])?\s*(.*?)\s*(?:\\[)\]])?[\s$.]*", re.DOTALL)
_NAMES = r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)"
_UNIT_POWER = re.compile(
    rf"((?:{_NAMES}\s*\{{[^{{}}]{{0,40}}\}}|\b(?:[ckm]?m|ft|in|yd|mi|s|units?|inches|feet|meters?))\s*)\^\s*\{{?[23]\}}?"
)
# What may stand around a number in LaTeX without changing it: text, degrees, spacing, delimiters.
_HARMLESS = re.compile(
    rf"{_NAMES}(?![A-Za-z])|\^\s*\{{?\\circ\}}?|\\[^A-Za-z]"
    r"|\\(?:left|right|quad|qquad|displaystyle|degree|approx|boxed|fbox|box)(?![A-Za-z])"
)
_TEXT_GROUP = re.compile(rf"{_NAMES}\s*\{{([^{{}}]*)\}}")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_SUM = re.compile(r"[+×÷]|(?<!\*)\*(?!\*)|\s[-−]\s")
_LABEL = re.compile(
    r"(?i:(?<![\w-])(?:yes|no|maybe|true|false|self[\s_-]?contradiction|contradiction|entailment|neutral|unknown"
    r"|uncertain)(?![\w-]))|(?<=\()[A-Za-z](?=\))|(?<![\w'’-])(?:[B-H]|A(?!\s+[a-z]))(?![\w'’-])"
)
_DETERMINERS = frozenset(("a", "an", "the", "his", "her", "their", "its"))
_LARGE = re.compile(  # a long number, a factorial, any command but these
    r"[0-9]{13}|\*\*|!|\\(?!(?:[dt]?frac|sqrt|pi|cdot|times|div|pm|left|right|text|infty|cup|cap|in|sin|cos|tan|log|ln"
    r"|circ|leq?|geq?|mathrm)(?![A-Za-z]))[A-Za-z]+|\\sqrt\s*\[[^\]]{3}|(?:[({\[][^(){}\[\]]*){6}"
)
_POWER = re.compile(r"\^\s*(\{(?:[^{}]|\{[^{}]*\})*\}|-?[0-9]+|[A-Za-z])")


class AnswerError(ValueError):
    """A gold answer that no prediction could be compared with."""


@dataclass(frozen=True)
class Found:
    """A normalised value ("45", "-3/4", LaTeX, or words in lower case), and where in the text it ends."""

    value: str
    end: int


class _Place(Enum):
    """Where the answer stands, from the surest place on."""

    BOX = "box"
    BEHIND_MARKER = "behind marker"
    SOMEWHERE = "somewhere"


@dataclass(frozen=True)
class _Span:
    """A part of a text, and its offset there."""

    text: str
    start: int
    place: _Place

    def found(self, value: str, end: int) -> Found:
        return Found(value, self.start + end)


def extract(text: str, answer_type: AnswerType) -> Found | None:
    """The final answer in ``text``, or None where there is none that could be compared."""
    if answer_type is AnswerType.NUMBER:
        return _find_number(_answer_span(_without_unit_powers(text)))
    span = _answer_span(text)
    return _find_choice(span) if answer_type is AnswerType.CHOICE else _find_text(span)


def check_gold(answer: str, answer_type: AnswerType) -> None:
    """Raise an AnswerError for a gold answer that cannot be compared; for building a data set."""
    _gold_value(answer, answer_type)


def is_right(prediction: str | None, gold: str, answer_type: AnswerType) -> bool:
    """Whether the final answer in ``prediction`` equals ``gold``; one that cannot be parsed is wrong.

    Raises:
        AnswerError: The gold answer does not parse.
    """
    expected = _gold_value(gold, answer_type)
    found = None if prediction is None else extract(prediction, answer_type)
    if found is None:
        return False
    if found.value == expected:
        return True
    has_latex = answer_type is AnswerType.NUMBER and _LATEX.search(found.value + expected)
    return bool(has_latex) and _same_latex(expected, found.value)


def _answer_span(text: str) -> _Span:
    start = max(0, len(text) - MAX_TEXT)
    tail = text[start:]
    box = _last_box(tail)
    if box is not None:
        return _Span(tail[box[0] : box[1]], start + box[0], _Place.BOX)
    for marker in reversed(list(_MARKER.finditer(tail))):
        line = tail[marker.end() :].split("\n", 1)[0]
        if line.strip():
            return _Span(line, start + marker.end(), _Place.BEHIND_MARKER)
    return _Span(tail, start, _Place.SOMEWHERE)


def _last_box(text: str) -> tuple[int, int] | None:
    """Where the content of the last closed box that is not blank starts and ends."""
    open_braces: list[tuple[int, bool]] = []
    last = None
    for brace in _BRACE.finditer(text):
        if brace.group() == "{" or len(brace.group()) > 2:
            open_braces.append((brace.end(), len(brace.group()) > 2))
        elif brace.group() == "}" and open_braces:
            start, is_box = open_braces.pop()
            is_later = last is None or start > last[0]
            if is_box and is_later and text[start : brace.start()].strip():
                last = (start, brace.start())
    return last


def _without_unit_powers(text: str) -> str:
    """The text with the power of "cm^2" blanked out; no offset changes."""
    return _UNIT_POWER.sub(lambda unit: unit[1].ljust(len(unit[0])), text)


def _find_number(span: _Span) -> Found | None:
    only = _only_number(span)
    if only is not None or span.place is _Place.BOX:
        return only
    numbers = list(_NUMBER.finditer(span.text))
    if not numbers:
        return None
    number = numbers[-1 if span.place is _Place.SOMEWHERE else 0]
    for formula in _MATH.finditer(span.text):  # the number may be a part only, as in $2\sqrt{5}$
        is_around = formula.start() <= number.start() < formula.end()
        if is_around and _has_latex(formula.group()):
            return _only_number(_Span(formula.group(), span.start + formula.start(), _Place.BOX))
    value = _fraction(number)
    return None if value is None else span.found(str(value), number.end())


def _only_number(span: _Span) -> Found | None:
    """The number that is all of a span apart from units, or its LaTeX; None for prose, a sum or several numbers."""
    before, _, text = span.text.rpartition("=")
    if _PROSE.search(before):
        text = span.text
    cut = len(span.text) - len(text)
    if _has_latex(text):
        core = _CORE.fullmatch(text) if len(text) <= MAX_LATEX else None
        if core is None or _PROSE.search(_TEXT_GROUP.sub("", text)):
            return None
        return span.found(core[1], cut + core.end(1))
    numbers = list(_NUMBER.finditer(text))
    if len(numbers) != 1 or _SUM.search(_NUMBER.sub("", text)):
        return None
    number = _fraction(numbers[0])
    return None if number is None else span.found(str(number), cut + numbers[0].end())


def _has_latex(text: str) -> bool:
    return _LATEX.search(_HARMLESS.sub("", _NUMBER.sub("", text))) is not None


def _fraction(number: re.Match[str]) -> Fraction | None:
    """The exact value of a match of ``_NUMBER``; None for a denominator of zero or far too many digits."""
    if len(number.group()) > MAX_DIGITS:
        return None
    parts = number.groupdict()
    top = next(part for name, part in parts.items() if part and name.endswith("top"))
    bottom = next((part for name, part in parts.items() if part and name.endswith("bottom")), "1")
    if _exact(bottom) == 0:
        return None
    value = _exact(parts["whole"] or parts["mixed"] or "0") + _exact(top) / _exact(bottom)
    is_negative = parts["sign"] in ("-", "−", "–") or parts["minus"] is not None
    return -value if is_negative else value


def _exact(digits: str) -> Fraction:
    return Fraction(re.sub(r"[^-+0-9.eE]", "", digits.replace("−", "-")))


def _find_choice(span: _Span) -> Found | None:
    is_first = span.place is not _Place.SOMEWHERE
    labels = list(_LABEL.finditer(span.text))
    if labels:
        label = labels[0 if is_first else -1]
        return span.found(re.sub(r"[\s_-]+", "_", label.group().lower()), label.end())
    text = re.sub(_NAMES, lambda name: " " * len(name.group()), span.text)  # offsets stay
    words = list(re.finditer(r"\w[\w'’-]*", text))
    if len(words) > 1 and words[0].group().lower() in _DETERMINERS:
        words = words[1:]
    if not words:
        return None
    if len(words) > 3:
        words = words[:1] if is_first else words[-1:]
    return span.found(" ".join(word.group().lower() for word in words), words[-1].end())


def _find_text(span: _Span) -> Found | None:
    text = span.text.rstrip(" \t\r\n.!*\"'”’$")
    words = _TEXT_GROUP.sub(r"\1", text).strip(" \t\r\n.!*\"'“‘$")
    words = unicodedata.normalize("NFKC", words).casefold()
    without_articles = re.sub(r"\b(?:a|an|the)\b(?!['’-])", " ", words)
    value = " ".join(without_articles.split() or words.split())
    return span.found(value, len(text)) if value else None


def _gold_value(answer: str, answer_type: AnswerType) -> str:
    if answer_type is AnswerType.NUMBER:
        expected = "one number, such as 45, 1,234.5 or 3/4, or LaTeX that math-verify parses"
        found = _only_number(_answer_span(_without_unit_powers(answer)))
        if found is not None and _LATEX.search(found.value) and not _parse_latex(found.value):
            found = None
    else:
        expected = "at least one word"
        found = extract(answer, answer_type)
    if found is None:
        raise AnswerError(
            f"got the gold answer {answer[:80]!r} for answer_type {answer_type.value!r}; expected {expected}. "
            f"Correct the row, leave it out, or give it another answer_type."
        )
    return found.value


def _same_latex(gold: str, value: str) -> bool:
    expected, got = _parse_latex(gold), _parse_latex(value)
    if not expected or not got:
        return False
    from math_verify import verify

    return bool(verify(list(expected), list(got), timeout_seconds=None))


@lru_cache(maxsize=1024)
def _parse_latex(latex: str) -> tuple[Any, ...]:
    """What math-verify makes of an expression; () where it fails or could take long."""
    if not _is_small(latex):
        return ()
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of having no time limit
    from math_verify import parse

    return tuple(parse(f"${latex}$", fallback_mode="no_fallback", parsing_timeout=None))


def _is_small(latex: str) -> bool:
    """Whether working with an expression ends at once: it is short, and its powers and nesting are small."""
    if len(latex) > MAX_LATEX or _LARGE.search(latex) or latex.count(r"\sqrt") > 3:
        return False
    powers = _POWER.findall(latex)
    is_tower = "^" in "".join(powers) or re.search(rf"(?:{_POWER.pattern})\s*\^", latex)
    if is_tower or len(powers) != latex.count("^"):
        return False
    # What takes long is to expand the power of a sum with symbols or roots, and n log m becoming log m^n.
    parts = [latex] if re.search(r"\\(?:log|ln)", latex) else powers
    sizes = [int(size) for part in parts for size in re.findall(r"[0-9]+", part)]
    has_symbol = (
        re.search(r"[A-Za-z]|\\sqrt", re.sub(r"\\(?!sqrt)[A-Za-z]+", "", latex)) is not None
    )
    return math.prod(max(1, size) for size in sizes) <= (12 if has_symbol else 1000)
