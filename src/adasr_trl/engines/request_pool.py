"""Live sequences that a completion server writes: one request in flight each, all from one thread's point of view.

Each request waits in a thread of its own and touches nothing but the network. The thread that calls ``step`` takes in
what has come, and asks for the next segments. The server's prefix cache does the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.engines.pool import PoolCounts
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.layouts.base import Turn


@dataclass
class Asked:
    """Request for one segment.

    Attributes:
        prompt: All token ids so far.
        settings: Of the sampling, under the server's names.
        phase: Phase of the segment.
        cancelled: Whether nobody waits for it any more; set from any thread.
    """

    prompt: tuple[int, ...]
    settings: Mapping[str, object]
    phase: Phase
    cancelled: bool = False


@dataclass(frozen=True)
class Written:
    """A segment from a server: its text, its token ids if the server told them, and whether the model ended it."""

    text: str
    token_ids: tuple[int, ...]
    eos: bool


class Writer(Protocol):
    """A server's client; ``CompletionEngine``."""

    def start_sequence(
        self, request: Request, turns: Sequence[Turn], /
    ) -> tuple[SequenceState, None]:
        """A sequence."""
        ...

    def ask(self, state: SequenceState, sampling: Sampling) -> Asked:
        """The request for the segment at hand."""
        ...

    def write(self, asked: Asked) -> Written:
        """Wait for the server; called in threads."""
        ...

    def token_ids(self, written: Written) -> tuple[int, ...]:
        """Token ids of a segment."""
        ...


@dataclass(eq=False)
class Ticket:
    """A sequence's request in flight, if there is one."""

    state: SequenceState
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.0))
    asked: Asked | None = None
    future: Future[Written] | None = None


class RequestPool:
    """See the module; a ``PooledEngine``.

    Attributes:
        max_streams: Sequences that it takes at most; so many requests are in flight.
        counts: Requests, given tokens and written ones so far.
        on_ready: Called from any thread once an answer has come.
        cache_bytes: 0, for the cache is the server's.
    """

    cache_bytes = 0

    def __init__(self, writer: Writer, max_streams: int) -> None:
        self._writer, self.max_streams = writer, max_streams
        self._threads = ThreadPoolExecutor(max_streams, thread_name_prefix="adasr-request")
        self._tickets: list[Ticket] = []
        self.counts = PoolCounts()
        self.on_ready: Callable[[], None] = lambda: None

    def start_sequence(
        self, request: Request, turns: Sequence[Turn], /
    ) -> tuple[SequenceState, Ticket]:
        """A sequence, and its place."""
        state, _ = self._writer.start_sequence(request, turns)
        ticket = Ticket(state)
        self._tickets.append(ticket)
        return state, ticket

    def advance(self, state: SequenceState, ticket: Ticket, sampling: Sampling, /) -> None:
        """Let the next steps ask for what is to be written; returns at once."""
        del state
        ticket.sampling = sampling

    def release(self, ticket: Ticket) -> None:
        """Forget a sequence; its request is closed at the next piece."""
        self._cancel(ticket)
        self._tickets.remove(ticket)

    def step(self) -> dict[Ticket, UserError | None]:
        """Take in all answers that have come, and ask for the next segments."""
        moved: dict[Ticket, UserError | None] = {}
        for ticket in self._tickets:
            if ticket.future and ticket.asked and ticket.state.take_all() != ticket.asked.prompt:
                self._cancel(ticket)  # the sequence was rewound
            if ticket.future and ticket.future.done():
                moved[ticket] = self._take_in(ticket)
            if not (ticket.future or ticket.state.waiting or ticket.state.done):
                self._ask(ticket)
        return moved

    def close(self) -> None:
        """End all threads; requests in flight are closed at their next piece."""
        for ticket in self._tickets:
            self._cancel(ticket)
        self._threads.shutdown()

    def _ask(self, ticket: Ticket) -> None:
        given = ticket.state.pending
        ticket.asked = asked = self._writer.ask(ticket.state, ticket.sampling)
        self.counts.steps += 1
        self.counts.read_tokens += given
        ticket.future = self._threads.submit(self._writer.write, asked)
        ticket.future.add_done_callback(lambda _: self.on_ready())

    def _take_in(self, ticket: Ticket) -> UserError | None:
        assert ticket.future is not None
        future, state = ticket.future, ticket.state
        ticket.future = ticket.asked = None
        before = state.sampled_tokens
        try:
            token_ids = self._writer.token_ids(future.result())
            state.accept_segment(token_ids, [None] * len(token_ids))
        except Exception as error:  # of one stream: the others go on
            state.cancel()
            return error if isinstance(error, UserError) else UserError(f"the server: {error}")
        self.counts.written_tokens += state.sampled_tokens - before
        return None

    def _cancel(self, ticket: Ticket) -> None:
        if ticket.asked:
            ticket.asked.cancelled = True
        ticket.asked = ticket.future = None
