"""The state of one rollout: the tokens to feed next, and the meaning of each sampled token.

    >>> state = SequenceState(request, layout, codec, streaming)
    >>> while not state.done:
    ...     logits = model(state.take(8).token_ids)
    ...     if state.wants_token:
    ...         state.accept(token_id, logprob)
    >>> rollout = state.rollout()

The rules of one rollout stand here, for every engine: when a thought ends, at its cap too (``_segment_ending``), and
what is read after it. Markers are found in ``core.protocol``; batching and caches are each engine's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core import protocol
from adasr_trl.core.deep_parts import DeepParts, free_ending, free_parts, marked_parts
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines.request import Request
from adasr_trl.engines.token_log import StepInputs, TokenLog
from adasr_trl.layouts.base import Layout, Stream, Turn
from adasr_trl.layouts.codec import Codec


class SequenceState:
    """State machine of one request.

    A turn gives tokens to the model. The segment behind it, a thought or the deep part, is written by the model.

    Attributes:
        request: The rollout to be made.
        turn: The turn whose segment is being written.
        done: Whether nothing more is read or written; ``ending`` is then how the rollout ended.
        waiting: Whether a stream that is still arriving has no further turn yet.
        fed_tokens: Tokens that the model has seen.
        sampled_tokens: Tokens sampled, the counter of the request's random numbers.
        prefix_length: Leading tokens that every rollout of the episode, with the same ``written``, shares.
        on_token: Called after every sampled token, for live use.
        max_tokens: Tokens that its engine has room for; None for no bound.
    """

    def __init__(
        self,
        request: Request,
        layout: Layout,
        codec: Codec,
        streaming: StreamingConfig,
        max_positions: int | None = None,
        turns: Sequence[Turn] | None = None,
    ) -> None:
        """Queue the turns up to the first one with a segment to write.

        ``max_positions`` are those that the model knows, or None for no bound; ``turns`` are the first ones of a stream that
        is still arriving (``extend``), by default all of the episode.

        Raises:
            UserError: The first turns alone fill the model's positions.
        """
        self.request = request
        self.done = self.waiting = False
        self.ending = Ending.OUT_OF_TOKENS
        self.fed_tokens = self.sampled_tokens = 0
        self.on_token: Callable[[], None] | None = None
        self.max_tokens: int | None = None
        self._layout = layout
        self._codec = codec
        self._streaming = streaming
        self._max_positions = max_positions
        self._caps = {
            Phase.READ: 0,
            Phase.STREAM: streaming.max_thought_tokens,
            Phase.DEEP: streaming.max_deep_tokens,
        }
        self._log = TokenLog()
        self._segment: list[int] = []  # token ids of the segment at hand, without eos
        self._texts: list[str] = []
        self._endings: list[Ending] = []
        self._deep = ""
        self._is_free = request.mode is Mode.ZERO_SHOT  # text without markers
        self._end_ids = codec.turn_end_ids if self._is_free else frozenset({codec.eos_id})
        # Without a deep part its end marker is given, yet judged as if the model had written it.
        self._given = codec.markers.reasoning_end if request.mode.answers_at_once else ""
        self._turns = list(turns or layout.turns(request.episode, request.mode))
        self._next_turn = 0
        self.turn: Turn = self._turns[0]
        self._read_on()
        if self._is_full():
            raise UserError(
                f"episode {request.episode.id!r}: its first {len(self._log.token_ids)} tokens leave no "
                f"room to think within the model's {max_positions} positions; drop the episode."
            )
        for token_id in request.written:
            self.accept(token_id, 0.0)
        self.prefix_length = self.pending - 1  # each rollout needs the logits of the last token

    # ---- reading

    @property
    def pending(self) -> int:
        """Number of tokens that wait to be fed."""
        return len(self._log.token_ids) - self.fed_tokens

    @property
    def readable(self) -> int:
        """Number of tokens that may be fed now. The last one of a waiting sequence stays: it is to see what arrives."""
        return 0 if self.done else self.pending - self.waiting

    @property
    def tokens(self) -> int:
        """Number of tokens so far."""
        return len(self._log.token_ids)

    @property
    def source_tokens(self) -> int:
        """Number of tokens in the source stream."""
        return self._log.source_tokens

    @property
    def given_tokens(self) -> tuple[int, int]:
        """Number of given (READ) tokens, and how many of them were fed."""
        given = [phase is Phase.READ for phase in self._log.phases]
        return sum(given), sum(given[: self.fed_tokens])

    @property
    def max_length(self) -> int:
        """Upper bound of its tokens: every turn given and every cap reached."""
        end = len(self._layout.forced_end(Phase.STREAM))
        return sum(len(turn.token_ids) + self._caps[turn.writes] + end for turn in self._turns)

    def take(self, count: int) -> StepInputs:
        """The next tokens to feed, at most ``count``; they count as fed."""
        part = slice(self.fed_tokens, self.fed_tokens + count)
        log = self._log
        columns = (log.token_ids, log.positions, log.visibility)
        inputs = StepInputs(*(tuple(column[part]) for column in columns))
        self.fed_tokens += len(inputs.token_ids)
        return inputs

    def take_all(self) -> tuple[int, ...]:
        """All tokens from the first one, for engines that are sent whole contexts; they count as fed."""
        self.fed_tokens = len(self._log.token_ids)
        return tuple(self._log.token_ids)

    def rewind(self) -> None:
        """Feed everything again, into another cache; the tokens stay."""
        self.fed_tokens = 0

    def extend(self, turns: Sequence[Turn]) -> None:
        """Add turns that have arrived; a source stream of its own is read at once, beside a segment being written."""
        has_source = self.turn.stream is Stream.TARGET
        for turn in turns:
            if has_source and turn.stream is Stream.SOURCE:
                self._read(turn)
            else:
                self._turns.append(turn)
        if self.waiting:
            self.waiting = False
            self._read_on()
        if not self.done and self._is_full():
            self._finish(Ending.OUT_OF_TOKENS)

    def rewind_to(self, chunk: int) -> None:
        """Take back the turns from this chunk on, and all that was written behind them.

        The sequence is then as if they had never arrived. ``fed_tokens`` falls to those that stay as they were fed.
        """
        consumed = [turn for turn in self._turns[: self._next_turn] if turn.chunk < chunk]
        later = [turn for turn in self._turns[self._next_turn :] if turn.chunk < chunk]
        self._turns, self._next_turn = consumed + later, len(consumed)
        kept = self._log.cut(chunk)
        self.fed_tokens = min(self.fed_tokens, kept, self.tokens - 1)
        if self.turn.chunk < chunk:
            return
        self.turn = consumed[-1]
        self._segment, self._deep = [], ""
        del self._texts[chunk:], self._endings[chunk:]
        self._log.widen_last(self.turn)  # it saw the next chunk
        self.sampled_tokens = sum(phase is not Phase.READ for phase in self._log.phases)
        self.ending, self.done, self.waiting = Ending.OUT_OF_TOKENS, False, True

    def _read(self, turn: Turn) -> None:
        for token_id in turn.token_ids:
            self._log.append(token_id, Phase.READ, turn)

    def _read_on(self) -> None:
        """Queue the next turns up to one with a segment to write."""
        self._segment = []
        while self._next_turn < len(self._turns):
            self.turn = self._turns[self._next_turn]
            self._next_turn += 1
            if self._streaming.boundary == "fed":
                self._log.widen_last(self.turn)
            self._read(self.turn)
            if self.turn.writes is not Phase.READ:
                return
        self.waiting = True

    # ---- writing

    @property
    def wants_token(self) -> bool:
        """Whether all tokens were fed, so that the last logits are those of a token to sample."""
        return not self.done and not self.waiting and self.pending == 0

    @property
    def tokens_left(self) -> int:
        """Tokens that the segment at hand may still get, at least 1."""
        left = self._caps[self.turn.writes] - len(self._segment)
        if self._max_positions is not None:
            left = min(left, self._max_positions - len(self._log.token_ids))
        return max(left, 1)

    def accept(self, token_id: int, logprob: float) -> None:
        """Take in a sampled token; then the sequence reads on, writes on, or is done."""
        self.sampled_tokens += 1
        self._log.append(token_id, self.turn.writes, self.turn, logprob)
        eos = token_id in self._end_ids
        if not eos:
            self._segment.append(token_id)
        ending = self._segment_ending(token_id, eos=eos)
        if ending is not None:
            self._end_segment(ending)
        if not self.done and self._is_full():
            self._finish(Ending.OUT_OF_TOKENS)
        if self.on_token is not None:
            self.on_token()

    def accept_segment(self, token_ids: Sequence[int], logprobs: Sequence[float | None]) -> None:
        """Take in a server's tokens up to the end of the segment at hand; tokens behind it are dropped.

        An unknown log-probability is None, and becomes NaN. UserError without a token: asking again would never end.
        """
        if not token_ids:
            raise UserError(
                f"the server wrote no token for episode {self.request.episode.id!r}; see its log."
            )
        turn = self.turn
        for token_id, logprob in zip(token_ids, logprobs, strict=True):
            self.accept(token_id, math.nan if logprob is None else logprob)
            if self.done or self.waiting or self.turn is not turn:
                return

    def cancel(self) -> None:
        """Write no more, from any thread: the sequence is done after the token at hand."""
        self.done = True

    def end(self, ending: Ending) -> None:
        """End now, between two tokens."""
        self._finish(ending)

    def _segment_ending(self, token_id: int, *, eos: bool) -> Ending | None:
        """How the segment ends with this token; None while it goes on."""
        if self._is_free and eos:
            thinks = self._codec.opens_thinking
            return free_ending(self.segment_text, self.request.episode.answer_type, thinks=thinks)
        # Decoding at every token would be slow.
        if not self._is_free and (eos or self._codec.may_end_marker(token_id)):
            thought = self.turn.writes is Phase.STREAM
            ending_of = protocol.thought_ending if thought else protocol.deep_ending
            ending = ending_of(self.segment_text, self._codec.markers, eos=eos)
            if ending is not None:
                return ending
        # The cap: a thought of max_thought_tokens (a deep part of max_deep_tokens) ends here.
        if len(self._segment) >= self._caps[self.turn.writes]:
            return Ending.OUT_OF_TOKENS
        return None

    def _end_segment(self, ending: Ending) -> None:
        thought = self.turn.writes is Phase.STREAM
        if thought:
            self._record_thought(ending)
        if ending in (Ending.OUT_OF_TOKENS, Ending.MALFORMED) and not self._is_free:
            # The model did not write the end marker, so it is given: READ, without an advantage.
            for token_id in self._layout.forced_end(self.turn.writes):
                self._log.append(token_id, Phase.READ, self.turn)
        stop = ending is Ending.MALFORMED and self._streaming.on_malformed == "stop"
        if thought and not stop:
            self._read_on()
        else:
            self._finish(ending)

    def _record_thought(self, ending: Ending) -> None:
        self._texts.append(protocol.thought_text(self.segment_text, self._codec.markers))
        self._endings.append(ending)

    def _finish(self, ending: Ending) -> None:
        if self.turn.writes is Phase.DEEP:
            self._deep = self.segment_text
        elif len(self._endings) == self.turn.chunk and self._segment:
            self._record_thought(ending)  # the positions ran out within a thought
        self.ending = ending
        self.done = True

    @property
    def segment_text(self) -> str:
        """Text of the segment at hand so far, with its markers."""
        given = self._given if self.turn.writes is Phase.DEEP else ""
        return given + self._codec.decode(self._segment)

    @property
    def is_out_of_memory(self) -> bool:
        """Whether its engine has no room for another token."""
        return self.max_tokens is not None and self.tokens >= self.max_tokens

    def _is_full(self) -> bool:
        """Whether the next token would have a position that the model does not know, or no room."""
        if self.is_out_of_memory:
            return True
        source = self._log.source_tokens
        longest = max(source, len(self._log.token_ids) - source + 1)
        if self.turn.stream is Stream.SOURCE:
            longest = source + 1
        return self._max_positions is not None and longest > self._max_positions

    # ---- results

    @property
    def thoughts(self) -> Sequence[tuple[str, Ending]]:
        """Words and ending of each thought so far."""
        return tuple(zip(self._texts, self._endings, strict=True))

    @property
    def reasoning_tokens(self) -> int | None:
        """DEEP tokens before the answer, the end marker of the reasoning included; None without an answer."""
        if self._given:  # the answer is all that is written
            return 0 if self._deep else None
        start = self._deep_parts().answer_start
        return self._deep_tokens_until(start) if start else start

    def rollout(self) -> Rollout:
        """The rollout so far, final once the state is done."""
        log, parts = self._log, self._deep_parts()
        end = parts.value_end
        return Rollout(
            episode_id=self.request.episode.id,
            prompt_length=self._layout.prompt_length(self._turns),
            token_ids=tuple(log.token_ids),
            phases=tuple(log.phases),
            chunk_of_token=tuple(log.chunks),
            thought_endings=tuple(self._endings),
            ending=self.ending,
            logprobs=tuple(log.logprobs),
            thoughts=tuple(self._texts),
            deep=parts.reasoning,
            answer=parts.answer,
            answer_tokens=self._deep_tokens_until(end) if end else log.phases.count(Phase.DEEP),
            reasoning_tokens=self.reasoning_tokens,
        )

    def _deep_parts(self) -> DeepParts:
        answer_type = self.request.episode.answer_type
        if self._is_free and self.ending is Ending.OUT_OF_TOKENS:
            # A number on the way is no answer.
            return DeepParts(self._deep.strip(), None, None, None)
        if self._is_free:
            return free_parts(self._deep, answer_type, thinks=self._codec.opens_thinking)
        return marked_parts(self._deep, self._codec.markers, answer_type)

    def _deep_tokens_until(self, end: int) -> int:
        """Written tokens behind the first ``end`` characters of the deep part's text."""
        return self._codec.tokens_until(self._segment, end - len(self._given))
