"""What every layout gives: the turns of a rollout for engines, and whole token sequences for training.

    >>> for turn in layout.turns(episode, Mode.STREAMING):
    ...     feed(turn.token_ids)
    ...     if turn.writes is not Phase.READ:
    ...         sample_until_it_ends()

Nothing outside a layout knows which one it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adasr_trl.episode import Episode
from adasr_trl.files import UserError
from adasr_trl.protocol import Markers, Mode, Phase, first_marker


@dataclass(frozen=True)
class Turn:
    """Tokens given to the model, and what it writes behind them (READ: nothing, the next turn follows)."""

    token_ids: tuple[int, ...]
    chunk: int
    writes: Phase


@dataclass(frozen=True)
class Encoded:
    """A whole trajectory as T tokens; fields as in ``rollout.Rollout``."""

    token_ids: tuple[int, ...]
    phases: tuple[Phase, ...]
    chunk_of_token: tuple[int, ...]
    prompt_length: int


def check_trace(episode: Episode, markers: Markers) -> None:
    """Refuse an episode that cannot be trained on: one without a trace, or with a marker in it (UserError)."""
    if episode.thoughts is None or episode.deep is None:
        raise UserError(
            f"episode {episode.id!r} has no trace (thoughts and deep); supervised training needs one."
        )
    for words in (*episode.thoughts, episode.deep, episode.answer):
        found = first_marker(words, markers)
        if found:
            raise UserError(
                f"episode {episode.id!r}: its trace holds the marker {found[0]!r}; "
                f"choose other markers or reject the row."
            )


class Layout(Protocol):
    """An episode's place in the context."""

    def turns(self, episode: Episode, mode: Mode) -> tuple[Turn, ...]:
        """What is given to the model, in order; the first turn is the prompt, the last one writes DEEP."""
        ...

    def encode(self, episode: Episode, mode: Mode) -> Encoded:
        """The episode with its teacher's trace, for supervised training; UserError without a trace."""
        ...

    def forced_end(self, phase: Phase) -> tuple[int, ...]:
        """What the engine inserts (READ) behind a segment that did not end itself."""
        ...
