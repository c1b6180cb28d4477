r"""The final answer in a text, and whether it is right.

    >>> extract(r"5 + 3 = 8, so \boxed{8.0} apples", AnswerType.NUMBER)
    Found(value='8', end=24)
    >>> is_right("The answer is $1,200.", "1200", AnswerType.NUMBER)
    True
    >>> is_right("The answer is 5 or 6.", "5", AnswerType.NUMBER)
    False

The answer stands in the last ``\boxed{...}``, else behind the last ``####`` or "answer is", else in the last sentence
that holds one. There it is one value, read whole, or none: a bound, a range, a negation, several values, or digits of a
longer expression never stand for a value (``number_reading``). Numbers are compared exactly, as fractions, or within a
relative tolerance. Our choices: units, currency and percent signs are ignored, so 45% equals 45; LaTeX goes to
math-verify (``latex``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from itertools import pairwise

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.latex import MAX_LATEX, parse_latex, same_latex
from adasr_trl.core.number_reading import plain, quantities, without_quantities
from adasr_trl.core.sentences import sentence_chunks

# ruff: noqa: RUF001 - the typographic quotes and stops are meant
MAX_TEXT = 10_000  # characters at the end of a text that are looked at
_BRACE = re.compile(r"\\(?:boxed|fbox|box)\s*\{|\\[{}]|[{}]")
_MARKER = re.compile(
    r"(?:####|\banswer\b[*_`\"']{0,3}\s{0,9}(?:is\b|was\b|equals\b|[:=])[:=]?[*_`]{0,3})\s*",
    re.IGNORECASE,
)
_LATEX = re.compile(r"[\\^√π]")
_MATH = re.compile(r"\$[^$\n]{1,120}\$|\\\([^\n]{1,120}?\\\)|\\\[[^\n]{1,120}?\\\]")
_CORE = re.compile(r"[\s$.]*(?:\\[(\[])?\s*(.*?)\s*(?:\\[)\]])?[\s$.]*", re.DOTALL)
_NAMES = r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)"
_UNIT_POWER = re.compile(
    rf"((?:{_NAMES}\s*\{{[^{{}}]{{0,40}}\}}|\b(?:[ckm]?m|ft|in|yd|mi|s|units?|inches|feet|meters?))\s*)"
    r"(?:\^\s*\{?[23]\}?|[²³])"
)
_BULLET = re.compile(r"^(\s*)[-*•] (?=.*[A-Za-z])", re.MULTILINE)
# What may stand around a number in LaTeX without changing it: text, degrees, spacing, delimiters.
_HARMLESS = re.compile(
    rf"{_NAMES}(?![A-Za-z])|\^\s*\{{?\\circ\}}?|\\[^A-Za-z]"
    r"|\\(?:left|right|quad|qquad|displaystyle|degree|approx|boxed|fbox|box)(?![A-Za-z])"
)
_TEXT_GROUP = re.compile(rf"{_NAMES}\s*\{{([^{{}}]*)\}}")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_SUM = re.compile(r"[+×÷]|(?<!\*)\*(?!\*)|\s[-−]\s")
_EQUATION = re.compile(r"[-+*/×÷x().,$0-9\s]*=\s*")
_NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|cannot|no\slonger|hardly)\b|n['’]t\b", re.IGNORECASE
)
_REASONS = "because|since|as|due|which|that|for|so|but|when|if|although|while|given|is"
_LABEL_WORDS = (
    r"yes|maybe|true|false|self[\s_-]?contradiction|contradiction|entailment|neutral|unknown|uncertain"
    rf"|no(?=\s*+(?:[^\w\s]|$|(?:{_REASONS}|it|he|she|they|we|there|this|and|or)\b))"
)
_LETTER = (
    r"(?<=\()[A-Za-z](?=\))|(?<![\w'’-])(?:(?<=[Oo]ption\s)|(?<=[Cc]hoice\s)|(?<=[Ll]etter\s))[A-Za-z](?![\w'’-])"
    rf"|(?<![\w'’-])(?:[B-H]|A(?!\s+(?!(?:{_REASONS}|and|or)\b)[a-z]))(?![\w'’-])"
)
_LABEL = re.compile(rf"(?i:(?<![\w-])(?:{_LABEL_WORDS})(?![\w-]))|{_LETTER}")
_LONE_LETTER = re.compile(rf"[\s*_`\"'(\[]*([A-Za-z])[*_`\"')\].:,;]*(?:\s*$|\s+(?:{_REASONS})\b)")
_JOINED = re.compile(r"[\s*_`)\]]*(?:/|,|;|\||&|\bor\b|\band\b|\bnor\b)[\s*_`(\[]*(?:option\s)?")
_CLAUSE = re.compile(rf"[.,;:!?\n]|\s(?:{_REASONS.removesuffix('|is')})\b")
_HEDGE = frozenset(("or", "and", "nor", "either", "neither", "not", "both"))
_DETERMINERS = frozenset(("a", "an", "the", "his", "her", "their", "its"))
_MAX_WORDS = 3  # of a choice that is no label
_AROUND = " \t\r\n.!*\"'`“”‘’„«»$。．！？"


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

    def part(self, start: int, end: int, place: _Place) -> _Span:
        return _Span(self.text[start:end], self.start + start, place)


def extract(text: str, answer_type: AnswerType) -> Found | None:
    """The final answer in ``text``, or None where there is none that could be compared."""
    if answer_type is AnswerType.NUMBER:
        return _find_number(_answer_span(_blank(_BULLET, _blank(_UNIT_POWER, text))))
    span = _answer_span(text)
    return _find_choice(span) if answer_type is AnswerType.CHOICE else _find_text(_sentence(span))


def check_gold(answer: str, answer_type: AnswerType) -> None:
    """Raise an AnswerError for a gold answer that cannot be compared; for building a data set."""
    _gold_value(answer, answer_type)


def guess_answer_type(answers: Sequence[str]) -> AnswerType:
    """NUMBER or CHOICE where every answer is one (a choice is a label, such as yes or B), else TEXT."""
    if all(_LABEL.fullmatch(answer.strip("() ")) for answer in answers):
        return AnswerType.CHOICE
    for answer in answers:
        try:
            check_gold(answer, AnswerType.NUMBER)
        except AnswerError:
            return AnswerType.TEXT
    return AnswerType.NUMBER


def is_right(
    prediction: str | None, gold: str, answer_type: AnswerType, tolerance: float = 0.0
) -> bool:
    """Whether the final answer in ``prediction`` equals ``gold``; one that cannot be parsed is wrong.

    Args:
        prediction: Text of a model, or None where it gave no answer.
        gold: The right answer.
        answer_type: The kind of both.
        tolerance: Largest difference of two numbers, relative to the gold one; 0 compares exactly.

    Raises:
        AnswerError: The gold answer does not parse.
    """
    expected = _gold_value(gold, answer_type)
    answer = None if prediction is None else extract(prediction, answer_type)
    if answer is None or prediction is None:
        return False
    if answer.value == expected:
        return True
    if answer_type is AnswerType.TEXT:  # a gold text may have several sentences
        line = _find_text(_answer_span(prediction))
        return line is not None and line.value == expected
    if answer_type is not AnswerType.NUMBER:
        return False
    if _LATEX.search(answer.value + expected):
        return same_latex(expected, answer.value)
    difference = abs(Fraction(answer.value) - Fraction(expected))
    return tolerance > 0 and difference <= Fraction(tolerance) * abs(Fraction(expected))


def _answer_span(text: str) -> _Span:
    start = max(0, len(text) - MAX_TEXT)
    tail = plain(text[start:])
    box = _last_box(tail)
    if box is not None:
        return _Span(text[start + box[0] : start + box[1]], start + box[0], _Place.BOX)
    for marker in reversed(list(_MARKER.finditer(tail))):
        line = tail[marker.end() :].split("\n", 1)[0]
        if line.strip():
            begin = start + marker.end()
            return _Span(text[begin : begin + len(line)], begin, _Place.BEHIND_MARKER)
    return _Span(text[start:], start, _Place.SOMEWHERE)


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


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """The text with blanks behind the first group of each match; no offset changes."""
    return pattern.sub(lambda match: match[1].ljust(len(match[0])), text)


def _sentence(span: _Span) -> _Span:
    """The first sentence behind a marker; any other span as it is."""
    if span.place is not _Place.BEHIND_MARKER or not span.text.strip():
        return span
    return span.part(0, len(sentence_chunks(span.text)[0]), span.place)


def _find_number(span: _Span) -> Found | None:
    if span.place is _Place.BOX:
        return _only_number(span)
    only = _only_number(span)
    if only is not None:
        return None if _NEGATION.search(span.text[: only.end - span.start]) else only
    if span.place is _Place.SOMEWHERE:
        span = _last_sentence_with_number(span)
    return _formula(span) or _stated_number(span)


def _last_sentence_with_number(span: _Span) -> _Span:
    end = len(span.text)
    for line in reversed(span.text.splitlines(keepends=True)):
        for sentence in reversed(sentence_chunks(line)):
            start = span.text.rfind(sentence, 0, end)
            if quantities(sentence):
                return span.part(start, start + len(sentence), span.place)
            end = start
    return span


def _formula(span: _Span) -> Found | None:
    r"""The value of the formula that holds the span's number, as in $2\sqrt{5}$."""
    numbers = quantities(span.text)
    if not numbers:
        return None
    number = numbers[-1 if span.place is _Place.SOMEWHERE else 0]
    for formula in _MATH.finditer(span.text):
        is_around = formula.start() <= number.start < formula.end()
        if is_around and _has_latex(formula.group()):
            return _only_number(span.part(formula.start(), formula.end(), _Place.BOX))
    return None


def _stated_number(span: _Span) -> Found | None:
    """The number that a sentence states: the right side of its equation, else its first or last one."""
    numbers = quantities(span.text)
    if not numbers or any(map(_has_latex, _MATH.findall(span.text))):
        return None
    if span.place is _Place.SOMEWHERE:
        number, start = numbers[-1], 0
        is_stated = numbers[-1].value is not None
    else:
        equation = _EQUATION.match(plain(span.text), numbers[0].start)
        start = equation.end() if equation else 0
        while again := _EQUATION.match(plain(span.text), start):
            start = again.end()
        behind = [number for number in numbers if number.start >= start]
        if not behind:
            return None
        number = behind[0]
        is_stated = number.value is not None
    if not is_stated or _NEGATION.search(span.text[start : number.start]):
        return None
    return span.found(str(number.value), number.end)


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
    numbers = quantities(text)
    if len(numbers) != 1 or _SUM.search(without_quantities(text)):
        return None
    number = numbers[0]
    return None if number.value is None else span.found(str(number.value), cut + number.end)


def _has_latex(text: str) -> bool:
    return _LATEX.search(_HARMLESS.sub("", without_quantities(text))) is not None


def _find_choice(span: _Span) -> Found | None:
    text = re.sub(_NAMES, lambda name: " " * len(name.group()), plain(span.text))  # offsets stay
    is_first = span.place is not _Place.SOMEWHERE
    lone = _LONE_LETTER.match(text)
    if lone and (is_first or lone[1].isupper()):
        return span.found(lone[1].lower(), lone.end(1))
    labels = list(_LABEL.finditer(text))
    if not labels:
        return _find_words(span, text)
    if not is_first and not re.search(r"\w", text[: labels[0].start()]):
        is_first = True  # "Yes, there is no doubt"
    label = labels[0 if is_first else -1]
    if _is_hedged(label, labels, text) or _NEGATION.search(_clause_before(text, label.start())):
        return None
    return span.found(_label_value(label), label.end())


def _label_value(label: re.Match[str]) -> str:
    return re.sub(r"[\s_-]+", "_", label.group().lower())


def _clause_before(text: str, end: int) -> str:
    return re.split(r"[.,;:!?\n]|\bbut\b", text[:end])[-1]


def _is_hedged(label: re.Match[str], labels: list[re.Match[str]], text: str) -> bool:
    """Whether another label is joined to this one, as in "yes or no"."""
    return any(
        label in (left, right)
        and _label_value(left) != _label_value(right)
        and _JOINED.fullmatch(text, left.end(), right.start())
        for left, right in pairwise(labels)
    )


def _find_words(span: _Span, text: str) -> Found | None:
    """A choice that is no label: the words of its clause, else one word at the edge of the text."""
    is_first = span.place is not _Place.SOMEWHERE
    clause = _CLAUSE.split(text.strip(), maxsplit=1)[0] if is_first else text
    words = list(re.finditer(r"\w[\w'’-]*", clause))
    offset = len(text) - len(text.lstrip()) if is_first else 0
    if len(words) > 1 and words[0].group().lower() in _DETERMINERS:
        words = words[1:]
    if not words:
        return None
    spelled = [word.group().lower() for word in words]
    if len(words) > _MAX_WORDS and not is_first:
        words, hedged = words[-1:], spelled
        spelled = spelled[-1:]
        if _HEDGE & set(hedged):
            return None
    return span.found(" ".join(spelled), offset + words[-1].end())


def _find_text(span: _Span) -> Found | None:
    text = span.text.rstrip(_AROUND)
    value = _text_value(_TEXT_GROUP.sub(r"\1", text))
    return span.found(value, len(text)) if value else None


def _text_value(text: str) -> str:
    words = unicodedata.normalize("NFKC", text.strip(_AROUND)).casefold()
    words = re.sub(r"\s*([,;:()\[\]{}])\s*", r"\1 ", words)
    without_articles = re.sub(r"\b(?:a|an|the)\b(?!['’-])", " ", words)
    return " ".join(without_articles.split() or words.split())


def _gold_value(answer: str, answer_type: AnswerType) -> str:
    if answer_type is AnswerType.NUMBER:
        expected = "one number, such as 45, 1,234.5 or 3/4, or LaTeX that math-verify parses"
        gold = _only_number(_answer_span(_blank(_UNIT_POWER, answer)))
        if gold is not None and _LATEX.search(gold.value) and not parse_latex(gold.value):
            gold = None
    elif answer_type is AnswerType.TEXT:
        expected = "at least one word"
        gold = _find_text(_answer_span(answer))
    else:
        expected = "at least one word"
        gold = extract(answer, answer_type)
    if gold is None:
        raise AnswerError(
            f"got the gold answer {answer[:80]!r} for answer_type {answer_type.value!r}; expected {expected}. "
            f"Correct the row, leave it out, or give it another answer_type."
        )
    return gold.value
