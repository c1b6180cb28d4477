"""One rollout in the making: which tokens to feed next, and what a sampled token means.

    >>> row = Row(request, layout, codec, streaming)
    >>> while not row.done:
    ...     logits = model(row.take(8).token_ids)
    ...     if row.wants_token:
    ...         row.accept(token_id, logprob)
    >>> rollout = row.rollout()

The protocol lives here and in ``protocol``; batching and caches live in the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.answers import extract
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import (
    Ending,
    Mode,
    Phase,
    deep_ending,
    split_deep,
    thought_ending,
    thought_text,
)
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.base import Request
from adasr_trl.engines.token_log import Fed, Tape
from adasr_trl.layouts.base import Layout, Stream, Turn
from adasr_trl.layouts.codec import Codec


class Row:
    """The state machine of one rollout."""

    def __init__(
        self,
        request: Request,
        layout: Layout,
        codec: Codec,
        streaming: StreamingConfig,
        max_positions: int | None = None,
        turns: Sequence[Turn] | None = None,
    ) -> None:
        """Queue the turns up to the first one that is written after.

        Args:
            request: What to roll out.
            layout: How it lies in the context.
            codec: The tokenizer with the markers.
            streaming: Caps.
            max_positions: How many positions the model knows.
            turns: The turns known so far, of a stream that is still arriving (``extend``); else all of the episode.
        """
        self.request = request
        self.done = False
        self.fed = 0  # tokens that the model has seen
        self.sampled = 0  # tokens drawn: the counter of the row's random numbers
        self.on_token: Callable[[], None] | None = None  # told of every sampled token, for live use
        self._layout = layout
        self._codec = codec
        self._streaming = streaming
        self._max_positions = max_positions
        self._tape = Tape()
        self._segment: list[int] = []
        self._texts: list[str] = []
        self._endings: list[Ending] = []
        self._deep = ""
        no_deep = request.mode is Mode.NO_DEEP
        self._given = codec.markers.reasoning_end if no_deep else ""  # judged with what is written
        self._ending = Ending.OUT_OF_TOKENS
        self._turns = list(turns or layout.turns(request.episode, request.mode))
        self._next_turn = 0
        self.waiting = False  # for turns that have not arrived
        self.turn: Turn = self._turns[0]
        self._read_on()
        self.shared = self.pending - 1  # tokens that every rollout of the episode begins with
        if self._full():
            raise UserError(
                f"episode {request.episode.id!r}: its first {len(self._tape.token_ids)} tokens leave no "
                f"room to think within the model's {max_positions} positions; drop the episode."
            )

    @property
    def pending(self) -> int:
        """How many tokens wait to be fed."""
        return len(self._tape.token_ids) - self.fed

    @property
    def longest(self) -> int:
        """How many tokens it may come to have at most: all that it is given, and every cap reached."""
        caps = {
            Phase.READ: 0,
            Phase.STREAM: self._streaming.max_thought_tokens,
            Phase.DEEP: self._streaming.max_deep_tokens,
        }
        end = len(self._layout.forced_end(Phase.STREAM))
        turns = self._turns
        return sum(len(turn.token_ids) + caps[turn.writes] + end for turn in turns)

    @property
    def wants_token(self) -> bool:
        """Whether all tokens were fed, so that the last logits say what comes next."""
        return not self.done and not self.waiting and self.pending == 0

    def extend(self, turns: Sequence[Turn]) -> None:
        """More of the stream has arrived."""
        self._turns += turns
        if self.waiting:
            self.waiting = False
            self._read_on()
            if self._full():
                self._finish(Ending.OUT_OF_TOKENS)

    def rewind(self) -> None:
        """Feed everything again, into another cache; what was written stays."""
        self.fed = 0

    @property
    def source_tokens(self) -> int:
        """Tokens in the source stream."""
        return self._tape.source

    def take(self, count: int) -> Fed:
        """The next tokens to feed, at most ``count``."""
        part = slice(self.fed, self.fed + count)
        tape = self._tape
        columns = (tape.token_ids, tape.positions, tape.views)
        fed = Fed(*(tuple(column[part]) for column in columns))
        self.fed += len(fed.token_ids)
        return fed

    def read(self) -> tuple[int, ...]:
        """All tokens so far, which counts as feeding them: for engines that are given whole contexts."""
        self.fed = len(self._tape.token_ids)
        return tuple(self._tape.token_ids)

    @property
    def room(self) -> int:
        """How many tokens the segment at hand may still have."""
        caps = (self._streaming.max_thought_tokens, self._streaming.max_deep_tokens)
        left = caps[self.turn.writes is Phase.DEEP] - len(self._segment)
        if self._max_positions is not None:
            left = min(left, self._max_positions - len(self._tape.token_ids))
        return max(left, 1)

    def accept(self, token_id: int, logprob: float) -> None:
        """Take in a sampled token; the row then reads on, writes on, or is done."""
        self.sampled += 1
        self._tape.append(token_id, self.turn.writes, self.turn, logprob)
        eos = token_id == self._codec.eos_id
        if not eos:
            self._segment.append(token_id)
        if self.turn.writes is Phase.STREAM:
            self._after_thought_token(token_id, eos=eos)
        else:
            self._after_deep_token(token_id, eos=eos)
        if not self.done and self._full():
            self._finish(Ending.OUT_OF_TOKENS)
        if self.on_token is not None:
            self.on_token()

    def cancel(self) -> None:
        """Write no more, from any thread: the row is done behind the token at hand."""
        self.done = True

    @property
    def thoughts(self) -> Sequence[tuple[str, Ending]]:
        """The words of each thought so far, and how it ended."""
        return tuple(zip(self._texts, self._endings, strict=True))

    @property
    def ending(self) -> Ending:
        """How it ended, once it is done."""
        return self._ending

    @property
    def reasoning_tokens(self) -> int | None:
        """DEEP tokens up to the one that ends the reasoning; None where none did."""
        separator = self._codec.markers.reasoning_end
        head, found, _ = self._deep.partition(separator)
        if not found:
            return None
        end = len(head) + len(separator) - len(self._given)
        return self._codec.tokens_until(self._segment, end)

    def rollout(self) -> Rollout:
        """The finished rollout."""
        reasoning, answer = split_deep(self._deep, self._codec.markers)
        tape = self._tape
        return Rollout(
            episode_id=self.request.episode.id,
            prompt_length=self._layout.prompt_length(self._turns),
            token_ids=tuple(tape.token_ids),
            phases=tuple(tape.phases),
            chunk_of_token=tuple(tape.chunks),
            thought_endings=tuple(self._endings),
            ending=self._ending,
            logprobs=tuple(tape.logprobs),
            thoughts=tuple(self._texts),
            deep=reasoning,
            answer=answer,
            answer_tokens=self._answer_tokens(),
        )

    def _after_thought_token(self, token_id: int, *, eos: bool) -> None:
        ending: Ending | None = None
        if eos or self._codec.may_end_marker(token_id):
            text = self._codec.decode(self._segment)
            ending = thought_ending(text, self._codec.markers, eos=eos)
        if ending is None and len(self._segment) >= self._streaming.max_thought_tokens:
            ending = Ending.OUT_OF_TOKENS
        if ending is None:
            return
        self._texts.append(thought_text(self._codec.decode(self._segment), self._codec.markers))
        self._endings.append(ending)
        if ending in (Ending.OUT_OF_TOKENS, Ending.MALFORMED):
            self._force_end()
        if ending is Ending.MALFORMED and self._streaming.on_malformed == "stop":
            self._finish(Ending.MALFORMED)
        else:
            self._read_on()

    def _after_deep_token(self, token_id: int, *, eos: bool) -> None:
        ending: Ending | None = None
        if eos or self._codec.may_end_marker(token_id):
            text = self._given + self._codec.decode(self._segment)
            ending = deep_ending(text, self._codec.markers, eos=eos)
        if ending is None and len(self._segment) >= self._streaming.max_deep_tokens:
            ending = Ending.OUT_OF_TOKENS
        if ending is None:
            return
        if ending is not Ending.ANSWERED:
            self._force_end()
        self._finish(ending)

    def _force_end(self) -> None:
        for token_id in self._layout.forced_end(self.turn.writes):
            self._tape.append(token_id, Phase.READ, self.turn)

    def _read_on(self) -> None:
        """Queue the next turns up to one that is written after."""
        self._segment = []
        while True:
            if self._next_turn == len(self._turns):
                self.waiting = True
                return
            self.turn = self._turns[self._next_turn]
            self._next_turn += 1
            if self._streaming.boundary == "fed" and self._tape.views:
                self._tape.read_before_feeding(self.turn)
            for token_id in self.turn.token_ids:
                self._tape.append(token_id, Phase.READ, self.turn)
            if self.turn.writes is not Phase.READ:
                return

    def _finish(self, ending: Ending) -> None:
        if self.turn.writes is Phase.DEEP:
            self._deep = self._given + self._codec.decode(self._segment)
        elif len(self._endings) == self.turn.chunk and self._segment:  # the positions ran out
            self._texts.append(thought_text(self._codec.decode(self._segment), self._codec.markers))
            self._endings.append(ending)
        self._ending = ending
        self.done = True

    def _full(self) -> bool:
        """Whether the next token would have a position that the model does not know."""
        source = self._tape.source
        longest = max(source, len(self._tape.token_ids) - source + 1)
        if self.turn.stream is Stream.SOURCE:
            longest = source + 1
        return self._max_positions is not None and longest > self._max_positions

    def _answer_tokens(self) -> int:
        """DEEP tokens up to the end of the answer's value; all of them where it has none."""
        total = self._tape.phases.count(Phase.DEEP)
        head, separator, answer = self._deep.partition(self._codec.markers.reasoning_end)
        found = extract(answer, self.request.episode.answer_type) if separator else None
        if found is None:
            return total
        end = len(head) + len(separator) + found.end - len(self._given)
        return self._codec.tokens_until(self._segment, end)
