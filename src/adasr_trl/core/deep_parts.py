r"""The written deep part in two: reasoning, and the answer with its value; marked, or free text of a chat model.

    >>> free_parts("5 + 3 = 8.\nThe answer is 8.", AnswerType.NUMBER)
    DeepParts(reasoning='5 + 3 = 8.', answer='The answer is 8.', answer_start=11, value_end=26)

A streaming model writes the marker ``reasoning_end``. A chat model (``Mode.ZERO_SHOT``) knows no marker: its answer is the
sentence that states the value which ``core.answers`` reads in the whole text. What it writes inside thinking tags is never
an answer. OpenAI's channels (gpt-oss) are not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from adasr_trl.core.answers import extract
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.protocol import Ending, Markers
from adasr_trl.core.sentences import sentence_chunks

# Qwen3, DeepSeek-R1 and many others; Magistral.
_OPEN = re.compile(r"<think>|\[THINK\]")
_CLOSE = re.compile(r"</think>|\[/THINK\]")


@dataclass(frozen=True)
class DeepParts:
    """Parts of a deep part; offsets are in characters of its text.

    Attributes:
        reasoning: Words before the answer.
        answer: The answer, raw; None without one.
        answer_start: Start of the answer, behind the marker where there is one; None without an answer.
        value_end: End of the answer's value; None where none can be read.
    """

    reasoning: str
    answer: str | None
    answer_start: int | None
    value_end: int | None


def marked_parts(text: str, markers: Markers, answer_type: AnswerType) -> DeepParts:
    """Parts of a text with the marker ``reasoning_end``."""
    reasoning, marker, answer = text.partition(markers.reasoning_end)
    if not marker:
        return DeepParts(reasoning.strip(), None, None, None)
    start = len(reasoning) + len(marker)
    value = extract(answer, answer_type)
    end = None if value is None else start + value.end
    return DeepParts(reasoning.strip(), answer.strip(), start, end)


def free_parts(text: str, answer_type: AnswerType, *, thinks: bool = False) -> DeepParts:
    """Parts of a chat model's text.

    Args:
        text: All that it wrote, without the token that ended it.
        answer_type: Type of the answer.
        thinks: Whether its prompt has opened the thinking (DeepSeek-R1's template does).
    """
    start = _behind_thinking(text, thinks=thinks)
    value = None if start is None else extract(text[start:], answer_type)
    if start is None or value is None:
        return DeepParts(text.strip(), None, None, None)
    begin = start + _statement(text[start:], value.value, value.end, answer_type)
    return DeepParts(text[:begin].strip(), text[begin:].strip(), begin, start + value.end)


def free_ending(text: str, answer_type: AnswerType, *, thinks: bool = False) -> Ending:
    """Ending of a chat model's text that it has ended itself: MALFORMED where no answer can be read."""
    parts = free_parts(text, answer_type, thinks=thinks)
    return Ending.MALFORMED if parts.answer is None else Ending.ANSWERED


def opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends inside thinking tags."""
    return _behind_thinking(prompt, thinks=False) is None


def _behind_thinking(text: str, *, thinks: bool) -> int | None:
    """Start of the text behind the last thinking; None where it never ends."""
    closed = list(_CLOSE.finditer(text))
    start = closed[-1].end() if closed else 0
    is_open = _OPEN.search(text, start) is not None or (thinks and not closed)
    return None if is_open else start


def _statement(text: str, value: str, end: int, answer_type: AnswerType) -> int:
    """Start of the sentence, else of the line, that states the value; 0 where it would be read otherwise there."""
    line = text.rfind("\n", 0, end) + 1
    sentence, begin = line, line
    for chunk in sentence_chunks(text[line:].split("\n", 1)[0]):
        if begin + len(chunk) - len(chunk.lstrip()) < end:
            sentence = begin
        begin += len(chunk)
    for start in (sentence, line):
        again = extract(text[start:], answer_type)
        if again is not None and (again.value, start + again.end) == (value, end):
            return start
    return 0
