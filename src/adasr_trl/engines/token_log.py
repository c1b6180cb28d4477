"""The tokens of one rollout in the order in which they are fed, each with its position and its view.

    >>> tape = Tape()
    >>> tape.append(token_id, Phase.READ, turn)

What they mean is in ``row``; what a view is, in ``layouts.views``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from adasr_trl.core.protocol import Phase
from adasr_trl.layouts.base import Stream, Turn


@dataclass
class Tape:
    """Tokens so far, in the order in which they are fed; what was fed stays."""

    token_ids: list[int] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    views: list[int] = field(default_factory=list)
    source: int = 0  # tokens in the source stream

    def append(self, token_id: int, phase: Phase, turn: Turn, logprob: float = 0.0) -> None:
        """Put a token behind those of its stream."""
        at = len(self.token_ids)
        if turn.stream is Stream.TARGET:
            position, view = at - self.source, -turn.sees
        else:
            position, view = self.source, self.source + 1
            self.source += 1
            if self.views and self.views[-1] < 0:
                at -= 1  # live: the target's last token, not fed yet, waits for what has arrived
        self.positions.insert(at, position)
        self.views.insert(at, view)
        self.token_ids.insert(at, token_id)
        self.phases.insert(at, phase)
        self.chunks.insert(at, turn.chunk)
        self.logprobs.insert(at, logprob)

    def read_before_feeding(self, turn: Turn) -> None:
        """The last token, not fed yet, sees what has been read by then."""
        if turn.stream is Stream.TARGET and self.views[-1] < 0:
            self.views[-1] = -turn.sees


@dataclass(frozen=True)
class Fed:
    """Tokens to feed, each with its position id and its view (``layouts.views``)."""

    token_ids: tuple[int, ...]
    positions: tuple[int, ...]
    views: tuple[int, ...]
