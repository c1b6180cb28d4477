"""Typed and heard words: which spellings are one, and which a normaliser would make one that are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source
from data_builders.pipeline.quality import Bounds
from data_builders.tools.comparable import words_of
from data_builders.tools.heard import compare, trace_of
from support.proportion import assert_in_proportion

TOM = Episode(
    "tom", "tom", "How many apples has Tom?", ("Tom has 5 apples.", " Tom eats 2."), "3",
    AnswerType.NUMBER, Source("boats", "1", "MIT", "train"), None, ("Tom 5", "5 - 2 = 3"), "",
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed_text", "heard_text"),
    [
        ("1/5 of it, 3/4 of it", "One fifth of it, three fourths of it."),
        ("1/4 of it", "One fourth of it"),
        ("The rod is 5 mm long.", "The rod is five millimetres long"),
        ("5mm, five mm", "5 mm, 5 millimeters"),
        ("Mm, Tom has five.", "Hmm, Tom has 5"),
        ("three 10-dollar bills", "three ten dollar bills"),
        ("three $10 bills", "3 ten-dollar bills"),
        ("two 12-inch pizzas, twelve ten-page books", "2 twelve inch pizzas, 12 ten page books"),
        ("twenty five dollar bills, one one-way ticket", "25 dollar bills, 1 one-way ticket"),
        ("nineteen eighty, two thousand five", "1980, 2005"),
        ("At 6:30 and 10:15", "At six thirty and ten fifteen"),
        ("World War II, Chapter IV", "World War 2, chapter four"),
        ("$5\u2013$10, $1-2 million", "five dollars to ten dollars, one to two million dollars"),
        ("10%-20%, 5-10\u00b0C", "ten percent to twenty percent, 5 degrees Celsius to 10 degrees Celsius"),
        ("5 < 6, 10\u00b2 and \u221a9", "five is less than six, ten squared and square root of nine"),
        ("It is 25\u2103 at 24/7.", "It is twenty-five degrees Celsius at 24-7."),
        ("\u0663 pears, 1 000 000 hens", "three pears, one million hens"),
        ("a hundred and two hens, a thousand eggs", "102 hens, 1,000 eggs"),
        ("a $100 bill", "a hundred dollar bill"),
        ("3 * 4 = 12, three times four", "3 x 4 equals 12, 3x4"),
        ("5 kg, 10 lbs and 2 oz", "five kilograms, ten pounds and two ounces"),
        ("60 km/h, 6 ft, 45 min", "sixty kilometers per hour, six feet, forty-five minutes"),
        ("a five-minute walk, 2 hours", "a 5 min walk, 2 hrs"),
        ("$20/hour and $5k", "20 dollars per hour and five thousand dollars"),
    ],
)  # fmt: skip
def test_spellings_of_the_same_are_equal(typed_text, heard_text) -> None:
    assert compare((typed_text,), (heard_text,)).errors == 0


@pytest.mark.parametrize(
    ("typed_text", "heard_text"),
    [
        *[(f"1/{parts} of it", f"1{parts}th of it") for parts in (5, 6, 7, 8, 9, 10)],
        ("1/100 of it", "100th of it"),
        ("a 5-second run", "a 52nd run"),
        ("The rod is 5 mm long.", "The rod is 5 long."),
        ("3 ten-dollar bills", "310 dollar bills"),
        ("20 one-way tickets", "21-way tickets"),
        ("5 < 6", "5 > 6"),
        ("x<y and y>z", "xz"),
        ("seven twenty-fourths", "7 20 quarters"),
        ("half a million", "1 million"),
        ("3 x 4", "3 4"),
        ("5 kg", "5 km"),
        ("5 min", "5"),
        *[(typed, "5 6") for typed in ("5 < 6", "5 \u2264 6", "5 \u2260 6", "5 \u00b1 6", "5^6")],
        ("5 \u2264 6", "5 \u2265 6"),
        ("\u221a9", "9"),
        ("10\u00b2", "102"),
        ("10\u00b2", "10\u00b3"),
        ("25\u2103", "25"),
        ("25\u2103", "25\u2109"),
        ("3\u20444", "3 4"),
        ("1 000 000", "1 0 0 0"),
        ("$5k", "$5"),
        ("\u2163", "5"),
    ],
)
def test_what_differs_is_never_equal(typed_text, heard_text) -> None:
    assert compare((typed_text,), (heard_text,)).errors > 0


@pytest.mark.parametrize(
    ("typed_text", "heard_text"),
    [
        (" Tom eats \u2264 2.", " Tom eats at least 2."),
        (" Tom eats 3 < 4.", " Tom eats 3 greater than 4."),
        (" Tom eats \u221a4.", " Tom eats 4."),
        (" Tom eats 2\u00b2.", " Tom eats 2."),
        (" Tom eats 2/5.", " Tom eats 2."),
        (" Tom eats 1/5.", " Tom eats the 15th."),
    ],
)
def test_a_misheard_sign_drops_the_trace(typed_text, heard_text) -> None:
    typed = replace(TOM, chunks=(TOM.chunks[0], typed_text))
    heard = (TOM.chunks[0], heard_text)
    fault = trace_of(typed, heard, compare(typed.chunks, heard), Bounds())
    assert isinstance(fault, tuple)
    assert fault[0] == "number_misheard"


def test_long_texts_are_compared_in_time_in_proportion_to_their_length() -> None:
    text = "one five mm 12 first " * 2_000 + "1" * 10_000  # more digits than Python reads
    assert_in_proportion(lambda length: words_of(text[-length:]), len(text))
