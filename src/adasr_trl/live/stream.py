"""One question and its input as it arrives: reading and writing as events with their times.

    >>> stream = reasoner.start("How many coins does Tom have?")       # a StreamingReasoner
    >>> for event in stream.feed("Tom has 5 coins. Tom finds 3") + stream.pause() + stream.finish():
    ...     event.kind, event.text, event.at

Cutting of text into chunks is in ``core.chunking``, prefill and decoding in ``engines``. Markers never reach an event's
text; only a chunk of the input may contain one, as plain text.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import (
    Ending,
    Mode,
    Phase,
    first_marker,
    thought_text,
    without_partial_marker,
)
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.sentences import SentenceStream
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.base import SequenceEngine
from adasr_trl.layouts import Layout, Turn


class EventKind(Enum):
    """Kind of an event."""

    READ = "read"
    THOUGHT = "thought"
    OUT_OF_POSITIONS = "out_of_positions"
    OUT_OF_MEMORY = "out_of_memory"
    STOPPED = "stopped"
    FAILED = "failed"
    DEEP = "deep"
    ANSWER = "answer"


EARLY_ENDS = {  # nothing more is read behind these
    EventKind.OUT_OF_POSITIONS: "the input is longer than the model's positions",
    EventKind.OUT_OF_MEMORY: "the stream is longer than its share of the cache",
    EventKind.STOPPED: "a thought was malformed, and streaming.on_malformed is stop",
    EventKind.FAILED: "the server failed",
}


@dataclass(frozen=True)
class Event:
    """One step of a live stream.

    Attributes:
        kind: Its kind.
        text: The chunk, the thought, the deep reasoning or the answer, without markers; "" for a skip or a missing
            answer. For OUT_OF_POSITIONS, OUT_OF_MEMORY, STOPPED and FAILED: the reason in words.
        ending: Ending of the written segment; None for READ.
        chunk: Index of the chunk, from 0; the number of chunks for all kinds but READ and THOUGHT.
        tokens: Number of written tokens; for ANSWER the deep tokens up to the end of the answer's value.
        at: Seconds of ``time.monotonic``: start of reading, or last written token. Never decreases in a stream.
    """

    kind: EventKind
    text: str
    ending: Ending | None = None
    chunk: int = 0
    tokens: int = 0
    at: float = field(default=0.0, compare=False)


class LiveStream:
    """One question and its input as it arrives.

    Attributes:
        token_seconds: Time of each written token, in seconds of ``time.monotonic``.
        chunks: The chunks so far.
        open_text: Input behind the last chunk; its sentence has no end yet.
        finished: Whether ``finish`` was called.
        ended_early: Reason for an end of reading before that of the input; "" without one.
        answered: Whether the last event was emitted.
        on_draft: Called after each token with the kind of the part at hand, a thought, the deep reasoning or the answer,
            and its words so far.
        memory: The engine's place for its keys and values.
    """

    def __init__(
        self,
        engine: SequenceEngine,
        layout: Layout,
        sampling: Sampling,
        request: Request,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._engine, self._layout, self._sampling = engine, layout, sampling
        try:
            opening = layout.opening(request.episode.question)
            self._sequence, self.memory = engine.start_sequence(request, opening)
        except UserError as error:
            raise UserError(f"question: cannot be read ({error})") from error
        self._sequence.on_token = self._after_token
        self._on_event = on_event or (lambda _: None)
        self._sentences = SentenceStream()
        self._events: list[Event] = []  # of the current call
        self._unread: deque[str] = deque()  # chunks in the engine without their READ event
        self._thought_events = 0
        self._segment_start = 0  # index into token_seconds
        self.token_seconds: list[float] = []
        self.chunks: list[str] = []
        self.open_text = self.ended_early = ""
        self.finished = self.answered = self._cancelled = False
        self.on_draft: Callable[[EventKind, str], None] | None = None

    def feed(self, text: str) -> list[Event]:
        """Take more of the input; return the events that it causes, in order."""
        _check_text("feed", text)
        sentences = self._open_sentences()
        self.open_text += text
        return self._take(sentences.feed(text))

    def pause(self) -> list[Event]:
        """End of the input for now: a sentence that stands at its stop is read without its next word."""
        return self._take(self._open_sentences().pause())

    def cut(self) -> list[Event]:
        """End of a chunk, whatever its words, such as a caption without punctuation."""
        return self._take(self._open_sentences().cut())

    def read(self, chunk: str) -> list[Event]:
        """Read the open text, then a whole chunk as it is."""
        _check_text("read", chunk)
        rest, self._sentences = self._open_sentences().finish(), SentenceStream()
        self.open_text = ""
        return self._read((*rest, chunk) if chunk.strip() else rest)

    def finish(self) -> list[Event]:
        """End of the input: read the open text, reason, and answer."""
        events = self._take(self._open_sentences().finish())
        self.finished = True
        if not self.chunks:
            raise UserError("the stream ended without any text; feed it before it is finished.")
        self._events = []
        if not self._sequence.done:
            turns = self._layout.closing(len(self.chunks), self._sequence.source_tokens)
            self._sequence.extend(turns)
            self._engine.advance(self._sequence, self.memory, self._sampling)
        self.settle()
        return events + self._events

    def rewind(self, chunks: int) -> None:
        """Take back the input from this chunk on, its end and the open text too, with all thoughts behind them.

        What stays is not read again; the stream goes on as if the rest had never arrived.
        """
        unread = max(len(self._unread) - len(self.chunks[chunks:]), 0)
        self._unread = deque(list(self._unread)[:unread])
        del self.chunks[chunks:]
        self._sequence.rewind_to(chunks)
        self._thought_events = min(self._thought_events, len(self._sequence.thoughts))
        del self.token_seconds[self._sequence.sampled_tokens :]
        self._segment_start = min(self._segment_start, len(self.token_seconds))
        self._sentences, self.open_text = SentenceStream(), ""
        self.finished = self.answered = False

    def settle(self) -> None:
        """Emit the events that are certain: of use where the engine advances later than it is asked to."""
        if not (self._sequence.waiting or self._sequence.done):
            return
        self._emit_thoughts()
        while self._unread:
            self._emit_read()
        if self._sequence.done and self._sequence.turn.writes is not Phase.DEEP:
            self._emit_early_end()
        if self._sequence.done and self.finished and not self.answered:
            self._emit_answer()

    def cancel(self) -> None:
        """Stop writing, from any thread; the current call returns behind the current token."""
        self._cancelled = True
        self._sequence.cancel()

    def fail(self, reason: str) -> None:
        """End reading and writing, for a reason outside of the stream."""
        self.cancel()
        self.ended_early = reason
        self._emit(Event(EventKind.FAILED, reason, chunk=len(self.chunks), at=time.monotonic()))
        self.settle()

    @property
    def rollout(self) -> Rollout:
        """All tokens so far, in the order of reading and writing."""
        return self._sequence.rollout()

    @property
    def reasoning_tokens(self) -> int | None:
        """Deep tokens up to the end of the reasoning; None before that end."""
        return self._sequence.reasoning_tokens

    @property
    def failure(self) -> str | None:
        """Reason for the lack of an answer, in words; None for an answered stream."""
        rollout, markers = self.rollout, self._layout.markers
        if rollout.ending is Ending.ANSWERED:
            return None
        if self.ended_early:
            return self.ended_early
        if rollout.ending is Ending.OUT_OF_TOKENS:
            return "the deep part was cut off at the token limit"
        if first_marker(rollout.deep, markers):
            return "malformed: a marker inside the reasoning"
        if first_marker(rollout.answer or "", markers):
            return "malformed: a marker inside the answer"
        return "malformed: no answer behind the reasoning"

    def _open_sentences(self) -> SentenceStream:
        if self.finished:
            raise UserError("the stream is finished; start another one.")
        return self._sentences

    def _take(self, chunks: Sequence[str]) -> list[Event]:
        self.open_text = self.open_text[sum(map(len, chunks)) :]
        return self._read(chunks)

    def _read(self, chunks: Sequence[str]) -> list[Event]:
        """Read chunks and write their thoughts; a source stream of its own is read before the first token is written."""
        self._events = []
        if not chunks or self._sequence.done:
            return self._events
        read = self._sequence.source_tokens
        turns: list[Turn] = []
        for chunk in chunks:
            turns += self._layout.arrival(chunk, len(self.chunks), read)
            read = turns[-1].sees
            self.chunks.append(chunk)
        self._unread.extend(chunks)
        if len(self.chunks) - len(self._unread) == self._thought_events:  # no thought is due
            self._emit_read()
        self._sequence.extend(sorted(turns, key=lambda turn: turn.writes is not Phase.READ))
        self._engine.advance(self._sequence, self.memory, self._sampling)
        self.settle()
        return self._events

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens so far, and those in the engine's memory."""
        return self._sequence.tokens, self._sequence.fed_tokens

    @property
    def given_tokens(self) -> tuple[int, int]:
        """Number of tokens of the input so far, and those in the engine's memory."""
        return self._sequence.given_tokens

    @property
    def deep_tokens(self) -> int:
        """Number of written tokens behind the input."""
        return self.rollout.tokens_in(Phase.DEEP)

    @property
    def thought_index(self) -> int:
        """Chunk of the thought at hand; the number of chunks behind the last one."""
        return self._thought_events

    def _emit_answer(self) -> None:
        """The last two events."""
        self.answered = True
        rollout, count, markers = self.rollout, len(self.chunks), self._layout.markers
        deep = rollout.tokens_in(Phase.DEEP)
        reasoning = min(self.reasoning_tokens or deep, deep)
        times = self.token_seconds[len(self.token_seconds) - deep :] or [time.monotonic()]
        for kind, text, tokens, at in (
            (EventKind.DEEP, rollout.deep, deep, times[max(reasoning, 1) - 1]),
            (EventKind.ANSWER, rollout.answer or "", min(rollout.answer_tokens, deep), times[-1]),
        ):
            words = thought_text(text, markers)
            self._emit(Event(kind, words, rollout.ending, count, tokens, at))

    def _after_token(self) -> None:
        self.token_seconds.append(time.monotonic())
        if len(self._sequence.thoughts) > self._thought_events:
            self._emit_thoughts()
        elif self.on_draft is not None:
            self.on_draft(*self._draft())

    def _draft(self) -> tuple[EventKind, str]:
        """The part at hand, and its words so far."""
        text, markers = self._sequence.segment_text, self._layout.markers
        if self._sequence.turn.writes is Phase.STREAM:
            return EventKind.THOUGHT, without_partial_marker(text, markers)
        reasoning, marker, answer = text.partition(markers.reasoning_end)
        if marker:
            return EventKind.ANSWER, without_partial_marker(answer, markers)
        return EventKind.DEEP, without_partial_marker(reasoning, markers)

    def _emit_thoughts(self) -> None:
        if len(self._sequence.thoughts) == self._thought_events:
            return
        words, ending = self._sequence.thoughts[self._thought_events]
        tokens = len(self.token_seconds) - self._segment_start
        at = self.token_seconds[-1] if self.token_seconds else time.monotonic()
        self._emit(Event(EventKind.THOUGHT, words, ending, self._thought_events, tokens, at))
        self._thought_events += 1
        self._segment_start = len(self.token_seconds)
        if self._unread:
            self._emit_read()

    def _emit_read(self) -> None:
        chunk = len(self.chunks) - len(self._unread)
        text = self._unread.popleft()
        self._emit(Event(EventKind.READ, text, chunk=chunk, at=time.monotonic()))

    def _emit_early_end(self) -> None:
        if self.ended_early or self._cancelled:
            return
        ending, chunk = self._sequence.ending, len(self.chunks)
        is_full = ending is Ending.OUT_OF_TOKENS
        kind = EventKind.OUT_OF_POSITIONS if is_full else EventKind.STOPPED
        if is_full and self._sequence.is_out_of_memory:
            kind = EventKind.OUT_OF_MEMORY
        self.ended_early = EARLY_ENDS[kind]
        self._emit(Event(kind, self.ended_early, ending, chunk, at=time.monotonic()))

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        self._on_event(event)


def live_request(
    question: str, chunks: Sequence[str], seed: int, mode: Mode = Mode.STREAMING
) -> Request:
    """A request with an episode in name only: a live stream's chunks and answer are not known yet.

    Raises:
        UserError: A blank question, or what is no text.
    """
    for text in (question, *chunks):
        _check_text("question" if text is question else "chunks", text)
    if not question.strip():
        raise UserError("question: got nothing; expected the question.")
    source = Source("live", "live", "live", "live")
    texts = (question, tuple(chunks), "unknown")
    return Request(Episode("live", "live", *texts, AnswerType.TEXT, source), seed, mode)


def _check_text(name: str, value: object) -> None:
    """Refuse bytes, None and other values where text is expected (UserError)."""
    if not isinstance(value, str):
        way_out = (
            "; decode it first, as in data.decode('utf-8')" if isinstance(value, bytes) else ""
        )
        raise UserError(f"{name}: got {type(value).__name__}; expected text (str){way_out}.")
