"""Whether each phase does what the episode's own trace does, whatever the other phase made of it.

For episodes with exact traces, such as generated ones. Ours: with them a phase can be judged from where it started.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.answers import extract
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.number_reading import last_numbers, latest_number
from adasr_trl.core.protocol import Ending
from adasr_trl.rewards.base import Graded, Measured, Rule, Scope


@dataclass(frozen=True)
class TraceValues(Rule):
    """The share of the chunks on which the rollout did what the trace does: skipped too, or came to the same last number.

    Ours. A wrong count is seen where it was made, and so is a thought on what does not matter. Numbers are compared as
    they are written; thoughts without one agree with each other. Cannot be scored without a trace.

    Attributes:
        relative: Compare by how much a thought changed the last number before it, in the rollout and in the trace: who
            works on rightly from a wrong count is not blamed for it again.
    """

    relative: bool = False

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING})
    NEEDS_THOUGHTS: ClassVar[bool] = True

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Compare thought by thought; one never begun counts as wrong."""
        del scope, streaming
        trace, thoughts = graded.episode.thoughts, graded.rollout.thoughts
        if not trace or not thoughts:
            return Measured(None)
        values = _changes if self.relative else last_numbers
        pairs = zip(values(thoughts), values(trace[: len(thoughts)]), thoughts, trace, strict=False)
        same = [float(bool(own) == bool(told) and a == b) for a, b, own, told in pairs]
        missing = len(trace) - len(same)
        mean = statistics.fmean([*same, *[0.0] * missing])
        return Measured(mean, (*same, *[None] * missing))

    @property
    def margin(self) -> float:
        """Exempt: a stream that is right is right under a wrong answer, too; that is what it is for."""
        return 0.0


@dataclass(frozen=True)
class FollowsStream(Rule):
    """1 for the right answer, and for the one that the trace's deep part would reach from the rollout's last number.

    Ours. A deep part that goes on rightly from a stream that went wrong is not blamed for it. Cannot be scored without
    a trace, or where the answer is no number.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.DEEP})
    NEEDS_THOUGHTS: ClassVar[bool] = True

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """Compare how far the answer is from the last number of the thoughts with how far the gold answer is."""
        del scope, streaming
        episode, rollout = graded.episode, graded.rollout
        if not episode.thoughts or episode.answer_type is not AnswerType.NUMBER:
            return Measured(None)
        if graded.right:
            return Measured(1.0)
        answer = _number(rollout.answer) if rollout.ending is Ending.ANSWERED else None
        gold = _number(episode.answer)
        if answer is None or gold is None:
            return Measured(0.0)
        own, told = (latest_number(each) or 0 for each in (rollout.thoughts, episode.thoughts))
        return Measured(float(answer - own == gold - told))

    @property
    def margin(self) -> float:
        """A wrong answer may have 1, too, but no right one has less."""
        return 0.0


def _number(text: str | None) -> Fraction | None:
    """A number, if that is what the text's answer is."""
    found = None if text is None else extract(text, AnswerType.NUMBER)
    try:
        return None if found is None else Fraction(found.value)
    except ValueError:
        return None  # LaTeX


def _changes(thoughts: Sequence[str]) -> list[Fraction | None]:
    """By how much each thought moves from the last number before it, at first from 0."""
    changes: list[Fraction | None] = []
    before = Fraction(0)
    for value in last_numbers(thoughts):
        changes.append(None if value is None else Fraction(value) - before)
        before = before if value is None else Fraction(value)
    return changes
