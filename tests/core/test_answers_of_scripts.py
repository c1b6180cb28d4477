"""Answers in characters and words of all scripts: numbers, labels and texts."""

# ruff: noqa: RUF001 - letters and signs of other scripts are meant

import pytest

from adasr_trl.core.answers import extract, is_right
from adasr_trl.core.characters import bare, plain
from adasr_trl.core.episode import AnswerType

NUMBER, CHOICE, TEXT = AnswerType.NUMBER, AnswerType.CHOICE, AnswerType.TEXT

# Behind "The answer is": other values than 5, or none.
OTHER = """
负5 | 負5 | マイナス5 | menos 5 | moins 5 | минус 5 | 至少5 | 5以上 | 5個以上 | 5未満 | 最大5 | 최대 5 | 5 이상 | 5명 이상 | 不是5 | 5ではない | 5不对 | nicht 5 | не 5 | no es 5
au moins 5 | al menos 5 | mindestens 5 | más de 5 | 5 o más | 5 ou plus | 5 oder mehr | 5 или больше | 5多 | 5到7 | 5或7 | 5至7 | 5から7 | 5または7 | 5에서 7 | 5 또는 7
5 или 7 | 5 oder 7 | 5 à 7 | 5 से 7 | 5 إلى 7 | 5 או 7 | 5ถึง7 | 5〜7 | 5・7 | 5分之3 | 5分の3 | 5월 3일 | 5月3日 | 5 мая | 5 de mayo | 5 août | 5. Mai | 5点 | 5時 | 5 Uhr
5\u200e0 | 5\ufe0f0 | 5\u20620 | 5\u061c0 | -\u20605 | 5⋅7 | 5∙7 | 5∗7 | 5✕7 | 5➕7 | 5➗7 | 5∶7 | 5‥7 | 5⋯7 | 5•7 | 5‧7 | 5†7 | 5⁓7 | 5 ⊕ 7 | 5 ∘ 7 | 5 ≪ 7 | 5 ⩽ 7 | 5 ↔ 7 | 5 ⟷ 7
➖5 | ˗5 | ⁻5 | ﹘5 | ⩾5 | ≦5 | ≫5 | ∇5 | ∑5 | 5ⁿ | 5ᵃ | 5\u00ad0
"""
# Behind "The answer is": 5.
SAME = """
5個です。 | 5个，因为3+2=5。 | 5 яблок, так как 3+2 | 5 manzanas. | 5 Äpfel, denn 3+2=5 | 5 de ellos | un total de 5 | genau 5 | ровно 5 | 正好5 | 等于5 | 约5个 | 5点です | 5時間
5小时 | 5头 | 5명입니다 | 5 सेब | 5 फल। 3 | 5 ผล | 5\u200b. | \u200e5\u200f | 5 🍎 | ✅ 5 | ➡️ 5 | ⟹ 5 | ∴ 5 | 5 ∎ | ≡ 5 | 5 — 3 plus 2 | 5. 3+2 is 5 | 5 people in 2 rooms | 5 Mars bars
5 months | 5 baths | 5 deaths | 5 grand pianos | 5º | 5m² | ５ | ٥ | 𝟓 | 5️⃣
"""


def behind_marker(table: str) -> list[str]:
    forms = [form.strip() for line in table.strip().splitlines() for form in line.split(" | ")]
    return [f"The answer is {form}" for form in forms]


def test_signs_bounds_ranges_and_dates_of_all_scripts_change_a_number() -> None:
    assert [text for text in behind_marker(OTHER) if is_right(text, "5", NUMBER)] == []


def test_units_and_marks_of_all_scripts_leave_a_number() -> None:
    assert [text for text in behind_marker(SAME) if not is_right(text, "5", NUMBER)] == []


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("5 ⋅ 10³", "5000"),
        ("5ʼ000", "5000"),
        ("12،000", "12000"),
        ("٥،٥", "5.5"),
        ("4️⃣2️⃣", "42"),
        ("-5", "˗5"),
        ("5 & a half", "11/2"),
        ("小明有3个苹果又买2个一共5个", "5"),
        ("3加2等于5", "5"),
        ("3に2を足すと5です", "5"),
        ("3 плюс 2 равно 5", "5"),
        ("3 más 2 son 5", "5"),
    ],
)
def test_numbers_of_all_scripts_are_read_whole(text: str, gold: str) -> None:
    assert is_right(text, gold, NUMBER)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "答案是B。",
            "故选B。",
            "我选择B",
            "答案为B",
            "B选项正确",
            "选项B",
            "不是A而是B",
            "B、5只",
        ),
        *(
            "正解はBです。",
            "정답은 B입니다.",
            "คำตอบคือB",
            "Ответ: B.",
            "The answer is B.The reason",
        ),
    ],
)
def test_a_letter_beside_scripts_without_spaces_is_a_label(text: str) -> None:
    assert is_right(text, "B", CHOICE)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        *(
            (text, "B")
            for text in ("答案不是B", "不选B", "排除B", "B不对", "B选项错误", "Bではない")
        ),
        *(
            (text, "B")
            for text in ("B가 아닙니다", "A或B", "A和B", "AかB", "A 또는 B", "A или B", "AB")
        ),
        *((text, "C") for text in ("C#", "The answer is C♯.", "It is C++", "It is 5 °C", "C²")),
        *(("The answer is D&D.", "D"), ("A.D. 79", "A"), ("A.D. 79", "D"), ("A.D. 79.", "A")),
        *(("option 21", "2"), ("option 2.5", "2"), ("option 1 or option 2", "2")),
    ],
)
def test_a_denied_letter_or_a_part_of_another_word_is_no_label(text: str, gold: str) -> None:
    assert not is_right(text, gold, CHOICE)


@pytest.mark.parametrize("text", ["The answer is option 2.", "Option 2 is right.", "选项2", "(2)"])
def test_a_number_may_name_an_option(text: str) -> None:
    assert is_right(text, "2", CHOICE)


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("vitamin", "vitamin A", False),
        ("Vitamin A.", "vitamin A", True),
        ("a €5 note", "€5 note", True),
        ("vitamin deficiency", "vitamin A deficiency", False),
        ("The blood type", "blood type A", False),
        ("THE CAT SAT ON A MAT", "the cat sat on the mat", True),
        ("The (big) cat", "the (big) cat", True),
        ("102", "10²", False),
        ("10^12", "10¹²", True),
        ("x2", "x²", False),
        ("H2O", "H₂O", True),
        ("21/2", "2½", False),
        ("1/2", "½", True),
        ("don’t", "don't", True),
        ("“Emma”, I said", '"Emma", I said', True),
        ("−5", "-5", True),
        ("co‑op", "co-op", True),
        ("Paris\u200b.", "Paris", True),
        ("Pa\u00adris", "Paris", True),
    ],
)
def test_texts_are_equal_in_any_form_of_their_characters(text: str, gold: str, right: bool) -> None:
    assert is_right(text, gold, TEXT) is right
    assert is_right(gold, text, TEXT) is right


def test_no_offset_changes_in_the_plain_form() -> None:
    text = "答案是４⋅２，⩽ x² ﹘ 𝐁\u200e."
    assert plain(text) == "答案是4·2,≤ x² — B\u200b."
    found = extract("答案是 ４２ 个", NUMBER)
    assert found is not None
    assert found.end == 6


def test_the_bare_form_keeps_powers_and_fractions_apart() -> None:
    assert bare("10² and 2½ co‑op\u200b") == "10^2 and 2 1/2 co-op"
