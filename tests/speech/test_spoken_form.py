"""Texts as a synthesiser gets them: characters, markup, comparisons, signs, money, ranges, fractions, numerals."""

from __future__ import annotations

import random

import pytest

from adasr_trl.speech.notation import in_words
from adasr_trl.speech.spoken_form import foreign_letter, pieces_of, speakable
from support.proportion import assert_in_proportion

CHARACTERS = [
    ("\uff11\uff12\uff13 apples.", "123 apples."),
    ("Tom has \u0663 pears, \u0967 fig, \U0001d7d7 nuts.", "Tom has 3 pears, 1 fig, 9 nuts."),
    ("\u0663 \u0664 \u0665", "3 4 5"),
    ("\u0661\u066b\u0665 and \u0665\u066a", "1.5 and 5 percent"),
    ("\u2163, \u2169\u2163, \u2160\u2161\u2162 and \u2177", "4, 14, 1 2 3 and 8"),
    ("\u2460\u2461 \u277a \u2474", "1 2 5 (1)"),
    ("\uff34\uff4f\uff4d paid \uff045 \uff08\uff15\uff05\uff09", "Tom paid 5 dollars (5 percent)"),
    ("5\u338f and 5 \u33a1, \ufb01sh, 5\u1d57\u02b0", "5kg and 5 m squared, fish, 5th"),
    ("don`t `id` don\u00b4t", "don't id don't"),
    ("5\ufe0f\u20e3 \u2713 \u2122 \u25b7", "5"),
]
MARKUP = [
    ("If x<y and y>z then 5.", "If x is less than y and y is greater than z then 5."),
    ("Is x<y, and z>3?", "Is x is less than y, and z is greater than 3?"),
    ("a <b and a<b>c", "a is less than b and a is less than b is greater than c"),
    ("Ann <ann@x.com> has 3", "Ann ann@x.com has 3"),
    ("See <https://x.com/a?id=b> <now>", "See https://x.com/a?id equals b now"),
    ("The <first name> of <user>, <<ann@x.com>>", "The first name of user, ann@x.com"),
    ("<p class='a' hidden>H<SUB>2</SUB>O<br />is <a href=\"x>y\">wet</a>", "H2Ois wet"),
    ("<say-as interpret-as='date'>5</say-as><mark name='x'/>", "5"),
    (
        "5 &lt; 6, AT&amp;T, R&D &#53; &unknown;",
        "5 is less than 6, AT and T, R and D 5 and unknown;",
    ),
    ("I <3 you, x->y, <- and => </3", "I <3 you, x->y, <- and => </3"),
    ("File > Open, >_<, > Tom sings", "File > Open, >_<, > Tom sings"),
    ("> Tom sings\n>> She too", "Tom sings She too"),
    ("[\u200b[h@]]", "h@"),
]
POWERS = [
    ("10\u00b2, 5 m\u00b3, 2\u2075 and 10\u207b\u00b3", "10 squared, 5 m cubed, 2 to the power of 5 and 10 to the power of minus 3"),
    ("4^2=16, 2**3, 2^(n-1), x^n", "4 squared equals 16, 2 cubed, 2 to the power of (n-1), x to the power of n"),
    ("The bank\u00b9 said so.\u00b2 ^_^", "The bank 1 said so. 2 _"),
    ("H\u2082O, 101\u2082", "H2O, 101 base 2"),
    ("1 000 000, 10\u2009000, 1\u202f234, 5\u00a0000.", "1,000,000, 10,000, 1,234, 5,000."),
    ("100 200 300, 12 345, 555 123 4567", "100 200 300, 12 345, 555 123 4567"),
]  # fmt: skip
SIGNS = [
    ("5 < 6 > 4", "5 is less than 6 is greater than 4"),
    ("5 \u2264 6 >= 2, 7 \u2260 8 != 9", "5 is at most 6 is at least 2, 7 is not equal to 8 is not equal to 9"),
    ("It takes <5 minutes, in < $5; >10 came", "It takes less than 5 minutes, in less than 5 dollars; more than 10 came"),
    ("x<3, 5<-3, p < .05", "x is less than 3, 5 is less than minus 3, p is less than 0.05"),
    ("~5, \u2248 5 and x \u2248 5", "about 5, about 5 and x is about 5"),
    ("5 \u00b1 1, \u00b12 and +/-3", "5 plus or minus 1, plus or minus 2 and plus or minus 3"),
    ("\u221a9 and 2\u221b8", "square root of 9 and 2 cube root of 8"),
    ("x^2+y^2, 2x+1, a + b", "x squared plus y squared, 2x plus 1, a plus b"),
    ("25\u2103, 77 \u2109, 25\u00baC", "25 degrees Celsius, 77 degrees Fahrenheit, 25 degrees Celsius"),
    ("\u2116 5, \u00a7 7, 5\u2030, 5 @ $3", "number 5, section 7, 5 per mille, 5 at 3 dollars"),
    ("3 \u2716 n, 3\u00d7, 12 / 4 = 3, x == 5", "3 times n, 3 times, 12 divided by 4 equals 3, x equals 5"),
    ("a \u2212 b, \u2212x, a \u2208 B, \u221e", "a minus b, minus x, a element of B, infinity"),
    ("60 km/h, 5 kg/m\u00b2, 8 hours/day, he/she", "60 km per hour, 5 kg per m squared, 8 hours per day, he/she"),
    ("|x| < 3, 2\u00b73, N\u00ba 5", "|x| is less than 3, 2 times 3, number 5"),
]  # fmt: skip
MONEY = [
    ("$5k, $1.5M, \u00a32 bn, $3T", "5 thousand dollars, 1.5 million dollars, 2 billion pounds, 3 trillion dollars"),
    ("$5 K, $50k-a-year, $5 trillion, $5 m.", "5 thousand dollars, 50 thousand dollars-a-year, 5 trillion dollars, 5 million dollars."),
    ("a $5 T-shirt, $20 T shirts, $5 K-cups", "a 5 dollars T-shirt, 20 dollars T shirts, 5 dollars K-cups"),
    ("$.50, \u00a3.01, $.5, $2.01", "50 cents, 1 penny, 0.5 dollars, 2 dollars and 1 cent"),
    ("$20/hour, \u20ac3 / kg, $10-15/hr", "20 dollars per hour, 3 euros per kg, 10 to 15 dollars per hour"),
    ("$1.50-$2.50, $1.5-2 million", "1 dollar and 50 cents to 2 dollars and 50 cents, 1.5 to 2 million dollars"),
    ("5\u20ac, 3,50 \u20ac, 5$ and 20 \u00a3", "5 euros, 3 euros and 50 cents, 5 dollars and 20 pounds"),
    ("US$5, A$1, $-5, $5USD, \u20a9500", "5 US dollars, 1 Australian dollar, minus 5 dollars, 5 dollars USD, 500 won"),
    ("Find $x = 1$.", "Find $x equals 1$."),
]  # fmt: skip
RANGES = [
    ("10%-20%, 5-10 %, 20%-10%", "10 to 20 percent, 5 to 10 percent, 20 percent minus 10 percent"),
    ("5\u00b0-10\u00b0, 5\u00b0-10\u00b0C, -5\u00b0-10\u00b0", "5 to 10 degrees, 5 to 10 degrees Celsius, minus 5 to 10 degrees"),
    ("5'-6', 5\"-6\", 5'-6\", 5\u20196\u201d", "5 to 6 feet, 5 to 6 inches, 5 feet 6 inches, 5 feet 6 inches"),
    ("6'5\"-7'1\" tall", "6 feet 5 inches to 7 feet 1 inch tall"),
    ("5%-10, 20%off", "5 percent to 10, 20 percent off"),
    ("$5-10, $5\u2013$10, $5 - $10, $5-\u00a310", "5 to 10 dollars, 5 to 10 dollars, 5 to 10 dollars, 5 dollars to 10 pounds"),
    ("$1,000-$2,000, $1-2 million, $500k-$1M", "1,000 to 2,000 dollars, 1 to 2 million dollars, 500 thousand dollars to 1 million dollars"),
    ("$10-$5, $10 - $5 = $5", "10 dollars minus 5 dollars, 10 dollars minus 5 dollars equals 5 dollars"),
    ("5.5-6.5, 10,000-20,000, 5~10", "5.5 to 6.5, 10,000 to 20,000, 5 to 10"),
    ("(5)-(3), (3)-(5), (3)-(5)=", "(5) minus (3), (3) to (5), (3) minus (5)="),
    ("10-3-2=5, 5.5-1.5 = 4", "10 minus 3 minus 2 equals 5, 5.5 minus 1.5 equals 4"),
    ("9:30-17:30, 5-6:30 pm, 5pm-6pm", "9:30 to 17:30, 5 to 6:30 pm, 5pm to 6pm"),
]  # fmt: skip
FRACTIONS = [
    ("3\u20444, 3\u22154, \u00b3\u2044\u2084, 2\u00be, -\u00bd", "3 quarters, 3 quarters, 3 quarters, 2 and 3 quarters, minus 1 half"),
    ("1-1/2, 2-1/2 miles", "1 and a half, 2 and a half miles"),
    ("1/4-1/2 cup, 3-1/2=2.5", "1 quarter to 1 half cup, 3 minus 1 half equals 2.5"),
    ("24/7, 9/11, 50/50, 80/20", "24 7, 9 11, 50 50, 80 20"),
    ("9/11 of it, x = 24/7, 20/80", "9 over 11 of it, x equals 24 sevenths, 20 over 80"),
]  # fmt: skip
NUMERALS = [
    ("World War II, World War I, CHAPTER IV, Vol. II", "World War 2, World War 1, CHAPTER 4, Vol. 2"),
    ("Part I of it, Act I. In Part I, he", "Part 1 of it, Act 1. In Part 1, he"),
    ("Henry VIII, the part I like, Plan V, Chapter IIX", "Henry VIII, the part I like, Plan V, Chapter IIX"),
    ("After the War I left. The Book I read.", "After the War I left. The Book I read."),
]  # fmt: skip
AS_WRITTEN = [
    "2024-01-05, 555-1234, (555) 123-4567, 1-800-555-1234, +1 555 123 4567",
    "978-0-306-40615-7, 123-45-6789, 192.168.0.1, won 5-3, 12345-6789",
    "ann.lee+5@x.com, https://x.com/a-b/2024/01/05?id",
    "C++, Ctrl+C, 5+ years, i++ a - b, X-5, COVID-19, U+2140, **bold** (x)",
    "He said '5'. It's 24/7/365 or 9/11/2001",
]
ALL = [*CHARACTERS, *POWERS, *MARKUP, *SIGNS, *MONEY, *RANGES, *FRACTIONS, *NUMERALS]
PIECES = (
    *("0", "5", "12", "3,000", " ", ".", ",", ":", ";", "-", "+", "*", "/", "=", "<", ">", "(", ")", "[", "]", "'", '"'),
    *("^", "`", "~", "%", "$", "\u20ac", "#", "&", "@", "x", "a", "I", "k", "M", "Tom", " of ", "Chapter ", "pm", "\n"),
    *("\u2212", "\u2013", "\u00d7", "\u2264", "\u221a", "\u00b2", "\u207b", "\u2082", "\u00bd", "\u2044", "\u2103"),
    *("\u2163", "\u2460", "\u0663", "\uff13", "\u00a0", "\u200b", "\U0001f600", "\ud800", "<b>", "&lt;", "[[", "\x01"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "spoken"), ALL)
def test_notation_is_spoken_as_people_say_it(text, spoken) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_dates_telephones_scores_addresses_and_code_stay_as_written(text) -> None:
    assert speakable(text) == text


@pytest.mark.parametrize("spoken", [spoken for _, spoken in ALL])
def test_what_is_in_words_stays(spoken) -> None:
    assert speakable(spoken) == in_words(spoken) == spoken


def test_digits_of_any_script_are_something_to_say_and_wide_letters_no_foreign_ones() -> None:
    assert pieces_of("\u0663 \u0664 \u0665") == ["3 4 5"]
    assert foreign_letter("\uff34\uff4f\uff4d has \u0663 \U0001d465") is None
    assert foreign_letter("\u4e09") == "\u4e09"


def test_any_text_is_spoken_without_commands() -> None:
    source = random.Random(0)
    for _ in range(3000):
        spoken = speakable("".join(source.choices(PIECES, k=8)))
        assert "[[" not in spoken
        assert spoken == " ".join(spoken.split())


@pytest.mark.parametrize(
    "unit",
    ["<", "<b a='", "> ", "x<y", "^", "2^", "\u00b2", "1 000", "1-", "$1-", "1/2-", "1+", "&", " \u00a0", "Chapter I", "\u2212"],
)  # fmt: skip
def test_long_texts_take_time_in_proportion_to_their_length(unit) -> None:
    text = unit * 60_000
    assert_in_proportion(lambda length: speakable(text[:length]), 60_000)
