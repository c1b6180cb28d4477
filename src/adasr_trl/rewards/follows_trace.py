"""Rewards for agreement with the episode's own trace, each phase judged from where it started.

Our choice, for episodes with exact traces, such as generated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean
from typing import ClassVar

from adasr_trl.core.answers import extract
from adasr_trl.core.episode import AnswerType
from adasr_trl.core.number_reading import last_numbers, latest_number
from adasr_trl.core.protocol import Ending
from adasr_trl.rewards.base import RewardValue, Rule, Scope, ScoredRollout


@dataclass(frozen=True)
class TraceValues(Rule):
    """The share of the chunks on which the rollout agrees with the trace: a skip too, or the same last number.

    It finds a wrong count in the thought that made it, and a thought on a chunk that matters not. Numbers are compared
    as they are written; thoughts without one agree with each other. Cannot be scored without a trace.

    Attributes:
        relative: Compare each thought's step from the last number before it, in the rollout and in the trace. A correct
            step from a wrong count is then not penalised again.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.STREAMING})
    NEEDS_THOUGHTS: ClassVar[bool] = True
    # Exempt from the order of right and wrong answers: a right stream is right under a wrong answer, too.
    margin: ClassVar[float] = 0.0
    relative: bool = False

    def measure(self, scored: ScoredRollout, *_: object) -> RewardValue:
        """Compare thought by thought; one never begun counts as wrong."""
        trace, thoughts = scored.episode.thoughts, scored.rollout.thoughts
        if not trace or not thoughts:
            return RewardValue(None)
        values = _changes if self.relative else last_numbers
        pairs = zip(values(thoughts), values(trace[: len(thoughts)]), thoughts, trace, strict=False)
        same = scored.padded(
            [float(bool(own) == bool(gold) and a == b) for a, b, own, gold in pairs]
        )
        return RewardValue(fmean(value or 0.0 for value in same), same)


@dataclass(frozen=True)
class FollowsStream(Rule):
    """1 for the right answer, and for the one that the trace's deep part would reach from the rollout's last number.

    A correct deep part after a wrong stream is not penalised. Cannot be scored without a trace, or where the answer is
    no number.
    """

    SCOPES: ClassVar[frozenset[Scope]] = frozenset({Scope.DEEP})
    NEEDS_THOUGHTS: ClassVar[bool] = True
    margin: ClassVar[float] = 0.0  # a wrong answer may have 1, too, but no right one has less

    def measure(self, scored: ScoredRollout, *_: object) -> RewardValue:
        """Compare the answer's distance from the thoughts' last number with the gold answer's."""
        episode, rollout = scored.episode, scored.rollout
        if not episode.thoughts or episode.answer_type is not AnswerType.NUMBER:
            return RewardValue(None)
        if scored.right:
            return RewardValue(1.0)
        answer = _number(rollout.answer) if rollout.ending is Ending.ANSWERED else None
        gold = _number(episode.answer)
        if answer is None or gold is None:
            return RewardValue(0.0)
        start, gold_start = latest_number(rollout.thoughts), latest_number(episode.thoughts)
        return RewardValue(float(answer - (start or 0) == gold - (gold_start or 0)))


def _number(text: str | None) -> Fraction | None:
    """A number, if that is what the text's answer is."""
    answer = None if text is None else extract(text, AnswerType.NUMBER)
    try:
        return None if answer is None else Fraction(answer.value)
    except ValueError:
        return None  # LaTeX


def _changes(thoughts: Sequence[str]) -> list[Fraction | None]:
    """The step of each thought from the last number before it, at first from 0."""
    changes: list[Fraction | None] = []
    before = Fraction(0)
    for value in last_numbers(thoughts):
        changes.append(None if value is None else Fraction(value) - before)
        before = before if value is None else Fraction(value)
    return changes
