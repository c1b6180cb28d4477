"""Tokens of one rollout in feeding order, each with its position and its visibility of the source.

    >>> log = TokenLog()
    >>> log.append(token_id, Phase.READ, turn)

Their meaning is in ``rollout_state``; visibility is explained in ``layouts.visibility``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from adasr_trl.core.protocol import Phase
from adasr_trl.layouts.base import Stream, Turn


@dataclass
class TokenLog:
    """Tokens so far: six lists with one entry a token. Tokens that were fed never move."""

    token_ids: list[int] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    visibility: list[int] = field(default_factory=list)
    source_tokens: int = 0

    def append(self, token_id: int, phase: Phase, turn: Turn, logprob: float = 0.0) -> None:
        """Append a token to its stream."""
        at = len(self.token_ids)
        if turn.stream is Stream.TARGET:
            position, visibility = at - self.source_tokens, -turn.sees
        else:
            position, visibility = self.source_tokens, self.source_tokens + 1
            self.source_tokens += 1
            if self.visibility and self.visibility[-1] < 0:
                # Live: the target's last token is not fed yet. It stays last, to see this one too.
                at -= 1
        self.positions.insert(at, position)
        self.visibility.insert(at, visibility)
        self.token_ids.insert(at, token_id)
        self.phases.insert(at, phase)
        self.chunks.insert(at, turn.chunk)
        self.logprobs.insert(at, logprob)

    def cut(self, chunk: int) -> int:
        """Remove the tokens of this chunk and of later ones; return the index of the first removed one, or the length."""
        kept = [n for n, each in enumerate(self.chunks) if each < chunk]
        first = next((n for n, index in enumerate(kept) if n != index), len(kept))
        columns: tuple[list[Any], ...] = (self.token_ids, self.phases, self.chunks)
        for column in (*columns, self.logprobs, self.positions, self.visibility):
            column[:] = [column[index] for index in kept]
        self.source_tokens = sum(visibility > 0 for visibility in self.visibility)
        return first

    def widen_last(self, turn: Turn) -> None:
        """Let the last target token, not fed yet, see the source up to ``turn`` (``boundary: fed``)."""
        if turn.stream is Stream.TARGET and self.visibility and self.visibility[-1] < 0:
            self.visibility[-1] = -turn.sees


@dataclass(frozen=True)
class StepInputs:
    """One sequence's tokens for a forward, each with its position id and visibility."""

    token_ids: tuple[int, ...]
    positions: tuple[int, ...]
    visibility: tuple[int, ...]
