"""The streaming loop against a server that speaks OpenAI's completions: vLLM, SGLang, llama.cpp and others.

    >>> engine = CompletionEngine(Server("http://127.0.0.1:8000/v1"), codec, streaming)
    >>> StreamingReasoner(engine, engine.layout).start("How many coins does Tom have?")

Each segment is one streamed request whose prompt is all token ids so far. It is closed as soon as the segment has ended, so
no stop strings are needed, which servers treat differently. Token ids are the server's where it returns them (vLLM's
``return_token_ids``). Else the text is tokenised, words and markers apart, like the traces of supervised training: the
ids are the same unless the model spelled a word in an unusual way. The interleaved layout only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import ROLES, Phase, deep_ending, thought_ending
from adasr_trl.engines.completion_server import Server
from adasr_trl.engines.request import Request, Sampling
from adasr_trl.engines.request_pool import Asked, RequestPool, Written
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import server_settings
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.base import Turn
from adasr_trl.layouts.codec import Codec


class CompletionEngine:
    """Live sequences that a server writes."""

    def __init__(self, server: Server, codec: Codec, streaming: StreamingConfig) -> None:
        """Keep the parts.

        Raises:
            UserError: The parallel layout, whose attention no such server has.
        """
        if streaming.layout != "interleaved":
            raise UserError(
                f"streaming.layout: got {streaming.layout}; a completion server attends causally, which is the "
                f"interleaved layout. Use StreamingReasoner.from_pretrained, or a model that was taught that one."
            )
        self.layout = build_layout(streaming, codec)
        self._server = server
        self._codec = codec
        self._streaming = streaming
        self._roles = {getattr(codec.markers, role): role for role in ROLES}
        self._marker = re.compile("(" + "|".join(map(re.escape, self._roles)) + ")")

    def start_sequence(
        self, request: Request, turns: Sequence[Turn], /
    ) -> tuple[SequenceState, None]:
        """A sequence; the server's own prefix cache is the only memory."""
        parts = (self.layout, self._codec, self._streaming, self._server.max_length)
        return SequenceState(request, *parts, turns), None

    def advance(self, state: SequenceState, cache: None, sampling: Sampling, /) -> None:
        """Send one request a segment, until the sequence waits for more of its stream, or is done."""
        del cache
        while not (state.waiting or state.done):
            token_ids = self.token_ids(self.write(self.ask(state, sampling)))
            state.accept_segment(token_ids, [None] * len(token_ids))

    def pooled(self, max_streams: int, max_cache_gib: float | None = None) -> RequestPool:
        """A pool whose streams are requests in flight.

        Raises:
            UserError: A bound for a cache that is the server's.
        """
        if max_cache_gib is not None:
            raise UserError("max_cache_gib: the cache is the server's; set its bound there.")
        return RequestPool(self, max_streams)

    def ask(self, state: SequenceState, sampling: Sampling) -> Asked:
        """The request for the segment at hand."""
        settings = server_settings(state, sampling)
        # Only some servers know these two, so they are sent only if they are set.
        optional = {"top_k": sampling.top_k, "min_p": sampling.min_p}
        settings |= {name: value for name, value in optional.items() if value}
        return Asked(state.take_all(), settings, state.turn.writes)

    def write(self, asked: Asked) -> Written:
        """Wait for the server's segment; without the tokenizer, so that many may wait in threads."""
        ending_of = thought_ending if asked.phase is Phase.STREAM else deep_ending
        text, ids, eos, has_ids = "", list[int](), False, True
        with closing(self._server.write(asked.prompt, asked.settings, asked.line)) as pieces:
            for piece in pieces:
                text += piece.text
                has_ids = has_ids and piece.token_ids is not None
                ids += piece.token_ids or ()
                eos = eos or piece.ended
                if not eos and ending_of(text, self._codec.markers) is not None:
                    break
        return Written(text, tuple(ids) if has_ids else (), eos)

    def token_ids(self, written: Written) -> tuple[int, ...]:
        """Token ids of what the server wrote."""
        token_ids, eos = written.token_ids or self._encoded(written.text), written.eos
        if eos and token_ids[-1:] != (self._codec.eos_id,):
            token_ids = (*token_ids, self._codec.eos_id)
        return token_ids

    def _encoded(self, text: str) -> tuple[int, ...]:
        """Words and markers encoded apart."""
        text = text.removesuffix(self._codec.tokenizer.eos_token)
        ids: tuple[int, ...] = ()
        for part in self._marker.split(text):
            role = self._roles.get(part)
            ids += self._codec.marker(role) if role else self._codec.encode_data(part)
        return ids
