"""Answers as models write them: a file of cases, and other values behind each marker."""

# ruff: noqa: RUF001 - the typographic minus signs are meant

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.answers import is_right
from adasr_trl.core.episode import AnswerType
from support.json_lines import json_lines

NUMBER, CHOICE, TEXT = AnswerType.NUMBER, AnswerType.CHOICE, AnswerType.TEXT
CASES = Path(__file__).parent / "cases" / "answers.jsonl"


@pytest.mark.parametrize(
    "case",
    json_lines(CASES),
    ids=lambda case: case["prediction"],
)
def test_answers_made_by_others_are_judged_rightly(case) -> None:
    judged = is_right(case["prediction"], case["gold"], AnswerType(case["type"]))
    assert judged is case["should_be"]


# Expressions that hold the digits of {g} and have another value, or none; {h} is another number.
OTHER_VALUES = """
negative {g} | minus {g} | -{g} | −{g} | –{g} | ‑{g} | －{g} | - {g} | -({g}) | -${g} | $-{g} | —{g} | ({g}) * 2 | {g}½ | ½ of {g}
{g} 1/2 | {g}² | {g}^2 | {g}**2 | {g}⁻¹ | {g} squared | {g}:30 | {g} : 1 | {g}-05-06 | {g}/05/2024 | 05/{g}/2024 | {g}.1.2
{g} to 1 | {g}-{h} | {g}–{h} | {g} - {h} | {g} to {h} | {g} or {h} | {h} or {g} | {g} and {h} | {g}, {h} | {g}; {h} | {g}/{h}
{g} or maybe {h} | either {g} or {h} | {h}, {g} | {h} to {g} | {h}-{g} | {g} thousand | {g} Million | {g} hundred | {g}k | ${g}K | ${g}m
${g}bn | {g} dozen | {g} lakh | {g} thousandths | {g}-thirds | {g}e3 | {g} x 10^3 | {g} × 10³ | {g}·10^4 | {g} * 10 | {g}x{h}
{g} times {h} | {g}+{h} | {g} plus {h} | {g} less {h} | {g} ÷ {h} | {g},000 | {g},00,000 | {g} 000 | {g}.000.000 | {g}'000 | {g}_000
{g},5 | {g}.5 | {g}·5 | {g}٫5 | {g} point 5 | {g} point five | 0.{g} | 0,{g} | 1{g} | {g}0 | not {g} | isn't {g} | never {g}
more than {g} | less than {g} | at least {g} | up to {g} | over {g} | >{g} | ≥ {g} | no more than {g} | anything but {g} | almost {g}
between {g} and {h} | from {g} to {h} | {g} ± {h} | {g} +/- {h} | {g}+ | {g}-ish | half of {g} | twice {g} | square root of {g} | √{g}
sqrt({g}) | log({g}) | {g} factorial | 1/{g} | {h}/{g} | {g}% of {h} | {g} percent of {h} | {g} below zero | {g} degrees below zero
{g} feet {h} inches | {g}'{h}" | {g} hours and {h} minutes | {g} dollars and {h} cents | {g}h {h}m | {g} apples and {h} pears
{g} apples or {h} apples | twenty-{g} | twenty {g} | one hundred and {g} | F-{g} | A{g} | {g}a{h} | 0x{g}F | {g} mod {h} | {g} choose {h}
{g} of {h} | {g} in {h} | {g} out of {h} | {g} < x < {h} | {h} < x < {g} | the {g}th of May | a {g}th | May {g} | {g} March | {g} p.m. | {g} AM
{g}- | {g}...{h} | {g}..{h} | {g} ~ {h} | {g}~{h} | {g} -> {h} | {g} → {h} | {h} → {g} → | {g} % {h} | {g} more than {h} | {g} hens more than {h}
{g} score | {g}M | {g} B | {g}T | {g} Mio. | {g} mil | {g} millones | {g} Milliarden | {g} тысяч | {g} млн | {g}万 | {g}億 | {g} लाख | {g} مليون | {g} cr
{g}e | {g}√2 | {g} √2 | {g} sqrt(2) | two thirds of {g} | 3/4 of {g} | {h}% of {g} | {g} hens per {h} days | x={h}, y={g} | x = {h} or x = {g}
{g}(1) | {g} (or {h}) | {g} at most | at most {g} hens | {g} hens at most | {g} or more | {g} hens or more | {g} or fewer | {g} at least | {g} and up
{g} and above | {g} minimum | {g} max | maximum {g} | a minimum of {g} | {g} is wrong | {g} is not right | {g} isn't it | instead of {g} | excluding {g}
{g} or none | {g} or ten | {g} to ten | {g} hens or ten | {g} twenty | {g}​0 | {g}­0 | {g}₂ | {g}̅ | {g}.3̅ | {g}.(3) | {g}.33...
({g}) | ({g}%) | ($-{g}) | (${g}) | ≈{g}–{h} | {g} ∼ {h} | {g} mod ten | one of {g} to {h} | {g} is too many | {g}\\{h} | |-{g}|{g}| | {g}¼ | {g} ½
{g} thousand two | {g} hundred fifty | half past {g} | ten to {g} | {g} past ten | {g}-for-{h} | {g}/{h}/2024 | {g} to the power of {h} | e^{g} | {h}^{{{g}}}
{h}⁄{g} | {h} mod {g} | {h} base {g} | {g} base ten | {g}_{{{h}}} | \\binom{{{g}}}{{{h}}} | {g} \\times {h} | \\pi {g} | {g} \\text{{ or }} {h} | {g} \\text{{ million}}
{g}\\text{{k}} | \\text{{at most }} {g} | \\text{{minus }}{g} | -\\!{g} | -\\,{g} | -\\text{{\\$}}{g} | -EUR {g} | {g} tens | tens of {g} | {g} pairs of {h}
{g} and change | {g} and counting | {g}-odd | {g}? No, {h} | {g}, sorry, {h} | {g}, I mean {h} | {g}... no, {h} | [{g},∞) | (-∞,{g}] | {g} ∈ S | {g}∞
{g} bp | {g}‱ | {g} percent points of {h} | {g} . {h} | ½{g} | {g}-ty | {g}teen | 五{g} | {g}五 | {g}半 | {g}十 | {g} ribu | {g} triệu | {g} ล้าน | {g}A | #{g}A
{g}; no, {h} | {g} (sorry, {h}) | {g}: no, {h} | {g}, make that {h} | {g} [wait, {h}] | {g} quadrillion | ${g}MM | ${g} grand | {g} grand
{g} and half | {g} & a half | {g} degrees under zero | {g} by {h} | {g} sixteenths | {g} twentieths | {g} or thereabouts | {g}-plus
{g} (in thousands) | {g} (millions) | {g} [thousand] | ${g} (in $ millions) | {g} (000) | {g}, in thousands | {g} in millions | {g} k | ${g} k
{g} Mill. | {g}% - {h}% | {g}%-{h}% | {g}% to {h}% | {g}\\%-{h}\\% | {g} kg - {h} kg | {g} cm × {h} cm | {g} ft x {h} ft | {g} ft by {h} ft | {g}-Jan
{g} in base 8 | {g} (base 8) | square of {g} | the cube of {g} | factorial of {g} | reciprocal of {g} | opposite of {g} | {g}-squared | {g} doubled
{g} halved | {g} tripled | {g} twice | {g} (maybe {h}) | {g} with remainder {h} | !={g} | <={g} | >= {g} | =/= {g} | {g} at the most | {g} at the very least
upwards of {g} | north of {g} | in excess of {g} | exceeds {g} | ⌊{g}⌋ | ⌈{g}⌉ | \\{{{g},{h}\\}} | \\left\\{{{g},{h}\\right\\}} | \\langle {g},{h} \\rangle
{g} and a half | {g} and two thirds | {g} and 1/2 | [{g}, {h}] | ({g}, {h}) | {g} {h} | {g} & {h} | {g} vs {h} | {g}i | {g}x | {g}π | {g}‰
"""


# Expressions that have the value of {g}, in words and signs that change nothing.
SAME_VALUE = """
{g} | +{g} | {g}.0 | {g}.00 | {g} hens | ${g} | {g}$ | €{g} | {g} € | EUR {g} | {g} EUR | US${g} | Rs. {g}/- | {g} dollars | {g}% | {g} % | {g} percent
about {g} | ~{g} | ≈ {g} | approximately {g} | exactly {g} hens | only {g} | {g} only | {g} km/h | {g} m² | {g} m/s^2 | {g}° | {g} °C | {g} kg
{g} each | {g} per day | {g} (hens) | **{g}** | `{g}` | "{g}" | {g}! | = {g} | x = {g} | ${g}$ | ({g} hens) | [{g}] | #{g} | {g} hens in all | 0{g} | {g},
{g} (base pay) | {g} (in total) | {g}% (half) | {g} in all | {g} mills | {g} K
"""


PLACES = ("{}", "The answer is {}.", "#### {}", r"\boxed{{{}}}", "**Answer**: {} in all")


def forms_of(table):
    return [form.strip() for line in table.strip().splitlines() for form in line.split(" | ")]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("gold", [5, 48, 1_250])
def test_words_and_signs_that_change_nothing_leave_the_value(place, gold) -> None:
    predictions = [place.format(form.format(g=gold)) for form in forms_of(SAME_VALUE)]
    assert [each for each in predictions if not is_right(each, str(gold), NUMBER)] == []


@pytest.mark.parametrize("place", PLACES)
@settings(deadline=None, max_examples=8)
@given(gold=st.integers(2, 9_999), other=st.integers(2, 999))
def test_no_other_value_behind_the_marker_is_ever_right(place, gold, other) -> None:
    if gold in (other, 10 * other) or other == gold * gold:  # h/g is g
        return
    forms = forms_of(OTHER_VALUES)
    predictions = [place.format(form.format(g=gold, h=other)) for form in forms]
    assert [each for each in predictions if is_right(each, str(gold), NUMBER)] == []


# Forms of OTHER_VALUES whose second number is what is meant in the end.
CORRECTED = (
    *("{g}? No, {h}", "{g}, sorry, {h}", "{g}, I mean {h}", "{g}... no, {h}", "{g}; no, {h}"),
    *("{g} (sorry, {h})", "{g}: no, {h}", "{g}, make that {h}", "{g} [wait, {h}]"),
)


@pytest.mark.parametrize("place", PLACES)
def test_nor_is_the_second_number_of_an_expression_but_for_corrections(place) -> None:
    forms = [form for form in forms_of(OTHER_VALUES) if "{h}" in form and form not in CORRECTED]
    predictions = [place.format(form.format(g=48, h=7)) for form in forms]
    assert [each for each in predictions if is_right(each, "7", NUMBER)] == []
    assert all(is_right(form.format(g=48, h=7), "7", NUMBER) for form in CORRECTED)


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        *(
            ("yes or no", "yes"),
            ("The answer is A or B", "A"),
            ("(A) and (B)", "B"),
            ("true/false", "true"),
        ),
        *(
            ("It is no longer true", "true"),
            ("No way", "no"),
            ("neither yes nor no", "no"),
            ("not red", "red"),
        ),
        *(
            ("The answer is red or blue", "red"),
            ("The answer is A car", "A"),
            ("It isn't neutral", "neutral"),
        ),
    ],
)
def test_a_negated_label_or_one_of_several_is_no_choice(prediction, gold) -> None:
    assert not is_right(prediction, gold, CHOICE)


@pytest.mark.parametrize(
    ("prediction", "gold", "tolerance", "right"),
    [
        ("0.3333", "0.333333333333", 1e-3, True),
        ("0.34", "0.333333333333", 1e-3, False),
        ("-0.3333", "0.333333333333", 1e-3, False),
        ("0", "0", 1e-3, True),
        ("0.001", "0", 1e-3, False),
    ],
)
def test_a_tolerance_is_relative_to_the_gold_number(prediction, gold, tolerance, right) -> None:
    assert is_right(prediction, gold, NUMBER, tolerance) is right
