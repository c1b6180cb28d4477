"""The streaming loop against a server that speaks OpenAI's completions: vLLM, SGLang, llama.cpp and others.

    >>> engine = CompletionEngine(Server("http://127.0.0.1:8000/v1"), codec, streaming)
    >>> StreamingReasoner(engine, engine.layout).start("How many coins does Tom have?")

Each segment is one streamed request whose prompt is all token ids so far; it is closed as soon as the segment has ended, so
no stop strings are needed, which servers treat differently. A server that returns token ids (vLLM's ``return_token_ids``)
is taken at its ids. Of the others the text is tokenised, words and markers apart, as the traces of supervised training
are: the same text, and the same ids unless the model spelled a word in an unusual way. The interleaved layout only.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase, deep_ending, thought_ending
from adasr_trl.engines.base import Request, Sampling
from adasr_trl.engines.rollout_state import Row
from adasr_trl.engines.sampling import uniform
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.base import Turn
from adasr_trl.layouts.codec import Codec

TIMEOUT_SECONDS = 600.0
_ROLES = ("chunk_end", "thought_end", "skip", "stream_end", "reasoning_end")
# Of vLLM and SGLang. Markers that are special tokens are in the text only with the second one.
_EXTENSIONS = {
    "return_token_ids": True,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}


@dataclass(frozen=True)
class Piece:
    """A part of a completion: its text, its token ids if the server tells them, and why it is the last one."""

    text: str
    token_ids: tuple[int, ...] | None
    finish_reason: str | None


class Server:
    """One model of a completion server."""

    def __init__(self, url: str, model: str | None = None, api_key: str | None = None) -> None:
        """Ask it which models it has.

        Args:
            url: Up to the version, such as ``http://127.0.0.1:8000/v1``.
            model: Its name there; the first one by default.
            api_key: Sent as a bearer token.

        Raises:
            UserError: It does not answer, or has no such model.
        """
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._extensions: Mapping[str, object] = _EXTENSIONS
        with self._open("models", None) as answer:
            listed = {each["id"]: each for each in json.load(answer).get("data", ())}
        if not listed or (model or next(iter(listed))) not in listed:
            raise UserError(f"{self._url}: serves {', '.join(listed) or 'no model'}, not {model}.")
        self.model = model or next(iter(listed))
        self.max_length: int | None = listed[self.model].get("max_model_len")  # vLLM says it

    def write(self, prompt: Sequence[int], settings: Mapping[str, object]) -> Generator[Piece]:
        """A completion piece by piece; closing the iterator ends it."""
        body = {"model": self.model, "prompt": list(prompt), "stream": True, **settings}
        try:
            answer = self._open("completions", {**body, **self._extensions})
        except _RefusedError as error:
            if not self._extensions:
                raise
            self._extensions = {}  # strict servers know OpenAI's own fields only
            try:
                answer = self._open("completions", body)
            except _RefusedError:
                raise error from None
        with answer:
            yield from self._pieces(answer)

    def _pieces(self, answer: Any) -> Generator[Piece]:
        finished = False
        try:
            for line in answer:
                if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
                    continue
                choice = json.loads(line[5:])["choices"][0]
                ids = choice.get("token_ids")
                reason = choice.get("finish_reason")
                finished = finished or reason is not None
                yield Piece(choice.get("text") or "", None if ids is None else tuple(ids), reason)
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"{self._url}: the connection broke while it wrote ({error})."
            ) from error
        if not finished:
            raise UserError(f"{self._url}: the connection ended while it wrote; see its log.")

    def _open(self, path: str, body: Mapping[str, object] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/{path}", data, self._headers)
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace").strip()
            kind = _RefusedError if error.code in (400, 422) else UserError
            raise kind(f"{request.full_url}: the server answered {error.code}: {said}") from error
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"{request.full_url}: no answer ({error}); start a server, or name another address."
            ) from error


class _RefusedError(UserError):
    """A request that the server does not accept."""


class CompletionEngine:
    """Live rows that a server writes."""

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
        roles = {getattr(codec.markers, role): role for role in _ROLES}
        self._roles = roles
        self._marker = re.compile("(" + "|".join(map(re.escape, roles)) + ")")

    def live_row(self, request: Request, turns: Sequence[Turn], /) -> tuple[Row, None]:
        """A row; the server's own prefix cache is all the memory there is."""
        longest = self._server.max_length
        return Row(request, self.layout, self._codec, self._streaming, longest, turns), None

    def advance(self, row: Row, memory: None, sampling: Sampling, /) -> None:
        """One request a segment, until the row waits for more of its stream, or is done."""
        del memory
        while not (row.waiting or row.done):
            turn = row.turn
            for token_id in self._written(row, sampling):
                row.accept(token_id, math.nan)
                if row.done or row.waiting or row.turn is not turn:
                    break

    def _written(self, row: Row, sampling: Sampling) -> tuple[int, ...]:
        """The ids of one request; UserError if there is none, since asking again would never end."""
        text, ids, eos = "", list[int](), False
        told = True
        with closing(self._server.write(row.read(), _settings(row, sampling))) as pieces:
            for piece in pieces:
                text += piece.text
                told = told and piece.token_ids is not None
                ids += piece.token_ids or ()
                eos = piece.finish_reason == "stop"
                if not eos and self._has_ended(text, row.turn.writes):
                    break
        found = tuple(ids) if told and ids else self._encoded(text)
        if eos and found[-1:] != (self._codec.eos_id,):
            found = (*found, self._codec.eos_id)
        if not found:
            raise UserError("the server wrote no token; see its log.")
        return found

    def _has_ended(self, text: str, phase: Phase) -> bool:
        ending = thought_ending if phase is Phase.STREAM else deep_ending
        return ending(text, self._codec.markers) is not None

    def _encoded(self, text: str) -> tuple[int, ...]:
        """Words and markers apart."""
        text = text.removesuffix(self._codec.tokenizer.eos_token)
        ids: tuple[int, ...] = ()
        for part in self._marker.split(text):
            role = self._roles.get(part)
            ids += self._codec.marker(role) if role else self._codec.encode_data(part)
        return ids


def _settings(row: Row, sampling: Sampling) -> dict[str, object]:
    """OpenAI's parameters; those that only some servers know are left out unless they are set."""
    number = uniform(row.request.seed, row.sampled)  # so that no two segments share their dice
    settings: dict[str, object] = {
        "max_tokens": row.room,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": int(number * 2**31),
    }
    if sampling.top_k:
        settings["top_k"] = sampling.top_k
    if sampling.min_p:
        settings["min_p"] = sampling.min_p
    return settings
