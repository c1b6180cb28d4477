"""A client of one completion server (vLLM, SGLang, llama.cpp and others), in the standard library.

    >>> server = Server("http://127.0.0.1:8000/v1")
    >>> with closing(server.write([1, 2, 3], {"max_tokens": 8}, line := Line())) as pieces:
    ...     for piece in pieces:
    ...         piece.text
    >>> line.cut()                  # from another thread: what waits for the server returns at once

Servers differ in more than their speed: what comes is read as server-sent events, and anything in it that is no piece of a
completion is left out if it may be (comments, usage), or becomes the error's words.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from adasr_trl.core.errors import UserError

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0  # longest silence; a busy server lets a request wait
# Extensions of vLLM and SGLang. Only the second one keeps markers that are special tokens in the text.
_EXTENSIONS = {
    "return_token_ids": True,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}
_FIELDS = (b"event:", b"id:", b"retry:", b":")  # of server-sent events, besides data
_STOPS = ("stop", "eos_token")  # the second one is TGI's


@dataclass(frozen=True)
class Piece:
    """A part of a completion.

    Attributes:
        text: Its text.
        token_ids: Its tokens, if the server tells them.
        ended: Whether the model has ended it; False also where the token limit did.
    """

    text: str
    token_ids: tuple[int, ...] | None
    ended: bool


class Line:
    """The connection of one request; any thread may cut it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self.is_cut = False

    def hold(self, connected: socket.socket) -> None:
        """The connection is there."""
        with self._lock:
            self._socket = connected
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """End it: whoever waits for the server gets an error at once."""
        self.is_cut = True
        with self._lock, suppress(OSError):
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)


class Server:
    """One model of a completion server."""

    def __init__(self, url: str, model: str | None = None, api_key: str | None = None) -> None:
        """Ask the server at ``url``, such as ``http://127.0.0.1:8000/v1``, for its models; the first one by default.

        Raises:
            UserError: The server does not answer, or has no such model.
        """
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._extensions: Mapping[str, object] = _EXTENSIONS
        served = self._models()
        if not served or (model and model not in served):
            found = ", ".join(served) or "no model"
            raise UserError(f"{self._url}: serves {found}; expected {model or 'one'}.")
        self.model = model or next(iter(served))
        length = served[self.model].get("max_model_len")  # vLLM's own field
        self.max_length = length if isinstance(length, int) else None

    def write(
        self, prompt: Sequence[int], settings: Mapping[str, object], line: Line
    ) -> Generator[Piece]:
        """A completion piece by piece; closing the iterator ends it.

        Raises:
            UserError: The server refuses it, fails, or ends it for a reason that is not the model's.
        """
        body = {"model": self.model, "prompt": list(prompt), "stream": True, **settings}
        try:
            answer = self._open("completions", {**body, **self._extensions}, line)
        except _RefusedError as error:
            if not self._extensions:
                raise
            self._extensions = {}  # strict servers know OpenAI's own fields only
            try:
                answer = self._open("completions", body, line)
            except _RefusedError:
                raise error from None  # the extensions were not the reason
        with answer:
            yield from self._pieces(answer)

    def _models(self) -> dict[str, Mapping[str, Any]]:
        with self._open("models", None, Line()) as answer:
            reply = answer.read(2**24)
        try:
            found = json.loads(reply)
            entries = found if isinstance(found, list) else found["data"] or ()
            return {entry["id"]: entry for entry in entries}
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(
                f"{self._url}/models: got {_words(reply)}; expected a list of models. Does the address end in /v1?"
            ) from error

    def _pieces(self, answer: Any) -> Generator[Piece]:
        has_ended, stray = False, b""
        try:
            for line in answer:
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                    if data == b"[DONE]":
                        break
                    piece = self._piece(data)
                    if piece:
                        has_ended = has_ended or piece[1]
                        yield piece[0]
                elif line.strip() and not line.startswith(_FIELDS):
                    stray = stray or line
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"{self._url}: the connection broke while it wrote ({error})."
            ) from error
        if not has_ended:
            said = f"it said {_words(stray)}" if stray else "see its log"
            raise UserError(f"{self._url}: the connection ended while it wrote; {said}.")

    def _piece(self, data: bytes) -> tuple[Piece, bool] | None:
        """A piece, and whether it is the last one; None for an event without a choice, such as the usage."""
        if not data or data.startswith(b":"):  # proxies wrap comments that keep a connection alive
            return None
        try:
            event = json.loads(data)
            failed, choices = event.get("error"), event.get("choices")
            choice = choices[0] if choices else {}
            ids, reason = choice.get("token_ids"), choice.get("finish_reason")
            text = choice.get("text") or ""
            token_ids = None if ids is None else tuple(map(int, ids))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self._url}: got {_words(data)}; expected a completion's event."
            ) from error
        if failed:
            raise UserError(f"{self._url}: the server failed while it wrote: {_words(data)}.")
        if not choice:
            return None
        if reason in (None, "", "null"):  # all of them are written for "goes on"
            return Piece(text, token_ids, ended=False), False
        if reason not in (*_STOPS, "length"):
            raise UserError(f"{self._url}: the completion was ended by {reason!r}; see its log.")
        return Piece(text, token_ids, ended=reason in _STOPS), True

    def _open(self, path: str, body: Mapping[str, object] | None, line: Line) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/{path}", data, self._headers)
        try:
            return _opener(line).open(request, timeout=ANSWER_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                reply = error.read(500).decode(errors="replace").strip()
            kind = _RefusedError if error.code in (400, 422) else UserError
            raise kind(f"{request.full_url}: the server answered {error.code}: {reply}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UserError(
                f"{request.full_url}: no answer ({error}); start a server, or name another address."
            ) from error


class _RefusedError(UserError):
    """A request that the server does not accept."""


def _words(data: bytes) -> str:
    return repr(data[:200].decode(errors="replace").strip())


def _opener(line: Line) -> urllib.request.OpenerDirector:
    """Opens addresses over connections that the line holds."""

    def held(connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        connect, seconds = connection.connect, connection.timeout

        def connect_soon() -> None:
            connection.timeout = CONNECT_SECONDS
            connect()
            connection.sock.settimeout(seconds)
            line.hold(connection.sock)

        connection.connect = connect_soon  # type: ignore[method-assign]
        return connection

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(lambda *a, **k: held(http.client.HTTPConnection(*a, **k)), req)

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(lambda *a, **k: held(http.client.HTTPSConnection(*a, **k)), req)

    return urllib.request.build_opener(Plain, Secure)
