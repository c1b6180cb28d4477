"""Reward functions of one's own, in both forms.

>>> HRPOTrainer(model, [*..., {"name": brief, "scope": "deep", "weight": 0.1}, {"name": counts, "scope": "streaming"}])

A reward has a scope, the part of a rollout that it judges: ``streaming`` (the thoughts), ``deep`` or ``global``.
"""

from __future__ import annotations

from typing import Any

from adasr_trl import Episode, Rollout


def brief(completions: list[str], **_columns: Any) -> list[float]:
    """TRL's form: the text that the model wrote in the scope, and every column of the row, as lists."""
    return [1.0 / (1 + len(text.split())) for text in completions]


def counts(rollout: Rollout, episode: Episode) -> list[float]:
    """A form of its own: the whole rollout, here with one number for each chunk.

    A thought should hold a number where its chunk holds one, and be skipped where there is none.
    """
    thoughts = [*rollout.thoughts, *[""] * (len(episode.chunks) - len(rollout.thoughts))]
    pairs = zip(episode.chunks, thoughts, strict=True)
    return [float(has_digit(chunk) == has_digit(thought)) for chunk, thought in pairs]


def has_digit(text: str) -> bool:
    """Whether a text holds a digit."""
    return any(character.isdigit() for character in text)
