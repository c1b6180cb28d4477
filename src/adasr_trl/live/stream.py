"""One question and its input as it arrives: what is read and written because of it, as events with their times.

    >>> stream = reasoner.start("How many coins does Tom have?")       # StreamingReasoner's
    >>> for event in stream.feed("Tom has 5 coins. Tom finds 3") + stream.pause() + stream.finish():
    ...     event.kind, event.text, event.at

How text becomes chunks is in ``chunking``, what is fed and sampled in ``engines``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.sentences import SentenceStream
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.base import LiveEngine
from adasr_trl.layouts import Layout, Turn


class Kind(Enum):
    """What an event tells of."""

    READ = "read"
    THOUGHT = "thought"
    OUT_OF_POSITIONS = "out_of_positions"
    STOPPED = "stopped"
    DEEP = "deep"
    ANSWER = "answer"


@dataclass(frozen=True)
class Event:
    """Something that happened in a stream.

    Attributes:
        kind: What.
        text: The chunk as it was read, the thought's words ("" for a skip), the deep reasoning, or the answer ("" if
            there is none). Nothing more is read behind OUT_OF_POSITIONS (the stream is longer than the model can take)
            and STOPPED (a malformed thought where ``on_malformed`` is ``stop``); the text says so in words.
        ending: How what was written ended; None for READ.
        chunk: Which chunk it belongs to, from 0; how many there were for DEEP, ANSWER and the ends of reading.
        tokens: How many were written for it; for ANSWER all of the deep part up to the answer's value.
        at: When it had happened, in seconds of ``time.monotonic``: a chunk began to be read, the last token was written.
    """

    kind: Kind
    text: str
    ending: Ending | None = None
    chunk: int = 0
    tokens: int = 0
    at: float = field(default=0.0, compare=False)


class LiveStream:
    """One question and its input as it arrives.

    Attributes:
        token_seconds: When each token was written, in seconds of ``time.monotonic``.
        chunks: What was read so far, as it was cut.
        finished: Whether ``finish`` was called.
    """

    def __init__(
        self,
        engine: LiveEngine,
        layout: Layout,
        sampling: Sampling,
        request: Request,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        """Read the question."""
        self._engine, self._layout, self._sampling = engine, layout, sampling
        try:
            opening = layout.opening(request.episode.question)
            self._row, self._memory = engine.start_sequence(request, opening)
        except UserError as error:
            raise UserError(f"question: cannot be read ({error})") from error
        self._row.on_token = self._after_token
        self._on_event = on_event
        self._sentences = SentenceStream()
        self._events: list[Event] = []  # of the call at hand
        self._unread: deque[str] = deque()  # handed on, and not told of yet
        self._told = 0  # thoughts
        self._read_tokens = 0  # written before the segment at hand
        self._ended = False
        self._cancelled = False
        self.token_seconds: list[float] = []
        self.chunks: list[str] = []
        self.finished = False

    def feed(self, text: str) -> list[Event]:
        """More of the input; what was read and thought because of it, in order."""
        self._refuse_if_finished()
        return self._read(self._sentences.feed(text))

    def pause(self) -> list[Event]:
        """Nothing more comes for now: a sentence that stands at its stop is read without waiting for the next word."""
        self._refuse_if_finished()
        return self._read(self._sentences.pause())

    def cut(self) -> list[Event]:
        """A chunk ends here, whatever its words, such as at the end of a caption without punctuation."""
        self._refuse_if_finished()
        return self._read(self._sentences.cut())

    def read(self, chunk: str) -> list[Event]:
        """A whole chunk, cut by whoever sends it: it is read as it is, behind what is left of the text before it."""
        self._refuse_if_finished()
        rest, self._sentences = self._sentences.finish(), SentenceStream()
        return self._read((*rest, chunk) if chunk.strip() else rest)

    def finish(self) -> list[Event]:
        """The input has ended: read what is left, reason to the end, and answer."""
        self._refuse_if_finished()
        events = self._read(self._sentences.finish())
        self.finished = True
        if not self.chunks:
            raise UserError("the stream ended without any text; feed it before it is finished.")
        if not self._row.done:
            turns = self._layout.closing(len(self.chunks), self._row.source_tokens)
            self._row.extend(turns)
            self._engine.advance(self._row, self._memory, self._sampling)
        return events + self._answered()

    def cancel(self) -> None:
        """Write no more, from any thread; the call at hand returns behind the token that is being written."""
        self._cancelled = True
        self._row.cancel()

    @property
    def rollout(self) -> Rollout:
        """All tokens so far, in the order in which they were read and written."""
        return self._row.rollout()

    @property
    def reasoning_tokens(self) -> int | None:
        """Tokens of the deep part up to the end of its reasoning; None where that was not reached."""
        return self._row.reasoning_tokens

    @property
    def ended_early(self) -> bool:
        """Whether nothing more is read, whatever arrives."""
        return self._ended

    def _refuse_if_finished(self) -> None:
        if self.finished:
            raise UserError("the stream is finished; start another one.")

    def _read(self, chunks: Sequence[str]) -> list[Event]:
        """All that has arrived is read before anything is written, where the layout has a stream of its own for it."""
        self._events = []
        if not chunks or self._row.done:
            return self._events
        read = self._row.source_tokens
        turns: list[Turn] = []
        for chunk in chunks:
            turns += self._layout.arrival(chunk, len(self.chunks), read)
            read = turns[-1].sees
            self.chunks.append(chunk)
        self._unread.extend(chunks)
        self._tell_read()
        self._row.extend(sorted(turns, key=lambda turn: turn.writes is not Phase.READ))
        self._engine.advance(self._row, self._memory, self._sampling)
        while self._unread:
            self._tell_read()
        if self._row.done:
            self._tell_end()
        return self._events

    def _answered(self) -> list[Event]:
        """The last two events."""
        self._events = []
        rollout, count = self.rollout, len(self.chunks)
        deep = rollout.tokens_in(Phase.DEEP)
        reasoning = min(self.reasoning_tokens or deep, deep)
        times = self.token_seconds[len(self.token_seconds) - deep :] or [time.monotonic()]
        ends = (times[max(reasoning, 1) - 1], times[-1])
        self._tell(Event(Kind.DEEP, rollout.deep, rollout.ending, count, deep, ends[0]))
        answer, tokens = rollout.answer or "", min(rollout.answer_tokens, deep)
        self._tell(Event(Kind.ANSWER, answer, rollout.ending, count, tokens, ends[1]))
        return self._events

    def _after_token(self) -> None:
        self.token_seconds.append(time.monotonic())
        if len(self._row.thoughts) == self._told:
            return
        words, ending = self._row.thoughts[self._told]
        tokens = len(self.token_seconds) - self._read_tokens
        at = self.token_seconds[-1]
        self._tell(Event(Kind.THOUGHT, words, ending, self._told, tokens, at))
        self._told += 1
        self._read_tokens = len(self.token_seconds)
        if self._unread:
            self._tell_read()

    def _tell_read(self) -> None:
        chunk = len(self.chunks) - len(self._unread)
        event = Event(Kind.READ, self._unread.popleft(), chunk=chunk, at=time.monotonic())
        self._tell(event)

    def _tell_end(self) -> None:
        if self._ended or self._cancelled:
            return
        self._ended = True
        kind, words = Kind.STOPPED, "a thought was malformed, and streaming.on_malformed is stop"
        if self._row.ending is Ending.OUT_OF_TOKENS:
            kind, words = Kind.OUT_OF_POSITIONS, "the input is longer than the model's positions"
        self._tell(Event(kind, words, self._row.ending, len(self.chunks), at=time.monotonic()))

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if self._on_event is not None:
            self._on_event(event)
