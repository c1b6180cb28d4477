"""What every layout gives: the turns of a rollout for engines, and whole token sequences for training.

    >>> for turn in layout.turns(episode, Mode.STREAMING):
    ...     feed(turn.token_ids)
    ...     if turn.writes is not Phase.READ:
    ...         sample_until_it_ends()

Nothing outside a layout knows which one it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from adasr_trl.config.sections import LayoutName, StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import TAUGHT_MODES, Markers, Mode, Phase, first_marker
from adasr_trl.layouts.codec import Codec


class Stream(Enum):
    """Where a token lies: in the source, which attends to itself alone, or in a target written beside it.

    A layout with one stream has all its tokens, the written ones too, in SOURCE.
    """

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True)
class Turn:
    """Tokens given to the model, and what it writes behind them.

    Attributes:
        token_ids: The given tokens; none where the model only goes on writing.
        chunk: The chunk that given and written tokens belong to.
        writes: The phase of what is written; READ: nothing, the next turn follows.
        stream: Where given and written tokens lie.
        sees: How many source tokens a TARGET token of this turn sees.
    """

    token_ids: tuple[int, ...]
    chunk: int
    writes: Phase
    stream: Stream = Stream.SOURCE
    sees: int = 0


@dataclass(frozen=True)
class Encoded:
    """A whole trajectory as T tokens; fields as in ``rollout.Rollout``."""

    token_ids: tuple[int, ...]
    phases: tuple[Phase, ...]
    chunk_of_token: tuple[int, ...]
    prompt_length: int


class Trajectory(Protocol):
    """What of a trajectory decides who sees whom: a ``Rollout`` or an ``Encoded``."""

    @property
    def prompt_length(self) -> int:
        """Leading tokens that form the prompt."""
        ...

    @property
    def chunk_of_token(self) -> tuple[int, ...]:
        """The chunk of each token."""
        ...


class Layout(ABC):
    """An episode's place in the context: which turns it has, and who sees whom."""

    def __init__(self, streaming: StreamingConfig, codec: Codec) -> None:
        """Keep what turns text into ids."""
        self._streaming = streaming
        self._codec = codec

    @property
    def name(self) -> LayoutName:
        """Which one it is, for people."""
        return self._streaming.layout

    @abstractmethod
    def turns(self, episode: Episode, mode: Mode) -> tuple[Turn, ...]:
        """What is given to the model, in order; the last turn writes DEEP. UserError for an episode too long."""

    @abstractmethod
    def opening(self, question: str) -> tuple[Turn, ...]:
        """The turns before the first chunk of a live stream."""

    @abstractmethod
    def arrival(self, chunk: str, k: int, read: int) -> tuple[Turn, ...]:
        """The turns of the k-th chunk of a live stream, of which ``read`` source tokens were read before."""

    @abstractmethod
    def closing(self, count: int, read: int) -> tuple[Turn, ...]:
        """The turns behind the last of ``count`` chunks of a live stream; the last one writes DEEP."""

    @abstractmethod
    def prompt_length(self, turns: Sequence[Turn]) -> int:
        """How many leading tokens are the prompt in TRL's sense."""

    @abstractmethod
    def views(self, trajectory: Trajectory) -> tuple[int, ...] | None:
        """The view of each token (``views``); None where attention is plainly causal. (T)."""

    def encode(self, episode: Episode, mode: Mode) -> Encoded:
        """The episode with its teacher's trace, for supervised training; UserError without a trace."""
        if mode not in TAUGHT_MODES:
            raise UserError(
                f"mode: got {mode.value}, which models are measured in, never taught; use "
                f"{' or '.join(each.value for each in TAUGHT_MODES)}."
            )
        check_trace(episode, self._codec.markers)
        token_ids: list[int] = []
        phases: list[Phase] = []
        chunks: list[int] = []
        turns = self.turns(episode, mode)
        for turn in turns:
            written = _written(episode, turn, mode, self._codec)
            token_ids += turn.token_ids + written
            phases += [Phase.READ] * len(turn.token_ids) + [turn.writes] * len(written)
            chunks += [turn.chunk] * (len(turn.token_ids) + len(written))
        length = self.prompt_length(turns)
        return Encoded(tuple(token_ids), tuple(phases), tuple(chunks), length)

    def forced_end(self, phase: Phase) -> tuple[int, ...]:
        """What the engine inserts (READ) behind a segment that did not end itself: the marker that it lacks."""
        return self._codec.marker("thought_end" if phase is Phase.STREAM else "reasoning_end")

    def _skipped(self, turn: Turn) -> Turn:
        """A turn in which the skip marker is given in place of a thought."""
        ids = turn.token_ids + self._codec.marker("skip")
        return replace(turn, token_ids=ids, writes=Phase.READ)

    def _answering(self, turn: Turn) -> Turn:
        """The deep part's turn with its reasoning over before it began."""
        return replace(turn, token_ids=turn.token_ids + self._codec.marker("reasoning_end"))

    def _check_length(self, turns: Sequence[Turn], episode: Episode) -> None:
        """Refuse an episode whose given tokens are more than the cap (UserError)."""
        given, most = sum(len(turn.token_ids) for turn in turns), self._streaming.max_prompt_tokens
        if given > most:
            raise UserError(
                f"episode {episode.id!r}: its question and input have {given} tokens, more than "
                f"streaming.max_prompt_tokens = {most}; raise it or drop the episode."
            )


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


def _written(episode: Episode, turn: Turn, mode: Mode, codec: Codec) -> tuple[int, ...]:
    thoughts, deep = episode.thoughts or (), episode.deep or ""
    if turn.writes is Phase.STREAM:
        words = thoughts[turn.chunk].strip()
        if not words:
            return codec.marker("skip")
        return codec.encode_text(words) + codec.marker("thought_end")
    if turn.writes is Phase.DEEP:
        if mode is Mode.READ_THEN_THINK:
            deep = " ".join(part for part in (*thoughts, deep) if part.strip())
        return (
            codec.encode_text(deep.strip())
            + codec.marker("reasoning_end")
            + codec.encode_text(episode.answer.strip())
            + (codec.eos_id,)
        )
    return ()
