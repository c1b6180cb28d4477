"""Live sequences that share one cache and advance together, each at its own pace.

    >>> pool = engine.pooled(max_streams=64)          # an HFEngine
    >>> state, seat = pool.start_sequence(request, layout.opening(question))
    >>> pool.advance(state, seat, sampling)            # returns at once
    >>> while pool.step():                             # one forward for all sequences
    ...     pass

A step feeds one token of every sequence that writes, and ``read_block`` more of those that read, in equal shares: so
nobody waits for another one's long chunk longer than one read block. Sequences join and leave between steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.memory import GROWTH_TOKENS, is_out_of_memory
from adasr_trl.engines.model_runner import ModelRunner
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import accept_sampled
from adasr_trl.layouts.base import Turn

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Seat:
    """Place of one sequence in the pool; ``slot`` is its slot of the cache."""

    state: SequenceState
    slot: int
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.0))


@dataclass
class PoolCounts:
    """Counts over the pool's life.

    Attributes:
        steps: Forwards.
        read_tokens: Tokens fed that were given.
        written_tokens: Tokens sampled.
    """

    steps: int = 0
    read_tokens: int = 0
    written_tokens: int = 0


class SequencePool:
    """See the module. One thread calls it.

    Attributes:
        max_streams: Sequences that it takes at most.
        max_tokens: Tokens that one sequence may have; None for no bound but the model's positions.
        counts: What was done so far.
        on_ready: Never called: a step has nothing to do but what its caller asked for.
    """

    def __init__(
        self,
        runner: ModelRunner,
        new_state: Callable[[Request, Sequence[Turn]], SequenceState],
        new_cache: Callable[[int], SlotCache],
        *,
        max_streams: int,
        max_tokens: int | None,
        read_block: int,
    ) -> None:
        self._runner, self._new_state, self._new_cache = runner, new_state, new_cache
        self.max_streams, self.max_tokens, self._read_block = max_streams, max_tokens, read_block
        self._seats: list[Seat | None] = [None]  # by slot
        self._cache = new_cache(1)
        self.counts = PoolCounts()
        self.on_ready: Callable[[], None] = lambda: None

    # ---- sequences

    @torch.inference_mode()
    def start_sequence(
        self, request: Request, turns: Sequence[Turn], /
    ) -> tuple[SequenceState, Seat]:
        """A sequence and its seat; its first turns are read by the next steps.

        Raises:
            UserError: The first turns are longer than a sequence may be.
        """
        state = self._new_state(request, turns)
        state.max_tokens = self.max_tokens
        if state.is_out_of_memory:
            raise UserError(f"{state.tokens} tokens; a stream may have {self.max_tokens}.")
        if None not in self._seats:
            count = min(2 * len(self._seats), self.max_streams)
            self._keep(list(range(len(self._seats))), count)
        seat = Seat(state, self._seats.index(None))
        self._seats[seat.slot] = seat
        return state, seat

    def advance(self, state: SequenceState, seat: Seat, sampling: Sampling, /) -> None:
        """Let the next steps read and write; returns at once."""
        del state
        seat.sampling = sampling

    @torch.inference_mode()
    def release(self, seat: Seat) -> None:
        """Free a seat and its memory; the other sequences never notice."""
        self._seats[seat.slot] = None
        self._cache.truncate(seat.slot, 0)
        taken = [slot for slot, other in enumerate(self._seats) if other]
        if 4 * len(taken) <= len(self._seats):
            self._keep(taken, max(2 * len(taken), 1))

    def _keep(self, slots: list[int], count: int) -> None:
        """Keep these slots, and have ``count`` in all."""
        seats = [self._seats[slot] for slot in slots]
        self._seats = [*seats, *[None] * (count - len(seats))]
        for slot, seat in enumerate(seats):
            if seat:
                seat.slot = slot
        if seats:
            self._cache.keep(slots, count - len(seats))
        else:
            self._cache = self._new_cache(count)

    # ---- steps

    @torch.inference_mode()
    def step(self) -> dict[Seat, UserError | None]:
        """One forward for all sequences that read or write; returns their seats, none if there is nothing to do."""
        moving = [seat for seat in self._seats if seat and seat.state.readable > 0]
        wanted = [seat.state.readable - (not seat.state.waiting) for seat in moving]
        shares = fair_shares(wanted, self._read_block)
        counts = [
            share + (not seat.state.waiting) for seat, share in zip(moving, shares, strict=True)
        ]
        moving = [seat for seat, count in zip(moving, counts, strict=True) if count]
        if not moving:
            return {}
        fed = [seat.state.fed_tokens for seat in moving]
        for seat in moving:  # a sequence may have been rewound
            self._cache.truncate(seat.slot, seat.state.fed_tokens)
        try:
            self._forward(moving, [count for count in counts if count])
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._drop_longest(moving, fed)
        return dict.fromkeys(moving)

    def close(self) -> None:
        """Nothing to end: it has no threads."""

    def _forward(self, moving: Sequence[Seat], counts: Sequence[int]) -> None:
        running = [(seat.slot, seat.state) for seat in moving]
        ready, logits_nV = self._runner.feed(running, counts, self._cache)
        sampling_of = {id(seat.state): seat.sampling for seat in moving}
        rows: dict[Sampling, list[int]] = {}
        for row, state in enumerate(ready):
            rows.setdefault(sampling_of[id(state)], []).append(row)
        for sampling, each in rows.items():
            accept_sampled([ready[row] for row in each], logits_nV[each], sampling)
        self.counts.steps += 1
        self.counts.written_tokens += len(ready)
        self.counts.read_tokens += sum(counts) - len(ready)

    def _drop_longest(self, moving: Sequence[Seat], fed: Sequence[int]) -> None:
        """End the longest sequence, and feed the others' tokens again in the next step."""
        for seat, count in zip(moving, fed, strict=True):
            seat.state.fed_tokens = count
        longest = max(moving, key=lambda seat: seat.state.tokens).state
        logger.warning("out of memory: a stream of %d tokens was ended", longest.tokens)
        longest.max_tokens = longest.tokens
        longest.end(Ending.OUT_OF_TOKENS)

    # ---- figures

    @property
    def streams(self) -> int:
        """Sequences at hand."""
        return sum(seat is not None for seat in self._seats)

    @property
    def tokens(self) -> int:
        """Tokens in the cache."""
        return sum(self._cache.length(seat.slot) for seat in self._seats if seat)

    @property
    def cache_bytes(self) -> int:
        """Memory of keys and values."""
        return self._cache.nbytes


def fair_shares(wanted: Sequence[int], block: int) -> list[int]:
    """Equal shares of a block of tokens; tokens that one does not want go to the others.

    >>> fair_shares([5, 400, 400], 101)
    [5, 48, 48]
    """
    shares = [0] * len(wanted)
    smallest_first = sorted(range(len(wanted)), key=wanted.__getitem__)
    for left, n in zip(range(len(wanted), 0, -1), smallest_first, strict=True):
        shares[n] = min(wanted[n], -(-block // left))
        block -= shares[n]
    return shares


def tokens_of_a_stream(max_cache_gib: float, max_streams: int, bytes_per_token: int) -> int:
    """Tokens that each stream may have, so that all together stay within the bound.

    Raises:
        UserError: They are fewer than the cache allocates at once.
    """
    share = int(max_cache_gib * 2**30) // (max_streams * bytes_per_token)
    if share < GROWTH_TOKENS:
        raise UserError(
            f"max_cache_gib: got {max_cache_gib:g}; {max_streams} streams of {GROWTH_TOKENS} tokens take "
            f"{max_streams * GROWTH_TOKENS * bytes_per_token / 2**30:.2g}. Raise it, or take fewer streams."
        )
    return share // GROWTH_TOKENS * GROWTH_TOKENS
