r"""Answers: where they are found, how they are compared, and which gold answers are refused."""

# ruff: noqa: RUF001 - the typographic minus signs are meant

import ast
import logging
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adasr_trl.core.answers
from adasr_trl.core.answers import AnswerError, Found, check_gold, extract, is_right
from adasr_trl.core.episode import AnswerType

NUMBER, CHOICE, TEXT = AnswerType.NUMBER, AnswerType.CHOICE, AnswerType.TEXT


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("45", "45"),
        ("45.0", "45"),
        ("45.", "45"),
        ("007", "7"),
        ("1,234", "1234"),
        ("12,345,678", "12345678"),
        (r"1{,}234", "1234"),
        ("$45", "45"),
        (r"\$45.50", "91/2"),
        ("£3", "3"),
        ("3 €", "3"),
        ("45%", "45"),
        (r"45\%", "45"),
        ("-5", "-5"),
        ("−5", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("+5", "5"),
        ("3/4", "3/4"),
        ("6/8", "3/4"),
        ("1 1/2", "3/2"),
        ("-1 1/2", "-3/2"),
        (r"\frac{3}{4}", "3/4"),
        (r"\dfrac34", "3/4"),
        (r"1\frac{1}{2}", "3/2"),
        (r"-\frac{1}{2}", "-1/2"),
        (r"\frac{-1}{2}", "-1/2"),
        (".5", "1/2"),
        ("0.1", "1/10"),
        ("1e3", "1000"),
        ("45 apples", "45"),
        ("3.5 km", "7/2"),
        ("9 cm^2", "9"),
        (r"9 \text{ cm}^2", "9"),
        (r"90^\circ", "90"),
        ("**45**", "45"),
    ],
)
def test_every_way_of_writing_a_number_has_one_value(text: str, value: str) -> None:
    for written in (text, rf"\boxed{{{text}}}", f"The answer is {text}", f"So it is:\n#### {text}"):
        found = extract(written, NUMBER)
        assert found is not None
        assert found.value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5 + 3 = 8", "8"),
        ("He had 7. Now he has 12.", "12"),
        (r"First \boxed{3}, no, \boxed{4}, not 5.", "4"),
        (r"\box{6} of 7", "6"),
        (r"\boxed{\frac{1}{2}} of 7", "1/2"),
        (r"\boxed{\text{Total: } 8} of 9", "8"),
        (r"\boxed{x = 5}", "5"),
        (r"\boxed{10/2 = 5}", "5"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{}, then 5", "5"),
        (r"\boxed{5", "5"),
        ("#### 8\nChecked 3 times.", "8"),
        ("The answer is 8 because 5 and 3 make it.", "8"),
        ("The answer is 5 + 3 = 8.", "8"),
        ("answer is 3. No, the answer is 4.", "4"),
        ("Answer:\n8", "8"),
        ("- 5 apples", "5"),
        ("room B2 has 5 lamps and lamp A7", "5"),
        (r"so it is $\frac{1}{2}$ of it.", "1/2"),
    ],
)
def test_the_surest_place_gives_the_number(text: str, value: str) -> None:
    found = extract(text, NUMBER)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    "text",
    ["", "none", "1/0", "between 5-10", r"\boxed{5+3}", r"\boxed{3, 4}", r"\boxed{five}, or 5"],
)
def test_no_number_or_more_than_one_value_is_none(text: str) -> None:
    assert extract(text, NUMBER) is None


@pytest.mark.parametrize(
    ("text", "answer_type", "found"),
    [
        (r"So \boxed{8.0} apples", NUMBER, Found("8", 13)),
        ("The answer is $1,200.", NUMBER, Found("1200", 20)),
        ("45 cm^2 in all", NUMBER, Found("45", 2)),
        (r"So $2\sqrt{5}$ units", NUMBER, Found(r"2\sqrt{5}", 13)),
        ("Answer: (B) of them", CHOICE, Found("b", 10)),
        ("**Yes**.", CHOICE, Found("yes", 5)),
        ("  The  Cat. ", TEXT, Found("cat", 10)),
    ],
)
def test_the_end_is_the_offset_just_behind_the_value(
    text: str, answer_type: AnswerType, found: Found
) -> None:
    assert extract(text, answer_type) == found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        (" NO! ", "no"),
        ("**Maybe**", "maybe"),
        ("Answer: (B)", "b"),
        ("(c)", "c"),
        ("The correct option is D.", "d"),
        ("Entailment", "entailment"),
        ("self contradiction", "self_contradiction"),
        ("Self-Contradiction", "self_contradiction"),
        ("It is no entailment but neutral", "neutral"),
        ("The answer is no, whatever yes means.", "no"),
        (r"\boxed{\text{yes}} rather than no", "yes"),
        ("the grandmother", "grandmother"),
        ("He is her father-in-law.", "father-in-law"),
        ("not enough info", "not enough info"),
    ],
)
def test_a_choice_is_its_label_whatever_stands_around_it(text: str, value: str) -> None:
    found = extract(text, CHOICE)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        ("Tom is a lempus.", "tom is lempus", True),
        ("The answer is Tom is a lempus.", "Tom is a lempus.", True),
        (r"\boxed{\text{Tom is a lempus.}}", "Tom is a lempus.", True),
        ("Tom  is\na lempus", "Tom is a lempus", True),
        ("Tom is a worpus.", "Tom is a lempus.", False),
        ("A-team", "team", False),
        ("the", "The", True),
        ("cafe\u0301", "caf\u00e9", True),
        ("", "Tom", False),
    ],
)
def test_texts_are_equal_up_to_case_articles_white_space_and_final_stop(
    prediction: str, gold: str, right: bool
) -> None:
    assert is_right(prediction, gold, TEXT) is right


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        ("45 apples", "45.0", True),
        ("0.75", r"\frac{3}{4}", True),
        ("0.1", "1/10", True),
        ("0.3333", "1/3", False),  # exact: no tolerance
        ("45%", "45", True),
        ("0.45", "45%", False),
        ("10000000000000001", "10000000000000000", False),  # equal as floats
        ("5", "-5", False),
        ("$50", "50 dollars", True),
        ("#### 1,000,000", "x = 4\n#### 1000000", True),
        ("no idea", "5", False),
        (None, "5", False),
    ],
)
def test_numbers_are_compared_exactly(prediction: str | None, gold: str, right: bool) -> None:
    assert is_right(prediction, gold, NUMBER) is right


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        (r"\boxed{2\sqrt{5}}", r"\sqrt{20}", True),
        (r"The answer is: \sqrt{5}", r"\sqrt{5}", True),
        (r"\boxed{\sqrt{4}}", "2", True),
        ("2", r"\sqrt{4}", True),
        ("x^2+1", "1+x^2", True),
        (r"\(\frac{\pi}{2}\)", r"\pi/2", True),
        (r"\boxed{2\sqrt{5}}", "5", False),  # its last number is 5
        ("5", r"2\sqrt{5}", False),
        (r"\sqrt{5}", r"\sqrt{6}", False),
    ],
)
def test_latex_that_is_no_plain_number_is_compared_by_meaning(
    prediction: str, gold: str, right: bool
) -> None:
    check_gold(gold, NUMBER)
    assert is_right(prediction, gold, NUMBER) is right


def test_latex_is_compared_in_a_thread_and_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # math-verify's own time limit needs signals, which only the main thread has.
    results: list[bool] = []
    with caplog.at_level(logging.WARNING):
        thread = threading.Thread(
            target=lambda: results.append(is_right(r"3\sqrt{3}", r"\sqrt{27}", NUMBER))
        )
        thread.start()
        thread.join()
    assert results == [True]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("gold", "answer_type"),
    [
        ("five", NUMBER),
        ("", NUMBER),
        ("3 or 4", NUMBER),
        ("(3, 4)", NUMBER),
        ("5 + 3", NUMBER),
        ("1/0", NUMBER),
        (r"\foo{3}", NUMBER),
        ("9" * 101, NUMBER),
        ("...", CHOICE),
        (" ", TEXT),
    ],
)
def test_a_gold_answer_that_cannot_be_compared_is_refused(
    gold: str, answer_type: AnswerType
) -> None:
    with pytest.raises(AnswerError, match=r"got the gold answer .*; expected .*Correct the row"):
        check_gold(gold, answer_type)
    with pytest.raises(AnswerError):
        is_right("5", gold, answer_type)


ADVERSARIAL = (
    "9" * 1_000_000,
    "1," * 500_000,
    "1/" * 500_000,
    "{" * 100_000,
    r"\boxed{" * 100_000,
    r"\frac{1}{" * 50_000,
    r"\text{" * 50_000,
    "$" * 100_000,
    "\\" * 100_000,
    "answer is " * 50_000,
    "answer" + " " * 1_000_000,
    "#### " * 50_000,
    "\n" * 100_000,
    r"\boxed{1} or " * 50_000,
    r"\boxed{7}" + "$ " * 50_000,
    r"\SI{5}" * 50_000,
    "1" + "~234" * 100_000,
    "five " * 20_000 + "(7)",
    "5以" * 50_000,
    "A或" * 50_000,
    "5\u200b" * 50_000,
    "a A " * 50_000,
    "1/0",
    "1e999/1e-999",
    "٣",
    "\x00\ud800",
    r"\boxed{" + "(" * 50 + r"\sqrt" + ")" * 50 + "}",
    r"\boxed{9^9^9^9}",
    r"\boxed{9^{9^{9^9}}}",
    r"\boxed{9^(9^9)}",
    r"\boxed{9**9**9**9\pi}",
    r"\boxed{(9^{99})^{999}}",
    r"\boxed{\sqrt{99999999!}}",
    r"\boxed{(\sqrt2+\sqrt3+\sqrt5)^{900}}",
    r"\boxed{(a+b+c+d+e)^{900}}",
    r"\boxed{999^2\ln301}",
    r"\boxed{\sum_{i=1}^{10^9} i}",
    r"\boxed{\frac{1}{0}\pi}",
)


@pytest.mark.parametrize("text", ADVERSARIAL, ids=range(len(ADVERSARIAL)))
def test_an_adversarial_prediction_is_wrong_at_once(text: str) -> None:
    is_right("2", r"\sqrt{4}", NUMBER)  # loads math-verify
    start = time.process_time()
    assert not is_right(text, "5", NUMBER)
    assert not is_right(text, r"\sqrt{5}", NUMBER)
    assert not is_right(text, "yes", CHOICE)
    assert not is_right(text, "Tom", TEXT)
    assert time.process_time() - start < 2.0  # an expansion would take minutes, or all memory


PIECES = (
    *(
        "1",
        "23",
        "4,567",
        ".5",
        "/",
        "-",
        "−",
        "+",
        "=",
        "$",
        "%",
        "^",
        "{",
        "}",
        "(",
        ")",
        " ",
        "\n",
        "e9",
    ),
    *(
        "\\boxed{",
        "\\frac{",
        "\\frac12",
        "\\text{",
        "\\sqrt",
        "\\(",
        "\\)",
        "####",
        "answer is",
        "yes",
        "the",
    ),
)


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text()))
def test_extraction_never_raises_and_ends_inside_the_text(text: str) -> None:
    for answer_type in AnswerType:
        found = extract(text, answer_type)
        assert found is None or (found.value and 0 < found.end <= len(text))


@settings(deadline=None, max_examples=100)
@given(st.fractions(-(10**9), 10**9, max_denominator=10**6))
def test_a_fraction_equals_itself_however_it_is_put(number: object) -> None:
    assert is_right(rf"so \boxed{{{number}}}", str(number), NUMBER)
    assert is_right(f"The answer is {number}.", str(number), NUMBER)


def test_math_verify_is_imported_inside_functions_only() -> None:
    tree = ast.parse(Path(adasr_trl.core.answers.__file__).read_text(encoding="utf-8"))
    modules = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert "math_verify" not in modules
