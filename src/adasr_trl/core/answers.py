r"""The final answer in a text, and whether it is right.

    >>> extract(r"5 + 3 = 8, so \boxed{8.0} apples", AnswerType.NUMBER)
    Found(value='8', end=24)
    >>> is_right("The answer is $1,200.", "1200", AnswerType.NUMBER)
    True
    >>> is_right("The answer is 5 or 6.", "5", AnswerType.NUMBER)
    False

The answer stands in the last ``\boxed{...}``, else behind the last ``####``, ``<answer>`` or "answer is", else in the last sentence
that holds one. A box that cannot be read gives way to a marker behind it; a last box that is blank or never closes hides
the ones before it. There it is one value, read whole, or none: a bound, a range, a negation, several values, or digits of a
longer expression never stand for a value (``number_reading``). Numbers are compared exactly, as fractions, or within a
relative tolerance. Our choices: units, currency and percent signs are ignored, so 45% equals 45; LaTeX goes to
math-verify (``latex``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from adasr_trl.core.answer_place import Found, Place, Span, answer_spans, first_sentence
from adasr_trl.core.box_context import Around, around_number, is_denied
from adasr_trl.core.characters import bare, plain
from adasr_trl.core.choice_reading import NAMES, NEGATION, find_choice, is_label
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.latex import MAX_LATEX, parse_latex, same_latex
from adasr_trl.core.number_context import joins_next
from adasr_trl.core.number_reading import Quantity, quantities, without_quantities
from adasr_trl.core.sentences import sentence_chunks

# ruff: noqa: RUF001 - the typographic quotes and stops are meant
_LATEX = re.compile(r"[\\^√π]")
_MATH = re.compile(r"\$[^$\n]{1,120}\$|\\\([^\n]{1,120}?\\\)|\\\[[^\n]{1,120}?\\\]")
_CORE = re.compile(r"[\s$.]*(?:\\[(\[])?\s*(.*?)\s*(?:\\[)\]])?[\s$.]*", re.DOTALL)
_UNIT_POWER = re.compile(
    rf"((?:{NAMES}\s*\{{[^{{}}]{{0,40}}\}}|\b(?:[ckm]?m|ft|in|yd|mi|s|units?|inches|feet|meters?))\s*)"
    r"(?:\^\s*\{?[23]\}?|[²³])"
)
_STRUCK = re.compile(r"()(?:~~[^~\n]*~~|<(s|del|strike)>[^<>\n]*</\2>)", re.IGNORECASE)
# With which a chat template ends a reply.
_END_TOKEN = re.compile(r"()(?:<[|｜][^<>|｜\n]{1,40}[|｜]>|</?s>|<(?:eos|pad|end_of_turn)>)")
# Marks of a web page or of Markdown that change nothing.
_TAG = re.compile(
    r"()</?(?:[abiup]|em|strong|span|div|code|mark|font|br)(?:\s[^<>\n]{0,80})?/?>", re.IGNORECASE
)
_UNDERLINED = re.compile(
    r"()(?:(?<![\w}])_{1,2}(?=[0-9A-Za-z$£€-])|(?<=[0-9A-Za-z%])_{1,2}(?![\w{(]))"
)
_BULLET = re.compile(r"^([^\S\n]*)[-*•] (?=.*[A-Za-z])", re.MULTILINE)
_TIE = re.compile(r"(?<=[0-9])()~(?=\s?(?:\\[a-z]|[A-Za-z]))")  # a space of LaTeX
_TIED_GROUPS = re.compile(r"(?<![0-9~])[0-9]{1,3}(?:~[0-9]{3}){2,30}(?![0-9~])")  # of one: a range
_COLOUR = re.compile(r"()\\(?:text)?color\s?\{[A-Za-z]{1,20}\}")
_WITH_UNIT = re.compile(r"\\(?:SI|qty)\s?(\{[^{}]{1,60}\})\s?\{[^{}]{0,60}\}")
# What may stand around a number in LaTeX without changing it: text, degrees, spacing, delimiters.
_HARMLESS = re.compile(
    rf"{NAMES}(?![A-Za-z])|\^\s*\{{?\\circ\}}?|\\[^A-Za-z]"
    r"|\\(?:left|right|quad|qquad|displaystyle|degree|approx|boxed|fbox|box|num)(?![A-Za-z])"
)
_TEXT_GROUP = re.compile(rf"{NAMES}\s*\{{([^{{}}]*)\}}")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_SUM = re.compile(r"[+×÷]|(?<!\*)\*(?!\*)|\s[-−]\s")
_SEVERAL_EQUATIONS = re.compile(r"=[^=\n]*(?:,|;|&|\\\\|\b(?:and|or)\b)\s*[A-Za-z]\w{0,2}\s*=")
_EQUATION = re.compile(r"[-+*/×÷x().,$0-9\s]*=\s*")
# An article before a word; a capital behind lower case is a name, as in "vitamin A deficiency".
_ARTICLE = re.compile(r"\b(?:a|an|An|AN|(?<![a-z] )A|[Tt]he|THE)\b(?=[\s\"'(\[*_`$£€¥]*\w)(?!['-])")
_AROUND = " \t\r\n.!*\"'`“”‘’„«»$。．！？"


class AnswerError(ValueError):
    """A gold answer that no prediction could be compared with."""


def extract(text: str, answer_type: AnswerType) -> Found | None:
    """The final answer in ``text``, or None where there is none that could be compared."""
    for pattern in (_END_TOKEN, _STRUCK, _TAG):
        text = _blank(pattern, text)
    if answer_type is AnswerType.NUMBER:
        text = _blank(_BULLET, _readable_number(_blank(_UNDERLINED, text)))
        find = _find_number
    else:
        find = find_choice if answer_type is AnswerType.CHOICE else _find_sentence
    return next(filter(None, map(find, answer_spans(text))), None)


def check_gold(answer: str, answer_type: AnswerType) -> None:
    """Raise an AnswerError for a gold answer that cannot be compared; for building a data set."""
    _gold_value(answer, answer_type)


def guess_answer_type(answers: Sequence[str]) -> AnswerType:
    """NUMBER or CHOICE where every answer is one (a choice is a label, such as yes or B), else TEXT."""
    if all(map(is_label, answers)):
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
        line = _find_text(answer_spans(prediction)[0])
        return line is not None and line.value == expected
    if answer_type is AnswerType.CHOICE:  # a gold choice of words may have many
        choice = find_choice(_stated(prediction)) if " " in expected else None
        return choice is not None and choice.value == expected
    if _LATEX.search(answer.value + expected):
        return same_latex(expected, answer.value)
    difference = abs(Fraction(answer.value) - Fraction(expected))
    return tolerance > 0 and difference <= Fraction(tolerance) * abs(Fraction(expected))


def _stated(text: str) -> Span:
    """The surest place of an answer; a text without any is one answer from its start."""
    span = answer_spans(text)[0]
    return replace(span, place=Place.BEHIND_MARKER) if span.place is Place.SOMEWHERE else span


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """The text with blanks around the first group of each match; no offset changes."""

    def blanks(match: re.Match[str]) -> str:
        before = match.start(1) - match.start()
        return (" " * before + match[1]).ljust(len(match[0]))

    return pattern.sub(blanks, text)


def _readable_number(text: str) -> str:
    """The text without what LaTeX puts around and into numbers; no offset changes."""
    for pattern in (_UNIT_POWER, _TIE, _COLOUR, _WITH_UNIT):
        text = _blank(pattern, text)
    return _TIED_GROUPS.sub(lambda match: match[0].replace("~", " "), text)


def _find_number(span: Span) -> Found | None:
    if span.place is Place.BOX:
        return _boxed_number(span)
    only = _only_number(span)
    if only is not None:
        return None if NEGATION.search(span.text[: only.end - span.start]) else only
    if span.place is Place.SOMEWHERE:
        span = _last_sentence_with_number(span)
    return _formula(span) or _stated_number(span)


def _boxed_number(span: Span) -> Found | None:
    number = None if is_denied(span.text, span.before, span.behind) else _only_number(span)
    around = Around.OTHER if number is None else around_number(span.before, span.behind)
    if number is None or around is Around.OTHER:
        return None
    if around is Around.NOTHING:
        return number
    is_latex = _LATEX.search(number.value) is not None
    return replace(number, value=f"-({number.value})" if is_latex else str(-Fraction(number.value)))


def _last_sentence_with_number(span: Span) -> Span:
    end = len(span.text)
    for line in reversed(span.text.splitlines(keepends=True)):
        for sentence in reversed(sentence_chunks(line)):
            start = span.text.rfind(sentence, 0, end)
            if quantities(sentence):
                return span.part(start, start + len(sentence), span.place)
            end = start
    return span


def _formula(span: Span) -> Found | None:
    r"""The value of the formula that holds the span's number, as in $2\sqrt{5}$."""
    numbers = quantities(span.text)
    if not numbers:
        return None
    number = numbers[-1 if span.place is Place.SOMEWHERE else 0]
    for formula in _MATH.finditer(span.text):
        is_around = formula.start() <= number.start < formula.end()
        if is_around and _has_latex(formula.group()):
            return _only_number(span.part(formula.start(), formula.end(), Place.BOX))
    return None


def _stated_number(span: Span) -> Found | None:
    """The number that a sentence states: the right side of its equation, else its first or last one."""
    numbers = quantities(span.text)
    if not numbers or any(map(_has_latex, _MATH.findall(span.text))):
        return None
    if _SEVERAL_EQUATIONS.search(plain(span.text)):
        return None
    if span.place is Place.SOMEWHERE:
        number, start = numbers[-1], 0
        is_stated = number.value is not None and not _is_joined(numbers, span.text)
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
    if not is_stated or NEGATION.search(span.text[start : number.start]):
        return None
    return span.found(str(number.value), number.end)


def _is_joined(numbers: Sequence[Quantity], text: str) -> bool:
    """Whether the last number is part of the expression of the one before it."""
    if len(numbers) < 2:
        return False
    before, last = numbers[-2:]
    words = plain(text)
    return joins_next(words[before.end : last.start], words[last.start : last.end])


def _only_number(span: Span) -> Found | None:
    """The number that is all of a span apart from units, or its LaTeX; None for prose, a sum or several numbers."""
    if _SEVERAL_EQUATIONS.search(plain(span.text)):
        return None
    before, _, text = span.text.rpartition("=")
    if _PROSE.search(before) or before.endswith(("!", "/", "<", ">")):  # "!=" is no equation
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


def _find_sentence(span: Span) -> Found | None:
    return _find_text(first_sentence(span))


def _find_text(span: Span) -> Found | None:
    if span.place is Place.BOX and is_denied(span.text, span.before, span.behind):
        return None
    text = span.text.rstrip(_AROUND)
    value = _text_value(_TEXT_GROUP.sub(r"\1", text))
    return span.found(value, len(text)) if value else None


def _text_value(text: str) -> str:
    words = " ".join(bare(text.strip(_AROUND)).strip(_AROUND).split())
    words = re.sub(r"\s*([,;:()\[\]{}])\s*", r"\1 ", words)
    without_articles = _ARTICLE.sub(" ", words).casefold().split()
    return " ".join(without_articles or words.casefold().split())


def _gold_value(answer: str, answer_type: AnswerType) -> str:
    if answer_type is AnswerType.NUMBER:
        expected = "one number, such as 45, 1,234.5 or 3/4, or LaTeX that math-verify parses"
        span = answer_spans(_readable_number(answer))[0]
        gold = _boxed_number(span) if span.place is Place.BOX else _only_number(span)
        if gold is not None and _LATEX.search(gold.value) and not parse_latex(gold.value):
            gold = None
    elif answer_type is AnswerType.TEXT:
        expected = "at least one word"
        gold = _find_text(answer_spans(answer)[0])
    else:
        expected = "at least one word"
        gold = find_choice(_stated(answer))
    if gold is None:
        raise AnswerError(
            f"got the gold answer {answer[:80]!r} for answer_type {answer_type.value!r}; expected {expected}. "
            f"Correct the row, leave it out, or give it another answer_type."
        )
    return gold.value
