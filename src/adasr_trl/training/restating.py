"""Traces that copy each sentence before the thought on it, for read-then-think.

    >>> restated(episode).thoughts
    ('Tom has 5 hens. 5', '', 'He buys 3. 5 + 3 = 8')

Teachers that think after the input often restate it. The copies bring each fact next to the work on it, at the price of
a longer deep part.
"""

from __future__ import annotations

from dataclasses import replace

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode
from adasr_trl.training.data import Data, Texts
from adasr_trl.training.episode_checks import Limits, fitting_only

_WAY_OUT = "Shorten them, take a model with more positions, or train without restate"


def restated_data(texts: Texts, positions: int | None) -> Data:
    """All episodes restated.

    Args:
        texts: The episodes, with codec and layout.
        positions: Most tokens of a sequence, None without limit.

    Raises:
        UserError: An episode that its copies make too long, or whose input holds a marker.
    """
    data = Data([restated(e) for e in texts.data.train], [restated(e) for e in texts.data.held_out])
    limits = Limits(texts.streaming.max_prompt_tokens, positions)
    for part in (data.train, data.held_out):
        fitting_only(
            part, texts.layout, texts.codec, limits, "refuse", Mode.READ_THEN_THINK, _WAY_OUT
        )
    return data


def restated(episode: Episode) -> Episode:
    """The episode with each sentence that has a thought written before that thought."""
    pairs = zip(episode.chunks, episode.thoughts or (), strict=True)
    thoughts = (f"{chunk.strip()} {thought}" if thought.strip() else "" for chunk, thought in pairs)
    return replace(episode, thoughts=tuple(thoughts))
