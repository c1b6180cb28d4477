r"""Fills in a template of GSM-Symbolic: variables are drawn until the conditions hold.

    {"id_orig": 7, "question_annotated": "{name,Tom} has {n,5} hens. How many legs?\n#init:\n- name = sample(names)\n- $n = range(2, 9)\n
      #conditions:\n- n > 1\n#answer: n * 2", "answer_annotated": "{n}*2 = <<{n}*2={n*2}>>{n*2} legs\n#### {n*2}"}

    >>> fill(read_template(columns, "0.json"), random.Random(0))
    {'question': 'Ida has 8 hens. How many legs?', 'answer': '8*2 = <<8*2=16>>16 legs\n#### 16'}

Expressions are evaluated by ``gsm_symbolic_expressions``, never by Python. The word lists that templates expect (names,
cities, fractions ...) are small ones of our own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from data_builders.sources.gsm_symbolic_expressions import ExpressionError, evaluate

ATTEMPTS = 5_000
_SECTION = re.compile(r"#(init|conditions|answer)\s*:?")
_PLACEHOLDER = re.compile(r"\{\s*(\w+)\s*,[^{}]*\}")  # {name,default}
_EXPRESSION = re.compile(r"\{([^{}]+)\}")
_RULE = re.compile(r"(\$?\w+(?:\s*,\s*\$?\w+)*)\s*=\s*(.+)$")  # $a, $b = expression
_RATIOS = """half 1/2, one-third 1/3, two-thirds 2/3, one-fourth 1/4, quarter 1/4,
three-fourths 3/4, one-fifth 1/5, two-fifths 2/5, one-tenth 1/10"""
_FRACTIONS = {word: Fraction(ratio) for word, ratio in map(str.split, _RATIOS.split(","))}
_MULTIPLES = {"double": 2, "twice": 2, "triple": 3, "quadruple": 4}
_NUMBER_WORDS = {**_FRACTIONS, **_MULTIPLES}
LISTS: dict[str, list[Any]] = {
    "names": ["Ida", "Tom", "Ann", "Bob", "Eva", "Max", "Lea", "Ben", "Zoe", "Tim", "Mia", "Leo"],
    "names_male": ["Tom", "Bob", "Max", "Ben", "Tim", "Leo"],
    "names_female": ["Ida", "Ann", "Eva", "Lea", "Zoe", "Mia"],
    "cities": ["Lund", "Bergen", "Porto", "Graz", "Ghent", "Basel"],
    "currencies_sym": ["$", "\u20ac", "\u00a3"],
    "colors": ["red", "blue", "green", "yellow", "white", "black"],
    "fruits": ["apples", "pears", "plums", "peaches"],
    "weekdays": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
    "fraction_alnum": list(_FRACTIONS),
    "fraction_alph": list(_FRACTIONS),
    "fraction_decimals": [Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)],
    "multiple": list(_MULTIPLES),
    "multiple_ice": list(_MULTIPLES),
}


class FillError(ValueError):
    """A template that cannot be filled in; the message names the fault."""


@dataclass(frozen=True)
class Template:
    """A template in its parts."""

    question: str  # text with ``{name,default}``
    answer: str  # text with ``{expression}``
    # Variables (several for one draw) and the expression that draws them.
    rules: tuple[tuple[tuple[str, ...], str], ...]
    conditions: tuple[str, ...]  # expressions that must be true
    result: str  # expression of the final answer


def read_template(columns: Mapping[str, object], where: str) -> Template:
    """The parts of a template; a FillError for an unreadable one."""
    annotated, answer = columns.get("question_annotated"), columns.get("answer_annotated")
    if not isinstance(annotated, str) or not isinstance(answer, str):
        raise FillError(f"{where}: question_annotated or answer_annotated is missing.")
    text, *rest = _SECTION.split(annotated)
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    return Template(
        question=text.strip(),
        answer=answer.strip(),
        rules=tuple(_rule(item, where) for item in _items(sections.get("init", ""))),
        conditions=tuple(_items(sections.get("conditions", ""))),
        result=sections.get("answer", "").strip().removeprefix("=").strip(),
    )


def _items(section: str) -> Iterator[str]:
    """The lines of a section without their dashes."""
    lines = (line.strip().removeprefix("-").strip() for line in section.splitlines())
    return filter(None, lines)


def _rule(line: str, where: str) -> tuple[tuple[str, ...], str]:
    rule = _RULE.match(line)
    if not rule:
        raise FillError(f"{where}: cannot read the rule {line!r}.")
    return tuple(name.strip().lstrip("$") for name in rule[1].split(",")), rule[2]


def fill(template: Template, rng: random.Random) -> dict[str, str]:
    """A problem in GSM8K's columns; a FillError if no draw meets the conditions, or an expression has no value."""
    try:
        for _ in range(ATTEMPTS):
            values = _draw(template, rng)
            if all(evaluate(condition, values) for condition in template.conditions):
                return _render(template, values)
    except ExpressionError as error:
        raise FillError(str(error)) from None
    raise FillError(f"no values met the conditions in {ATTEMPTS:,} draws")


def _draw(template: Template, rng: random.Random) -> dict[str, Any]:
    values: dict[str, Any] = dict(LISTS)
    for names, rule in template.rules:
        drawn = evaluate(rule, values, rng)
        if len(names) > 1:
            values |= dict(zip(names, drawn, strict=True))
        else:
            values[names[0]] = rng.choice(drawn) if isinstance(drawn, list) else drawn
    return values | _word_values(values)


def _word_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers for the words of fractions and multiples, which expressions need; the text keeps the word."""
    numbers: dict[str, Any] = {}
    for name, word in values.items():
        if isinstance(word, str) and word in _NUMBER_WORDS:
            numbers |= {name: _NUMBER_WORDS[word], f"{name} in words": word}
    return numbers


def _render(template: Template, values: Mapping[str, Any]) -> dict[str, str]:
    def shown(name: str) -> str:
        return _spell(values.get(f"{name} in words", values.get(name)))

    def result(expression: re.Match[str]) -> str:
        name = expression[1].strip()
        return shown(name) if name in values else _spell(evaluate(expression[1], values))

    for name in _PLACEHOLDER.findall(template.question):
        if name not in values:
            raise FillError(f"{{{name},...}} has no rule")
    question = _PLACEHOLDER.sub(lambda placeholder: shown(placeholder[1]), template.question)
    answer = _EXPRESSION.sub(result, template.answer)
    if template.result:
        expected = _spell(evaluate(template.result, values))
        got = answer.rpartition("####")[2].strip().replace(",", "")
        if got != expected:
            raise FillError(f"the answer says {got!r}, but its #answer is {expected}")
    return {"question": question, "answer": answer}


def _spell(value: Any) -> str:
    if isinstance(value, Fraction):
        value = int(value) if value.denominator == 1 else float(value)
    if isinstance(value, float):
        value = round(value, 4)
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)
