"""Interface of layouts: the turns of a rollout for engines, and whole token sequences for training.

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
from itertools import accumulate, pairwise
from typing import Any

from adasr_trl.config.sections import LayoutName, StreamingConfig
from adasr_trl.core.chunking import chunk_as_read, text_as_read
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import TAUGHT_MODES, Markers, Mode, Phase, first_marker
from adasr_trl.core.rollout import Rollout
from adasr_trl.layouts.codec import Codec


class Stream(Enum):
    """Stream of a token: the source, which attends to itself alone, or a target written beside it.

    A layout with one stream has all its tokens in SOURCE, written ones too.
    """

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True)
class Turn:
    """Tokens given to the model, and the segment that it writes behind them.

    Attributes:
        token_ids: The given tokens; none where the model only goes on writing.
        chunk: The chunk of given and written tokens.
        writes: The segment's phase; with READ nothing is written, and the next turn follows.
        stream: The stream of given and written tokens.
        sees: Number of source tokens that a TARGET token of this turn sees.
    """

    token_ids: tuple[int, ...]
    chunk: int
    writes: Phase
    stream: Stream = Stream.SOURCE
    sees: int = 0


@dataclass(frozen=True)
class Encoded:
    """A whole trajectory as T tokens; fields as in ``core.rollout.Rollout``."""

    token_ids: tuple[int, ...]
    phases: tuple[Phase, ...]
    chunk_of_token: tuple[int, ...]
    prompt_length: int


Trajectory = Encoded | Rollout


class Layout(ABC):
    """An episode's place in the context: its turns, and which tokens see which."""

    def __init__(self, streaming: StreamingConfig, codec: Codec) -> None:
        self._streaming = streaming
        self._codec = codec

    @property
    def name(self) -> LayoutName:
        """Its name in the configuration."""
        return self._streaming.layout

    @property
    def markers(self) -> Markers:
        """The run's markers."""
        return self._codec.markers

    @abstractmethod
    def opening(self, question: str) -> tuple[Turn, ...]:
        """The turns before the first chunk of a live stream."""

    @abstractmethod
    def arrival(self, chunk: str, k: int, read: int) -> tuple[Turn, ...]:
        """The turns of a live stream's k-th chunk, behind ``read`` source tokens."""

    @abstractmethod
    def closing(self, count: int, read: int) -> tuple[Turn, ...]:
        """The turns behind the last of ``count`` chunks of a live stream; the last one writes DEEP."""

    @abstractmethod
    def prompt_length(self, turns: Sequence[Turn]) -> int:
        """Number of leading tokens that are the prompt in TRL's sense."""

    @abstractmethod
    def visibility(self, trajectory: Trajectory) -> tuple[int, ...] | None:
        """The visibility of each token (``layouts.visibility``), (T); None for causal attention."""

    def turns(self, episode: Episode, mode: Mode) -> tuple[Turn, ...]:
        """All turns in feeding order, the source stream before the target; the last one writes DEEP.

        Raises:
            UserError: The given tokens are more than ``streaming.max_prompt_tokens``.
        """
        turns = self._chat_turns(episode) if mode is Mode.ZERO_SHOT else self._turns(episode, mode)
        given, most = sum(len(turn.token_ids) for turn in turns), self._streaming.max_prompt_tokens
        if given > most:
            raise UserError(
                f"episode {episode.id!r}: its question and input have {given} tokens, more than "
                f"streaming.max_prompt_tokens = {most}; raise it or drop the episode."
            )
        target = [turn for turn in turns if turn.stream is Stream.TARGET]
        # A thought's turn has no tokens of its own: where none is written, nothing is left of it.
        target = [turn for turn in target if turn.token_ids or turn.writes is not Phase.READ]
        return (*(turn for turn in turns if turn.stream is Stream.SOURCE), *target)

    def _turns(self, episode: Episode, mode: Mode) -> list[Turn]:
        turns = [*self.opening(episode.question)]
        for k, chunk in enumerate(episode.chunks):
            turns += self.arrival(chunk, k, turns[-1].sees)
        turns += self.closing(len(episode.chunks), turns[-1].sees)
        return [self._in_mode(turn, mode, deep=turns[-1]) for turn in turns]

    def _chat_turns(self, episode: Episode) -> list[Turn]:
        """One user message: instruction, input and question, each token in the turn of the chunk that it ends in.

        The message is tokenised whole, as the model knows text. So a clock reads the input as it arrives, and the question
        behind it.
        """
        instruction = self._streaming.instruction
        chunks = [chunk_as_read(chunk, is_first=k == 0) for k, chunk in enumerate(episode.chunks)]
        before = f"{instruction}\n\n" if instruction else ""
        question = text_as_read(episode.question)
        message = f"{before}{''.join(chunks)}" + (f"\n\n{question}" if question else "")
        opening, ids, behind = self._codec.message_parts(message)
        shift = len(self._codec.decode(ids)) - len(message)  # some tokenizers begin with a space
        lengths = accumulate(map(len, [before, *chunks]))
        ends = [self._codec.tokens_until(ids, shift + n) if n else 0 for n in lengths]
        parts = [ids[start:end] for start, end in pairwise((0, *ends, len(ids)))]
        last = len(chunks)
        return [
            Turn(opening + parts[0], -1, Phase.READ),
            *(Turn(part, k, Phase.READ) for k, part in enumerate(parts[1:-1])),
            Turn(parts[-1] + behind, last, Phase.DEEP),
        ]

    def encode(self, episode: Episode, mode: Mode, turns: Sequence[Turn] | None = None) -> Encoded:
        """The episode with its teacher's trace, for supervised training; UserError without a trace that the mode needs.

        ``turns`` are those of the episode and mode, where they are known already.
        """
        if mode not in TAUGHT_MODES:
            raise UserError(
                f"mode: got {mode.value}, which models are measured in, never taught; use "
                f"{' or '.join(taught.value for taught in TAUGHT_MODES)}."
            )
        has_trace = episode.thoughts is not None and episode.deep is not None
        if not has_trace and not mode.answers_at_once:
            raise UserError(
                f"episode {episode.id!r} has no trace (thoughts and deep); supervised training needs one."
            )
        check_markers_in_trace(episode, self._codec.markers)
        token_ids: list[int] = []
        phases: list[Phase] = []
        chunks: list[int] = []
        turns = turns or self.turns(episode, mode)
        for turn in turns:
            written = self._written(episode, turn, mode)
            token_ids += turn.token_ids + written
            phases += [Phase.READ] * len(turn.token_ids) + [turn.writes] * len(written)
            chunks += [turn.chunk] * (len(turn.token_ids) + len(written))
        length = self.prompt_length(turns)
        return Encoded(tuple(token_ids), tuple(phases), tuple(chunks), length)

    def ended_after(self, trajectory: Trajectory, count: int, deep: tuple[int, ...]) -> Encoded:
        """A trajectory as if its stream had ended after ``count`` chunks and their thoughts; all else is given.

        Args:
            trajectory: A rollout, or an encoded trace.
            count: Number of chunks that stay.
            deep: Token ids of the deep part.
        """
        *source_end, opening = self.closing(count, 0)
        ended = tuple(token_id for turn in source_end for token_id in turn.token_ids)
        chunks, cut = trajectory.chunk_of_token, trajectory.prompt_length
        before = [i for i in range(cut) if chunks[i] < count]
        behind = [i for i in range(cut, len(chunks)) if chunks[i] < count]
        given = opening.token_ids + deep

        def joined(column: Sequence[Any], of_ended: Sequence[Any], of_given: Sequence[Any]) -> Any:
            return (
                *(column[i] for i in before),
                *of_ended,
                *(column[i] for i in behind),
                *of_given,
            )

        return Encoded(
            token_ids=joined(trajectory.token_ids, ended, given),
            phases=joined(trajectory.phases, [Phase.READ] * len(ended), [Phase.READ] * len(given)),
            chunk_of_token=joined(chunks, [count] * len(ended), [count] * len(given)),
            prompt_length=len(before) + len(ended),
        )

    def forced_end(self, phase: Phase) -> tuple[int, ...]:
        """The marker that an engine gives (READ) behind a segment without one of its own."""
        return self._codec.marker("thought_end" if phase is Phase.STREAM else "reasoning_end")

    def _in_mode(self, turn: Turn, mode: Mode, deep: Turn) -> Turn:
        """A turn of the streaming mode as another mode has it; ``deep`` is the last turn."""
        if mode.reads_first and turn is not deep:
            turn = replace(turn, writes=Phase.READ)
            if turn.stream is Stream.TARGET:  # the header is written once all was read
                turn = replace(turn, chunk=deep.chunk, sees=deep.sees)
        elif mode is Mode.FORCED_SKIP and turn.writes is Phase.STREAM:
            ids = turn.token_ids + self._codec.marker("skip")
            turn = replace(turn, token_ids=ids, writes=Phase.READ)
        elif mode.answers_at_once and turn is deep:
            turn = replace(turn, token_ids=turn.token_ids + self._codec.marker("reasoning_end"))
        return turn

    def _written(self, episode: Episode, turn: Turn, mode: Mode) -> tuple[int, ...]:
        """The segment behind a turn as the teacher wrote it."""
        codec, thoughts, deep = self._codec, episode.thoughts or (), episode.deep or ""
        if turn.writes is Phase.READ:
            return ()
        if turn.writes is Phase.STREAM:
            words = codec.encode_text(thoughts[turn.chunk].strip())
            return words + codec.marker("thought_end") if words else codec.marker("skip")
        answer = (*codec.encode_text(episode.answer.strip()), codec.eos_id)
        if mode.answers_at_once:
            return answer
        if mode is Mode.READ_THEN_THINK:
            deep = " ".join(part for part in (*thoughts, deep) if part.strip())
        return codec.encode_text(deep.strip()) + codec.marker("reasoning_end") + answer


def check_markers_in_trace(episode: Episode, markers: Markers) -> None:
    """Refuse a trace that holds a marker (UserError)."""
    for words in (*(episode.thoughts or ()), episode.deep or "", episode.answer):
        marker = first_marker(words, markers)
        if marker:
            raise UserError(
                f"episode {episode.id!r}: its trace holds the marker {marker[0]!r}; "
                f"choose other markers or reject the row."
            )
