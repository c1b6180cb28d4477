r"""Answers in a box, with what stands around it; LaTeX and marks of chat templates around a number."""

# ruff: noqa: RUF001 - typographic and Chinese signs are meant

import pytest

from adasr_trl.core.answers import AnswerError, check_gold, extract, is_right
from adasr_trl.core.episode import AnswerType

NUMBER, CHOICE, TEXT = AnswerType.NUMBER, AnswerType.CHOICE, AnswerType.TEXT

# Ways of writing that leave {} the answer; {} is a box with 5.
SAME = r"""
So the answer is {}. | {} apples. | $x = {}$ | $2 + 3 = {}$. | \[ 10/2 = {} \] | **Final Answer:** ${}$ | Answer - {} | Answer – ${}$ | - ${}$ hens
* {} | 1. {} | > {} | => {} | ({}) | **{}** | is *{}*. | <answer>{}</answer> | {}<|im_end|> | \color{red}{} | \textbf{{}} | \fbox{{}} | $x = +{}$
\begin{aligned} x &= {} \end{aligned} | $\Rightarrow {}$ | $10/2 = 5 \implies {}$ | He ate {} of the 12 eggs. | {} out of 12 | {} times | {} more than Tom
${}\%$ of them | ${}^\circ$ | ${}\text{ cm}^2$ | {} cm^2 | \${} per day | {} in May | {} min | {} quarters | {}! | That is 300 minutes, or {} hours.
$3 + 2 = 5$, and {} it is | 3 + 2 = 5. {} | $3 + {} = 8$ | ${} - 3 = 2$ | $8 - {} = 3$ | $x \equiv {} \pmod 7$ | It adds up to {}. | Not 4, but {}. | {}, not 4
{}, which is not even | $${}$$ Therefore 3 are red. | {} apples, 3 of which are red | {} \checkmark | First \boxed{3}, then {} | {}, {} | 答案是{}个。 | 答えは{}です。
"""
# Ways of writing that make another value of it, or none.
OTHER = r"""
$x = -{}$ | -{} | $- {}$ | minus {} | negative ${}$ | $3 - {}$ | $x - {}$ | $\pi - {}$ | $0.{}$ | not {} | The answer isn't {} | rather than {} | ${}$ million | ${}\text{ million}$ | {}万
${}\times10^3$ | ${}/4$ | $\frac{{}}{4}$ | $\frac{4}{{}}$ | ${}\sqrt{3}$ | $\sqrt{{}}$ | ${}\pi$ | ${}x$ | ${}i$ | $2{}$ | ${}0$ | {},000 | {}.5 | {}:30 | ${}^2$
$x^{{}}$ | {}_6 | $f({})$ | $\log{}$ | $3 \cdot {}$ | $3 \times {}$ | at least ${}$ | more than {} | {} or more | {} hens or more | {} at most | $x \ne {}$ | $x > {}$
$x \leq {}$ | ${} \pm 1$ | \boxed{6} or {} | $\boxed{6}$, ${}$ | $x = 6$ or $x = {}$ | {} or 6 | {} to 7 | {} – 7 | {} by 7 | {} and a half | {} thirds | half of {}
twice {} | twenty-{} | {} feet 6 inches | {} dollars and 50 cents | {} degrees below zero | {} is wrong | {}, no, 7 | 至少{} | 不是{} | {}以上 | {}到7 | {}分之3
"""


def written(table: str) -> list[str]:
    forms = [form.strip() for line in table.strip().splitlines() for form in line.split(" | ")]
    return [form.replace("{}", r"\boxed{5}") for form in forms]


def test_ordinary_words_around_a_box_leave_its_value() -> None:
    assert [text for text in written(SAME) if not is_right(text, "5", NUMBER)] == []


def test_what_changes_a_boxed_number_is_read_with_it() -> None:
    assert [text for text in written(OTHER) if is_right(text, "5", NUMBER)] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"So $x = -\boxed{5}$.", "-5"),
        (r"-$\boxed{\frac{1}{2}}$", "-1/2"),
        (r"negative \boxed{5}", "-5"),
        (r"$x = -\boxed{2\sqrt{5}}$", r"-(2\sqrt{5})"),
    ],
)
def test_a_sign_before_a_box_belongs_to_its_value(text: str, value: str) -> None:
    found = extract(text, NUMBER)
    assert found is not None
    assert found.value == value
    check_gold(text, NUMBER)


@pytest.mark.parametrize(
    "gold", [r"$\frac{\boxed{3}}{4}$", r"at least $\boxed{5}$", "负5", "5以上"]
)
def test_a_gold_answer_whose_number_is_not_all_of_it_is_refused(gold: str) -> None:
    with pytest.raises(AnswerError):
        check_gold(gold, NUMBER)


def test_a_denial_above_a_box_on_lines_of_its_own_counts() -> None:
    assert not is_right("The answer is not\n\\[\n\\boxed{5}\n\\]", "5", NUMBER)
    assert is_right("The answer is\n\\[\n\\boxed{5}\n\\]", "5", NUMBER)
    assert is_right("---\n\n$$\\boxed{5}$$", "5", NUMBER)  # a rule across the page is no sign


@pytest.mark.parametrize(
    ("text", "gold", "answer_type", "right"),
    [
        (r"The answer is not \boxed{B}.", "B", CHOICE, False),
        (r"\boxed{A} or \boxed{B}", "B", CHOICE, False),
        (r"\boxed{B} is wrong", "B", CHOICE, False),
        (r"Since A is not possible, \boxed{B}", "B", CHOICE, True),
        (r"A is not right so \boxed{B}", "B", CHOICE, True),
        (r"It is not \boxed{yes}", "yes", CHOICE, False),
        (r"It is not \boxed{Paris}.", "Paris", TEXT, False),
        (r"\boxed{Rome} or \boxed{Paris}", "Paris", TEXT, False),
        (r"It is \boxed{Paris}, France", "Paris", TEXT, True),
        (r"under \boxed{the table}", "table", TEXT, True),  # no bound of a number
    ],
)
def test_a_denied_box_or_one_of_several_is_no_answer(
    text: str, gold: str, answer_type: AnswerType, right: bool
) -> None:
    assert is_right(text, gold, answer_type) is right


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("The answer is:\n\n\\[\n5\n\\]", "5"),
        ("**Answer:**\n$$\nx = 5\n$$", "5"),
        ("Answer:\n\\[\n\\frac{1}{2}\n\\]", "1/2"),
        ("The answer is five (5) apples.", "5"),
        ("The answer is one hundred and five (105).", "105"),
        ("The answer is five dollars ($5).", "5"),
        (r"\boxed{5~\text{cm}}", "5"),
        (r"\boxed{1~234~567}", "1234567"),
        (r"\boxed{\textcolor{red}{5}}", "5"),
        (r"\boxed{\boldsymbol{5}}", "5"),
        (r"\boxed{\underline{5}}", "5"),
        (r"\boxed{\mathit{5}}", "5"),
        (r"\boxed{\num{5}}", "5"),
        (r"\boxed{\SI{5}{\meter\per\second}}", "5"),
        ("The answer is 5<|im_end|>", "5"),
        ("#### 5<|eot_id|>", "5"),
        ("#### 5</s>", "5"),
        ("The answer is 5 min.", "5"),
    ],
)
def test_latex_and_marks_that_change_nothing_are_read_past(text: str, gold: str) -> None:
    assert is_right(text, gold, NUMBER)


@pytest.mark.parametrize(
    "text",
    [r"\boxed{5~7}", r"\boxed{5~700}", r"\boxed{\overline{5}}", "The answer is six (5)"],
)
def test_latex_and_words_that_change_a_number_give_none(text: str) -> None:
    assert not is_right(text, "5", NUMBER)
