"""Live sequences that a completion server writes: one request in flight each, all from one thread's point of view.

Each request waits in a thread of its own and touches nothing but the network. The thread that calls ``step`` takes in
what has come, and asks for the next segments. The server's prefix cache does the reading.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.engines.completion_server import Line
from adasr_trl.engines.pool import PoolCounts
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.layouts.base import Turn

CLOSE_SECONDS = 2.0  # longest wait for threads whose connections were cut


@dataclass(frozen=True)
class Asked:
    """Request for one segment.

    Attributes:
        prompt: All token ids so far.
        settings: Of the sampling, under the server's names.
        phase: Phase of the segment.
        line: Its connection, which is cut where nobody waits for the segment any more.
    """

    prompt: tuple[int, ...]
    settings: Mapping[str, object]
    phase: Phase
    line: Line = field(default_factory=Line)


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
        self._threads: set[threading.Thread] = set()
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
        """Forget a sequence, and end its request."""
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
        """End all requests and their threads, within ``CLOSE_SECONDS``.

        A thread that still looks for the server's address by then is left to end with the process.
        """
        for ticket in self._tickets:
            self._cancel(ticket)
        end = time.monotonic() + CLOSE_SECONDS
        for thread in tuple(self._threads):
            thread.join(max(end - time.monotonic(), 0.0))

    def _ask(self, ticket: Ticket) -> None:
        given = ticket.state.pending
        ticket.asked = asked = self._writer.ask(ticket.state, ticket.sampling)
        self.counts.steps += 1
        self.counts.read_tokens += given
        ticket.future = future = Future[Written]()
        thread = threading.Thread(
            target=self._wait, args=(asked, future), name="adasr-request", daemon=True
        )
        self._threads.add(thread)
        thread.start()

    def _wait(self, asked: Asked, future: Future[Written]) -> None:
        """Of a request's thread."""
        try:
            future.set_result(self._writer.write(asked))
        except Exception as error:  # raised again where it is taken in
            future.set_exception(error)
        self._threads.discard(threading.current_thread())
        self.on_ready()

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
            ticket.asked.line.cut()
        ticket.asked = ticket.future = None
