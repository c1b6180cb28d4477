"""The answer in what a chat model writes: where it begins, what its value is, and what is no answer."""

from __future__ import annotations

import pytest

from adasr_trl.core.answers import extract, is_right
from adasr_trl.core.deep_parts import free_ending, free_parts, marked_parts, opens_thinking
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.protocol import Ending, Markers

NUMBER, CHOICE, TEXT = AnswerType.NUMBER, AnswerType.CHOICE, AnswerType.TEXT

# What models were seen to write (lm-evaluation-harness, lighteval and open-r1 issues name most of these forms).
REPLIES = [
    ("5 + 3 = 8. The answer is 8.", "8", NUMBER),
    ("First 5 apples.\nThen 5 + 3 = 8.\n\nThe final answer is \\boxed{8}.", "8", NUMBER),
    ("So Tom has \\(\\boxed{8 \\text{ apples}}\\).", "8", NUMBER),
    ("\\[\\boxed{1{,}200}\\]", "1200", NUMBER),
    ("He pays $\\boxed{\\$1,200.00}$ in all.", "1200", NUMBER),
    ("Step 1: 5\nStep 2: 8\n#### 8", "8", NUMBER),
    ("### Step 1: Tom has 5.\n### Step 2: 5 + 3 = 8\n\n**Answer: 8**", "8", NUMBER),
    ("Therefore, Tom has 8 apples left.", "8", NUMBER),
    ("5 + 3 = <<5+3=8>>8 apples\nTom has 8 apples.", "8", NUMBER),
    ("1. Tom has 5.\n2. He buys 3.\n\nThe answer is 8.\n\nThe final answer is 8. I hope it is correct.", "8", NUMBER),
    ("Tom cannot be late, so the answer is (B).", "B", CHOICE),
    ("\\boxed{\\text{yes}}", "yes", CHOICE),
    ("It rains.\n\nAnswer: no", "no", CHOICE),
    ("Ida is older.\n\nThe answer is Tom's mother.", "Tom's mother", TEXT),
    ("<think>5 + 3 is 9? No, 8.</think>\nThe answer is 8.", "8", NUMBER),
    ("[THINK]It may be 9.[/THINK]\\boxed{8}", "8", NUMBER),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "gold", "kind"), REPLIES)
def test_what_models_write_is_read_and_the_answer_alone_says_the_same(reply, gold, kind):
    parts = free_parts(reply, kind)
    assert is_right(parts.answer, gold, kind)
    assert free_ending(reply, kind) is Ending.ANSWERED
    assert reply[parts.answer_start :].strip() == parts.answer
    assert reply[: parts.answer_start].strip() == parts.reasoning
    alone = extract(reply[parts.answer_start :], kind)
    assert alone.value == extract(reply[reply.rfind("</think>") + 1 :], kind).value
    assert parts.answer_start + alone.end == parts.value_end


def test_the_answer_begins_with_the_sentence_that_states_it():
    parts = free_parts("Tom has 5. He buys 3, so 5 + 3 = 8. The answer is 8.", NUMBER)
    assert parts.answer == "The answer is 8."
    assert parts.reasoning == "Tom has 5. He buys 3, so 5 + 3 = 8."
    parts = free_parts("Tom has 5.\nThat makes 8.\n\nLet me know!", NUMBER)
    assert parts.answer == "That makes 8.\n\nLet me know!"


def test_a_box_over_several_lines_is_read_whole():
    parts = free_parts("Tom has 5 + 3.\n\\boxed{\n8\n}\nDone.", NUMBER)
    assert is_right(parts.answer, "8", NUMBER)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot tell.",
        "The answer is 5 or 6.",
        "\\boxed{}",
        "<think>5 + 3 = 8. The answer is 8.",  # cut off, or never closed
        "The answer is 7.<think>No, wait: 8.",
    ],
)
def test_a_reply_without_a_readable_answer_has_none(reply):
    parts = free_parts(reply, NUMBER)
    assert (parts.answer, parts.answer_start, parts.value_end) == (None, None, None)
    assert parts.reasoning == reply.strip()
    assert free_ending(reply, NUMBER) is Ending.MALFORMED


def test_thinking_that_the_prompt_has_opened_is_no_answer_until_it_is_closed():
    assert opens_thinking("<|Assistant|><think>\n")
    assert not opens_thinking(
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )  # Qwen3, switched off
    assert not opens_thinking("<|im_start|>assistant\n")
    assert free_parts("It is 9. The answer is 9.", NUMBER, thinks=True).answer is None
    parts = free_parts("It may be 9.\n</think>\n8", NUMBER, thinks=True)
    assert (parts.answer, parts.reasoning) == ("8", "It may be 9.\n</think>")


def test_a_marker_splits_the_deep_part_of_a_streaming_model():
    markers = Markers()
    parts = marked_parts(" 5 + 3 <EOR> 8 ", markers, NUMBER)
    assert (parts.reasoning, parts.answer, parts.answer_start, parts.value_end) == (
        "5 + 3",
        "8",
        12,
        14,
    )
    parts = marked_parts(" 5 + 3 ", markers, NUMBER)
    assert (parts.reasoning, parts.answer, parts.answer_start) == ("5 + 3", None, None)
    assert marked_parts("5<EOR>", markers, NUMBER).answer == ""
