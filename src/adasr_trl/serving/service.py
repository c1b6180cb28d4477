"""What the routes do: sessions, completions, and figures of one pool, and their end.

>>> service = Service(PoolThread(pool), model="demo", access=Access(None, is_loopback=True), limits=Limits())
>>> await service.drain()
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from adasr_trl.serving import completions, messages
from adasr_trl.serving.access import REALTIME, Access, protocols
from adasr_trl.serving.limits import Limits, RefusalError
from adasr_trl.serving.measures import Measures
from adasr_trl.serving.pool_thread import PoolThread
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from adasr_trl.serving.session import RealtimeSession
from adasr_trl.serving.socket import BETA_FORM, TOO_BUSY, SessionSocket
from adasr_trl.serving.spoken_session import SpokenSession

Answer = TypeVar("Answer")
OUT_OF_TIME = "the server is stopping, and the time for responses is over."
LAST_WORDS_SECONDS = 1.0  # for the events that say so
PAGE = Path(__file__).parent / "page.html"
POLICY_OF_THE_PAGE = (  # its own inline script and style, its own server, and nothing else
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Service:
    """What the routes share.

    Attributes:
        draining: Whether nothing new is taken.
        sessions: The open sockets.
    """

    def __init__(
        self,
        thread: PoolThread,
        model: str,
        access: Access,
        limits: Limits,
        desk: RecogniserDesk | None = None,
    ) -> None:
        self.thread, self.model, self.access, self.limits = thread, model, access, limits
        self._desk = desk
        self.started = int(time.time())
        self.sessions: set[SessionSocket] = set()
        self.measures = Measures(thread.pool, lambda: len(self.sessions))
        self.draining = False
        self._completions: set[completions.ChatStream] = set()
        thread.on_failure = self._failed

    @property
    def max_frame_bytes(self) -> int:
        """Size from which on a frame ends its connection; those above the limits are refused before."""
        sound = self.limits.max_sound_frame_bytes if self._desk else 0
        return sound + 4 * self.limits.max_frame_bytes

    # ---- sessions

    async def realtime(self, websocket: WebSocket) -> None:
        """The endpoint of live sessions."""
        try:
            self.access.check(websocket)
        except RefusalError as error:
            self.measures.refusals.labels(error.code).inc()
            response = JSONResponse({"error": error.body()}, error.status)
            await websocket.send_denial_response(response)
            return
        offers = protocols(websocket)
        await websocket.accept(subprotocol=REALTIME if REALTIME in offers else None)
        try:
            _check_form(websocket)
            self._check_room()
        except RefusalError as error:
            await self._turn_away(websocket, error)
            return
        socket = SessionSocket(websocket, self.thread, self.limits, hears=self._desk is not None)
        self.sessions.add(socket)
        self.measures.sessions.inc()
        try:
            await socket.run(self._session)
        finally:
            self.sessions.discard(socket)

    def _check_room(self) -> None:
        if self.draining:
            raise RefusalError("server_draining", "the server is stopping.", status=503)
        most = self.thread.pool.engine.max_streams
        if len(self.sessions) >= most:
            raise RefusalError("too_many_sessions", f"{most} sessions are open.", status=429)

    async def _turn_away(self, websocket: WebSocket, error: RefusalError) -> None:
        self.measures.refusals.labels(error.code).inc()
        event = {"type": "error", "event_id": messages.new_id("event"), "error": error.body()}
        await websocket.send_text(json.dumps(event))
        await websocket.close(BETA_FORM if error.status < 429 else TOO_BUSY)

    def _session(self, send: Callable[[Any], None]) -> RealtimeSession:
        parts = (self.thread.pool, send, self.thread.post, self.model, self.limits)
        session = SpokenSession(*parts, self._desk) if self._desk else RealtimeSession(*parts)
        session.on_answer = self.measures.answers.observe
        session.on_refusal = lambda code: self.measures.refusals.labels(code).inc()
        return session

    def _failed(self, reason: str) -> None:
        for socket in tuple(self.sessions):
            if socket.session:
                socket.session.fail(reason)
        for stream in tuple(self._completions):
            stream.fail(reason)

    async def drain(self) -> None:
        """Take nothing new, and wait for what is in progress, as long as the limits allow."""
        self.draining = True
        for socket in tuple(self.sessions):
            socket.drain()
        if await self._is_empty(self.limits.drain_seconds):
            return
        self.thread.post(lambda: self._failed(OUT_OF_TIME))
        await self._is_empty(LAST_WORDS_SECONDS)

    async def _is_empty(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (self.sessions or self._completions) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        return not (self.sessions or self._completions)

    # ---- HTTP

    async def health(self, _request: Request) -> Response:
        """Whether new sessions are taken."""
        status = "draining" if self.draining else "ok"
        body = {"status": status, "model": self.model, "streams": len(self.thread.pool)}
        return JSONResponse(body, 503 if self.draining else 200)

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        self.access.check(request)
        return Response(self.measures.page(), media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        """The one model, as a list or by its name."""
        self.access.check(request)
        model = {"id": self.model, "object": "model", "created": self.started, "owned_by": "adasr"}
        name = request.path_params.get("name")
        if not name:
            return JSONResponse({"object": "list", "data": [model]})
        if name != self.model:
            raise RefusalError("model_not_found", f"{self.model} is served here.", "model", 404)
        return JSONResponse(model)

    async def page(self, _request: Request) -> Response:
        """The page to try it on."""
        headers = {
            "Content-Security-Policy": POLICY_OF_THE_PAGE,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=headers)

    async def chat(self, request: Request) -> Response:
        """A whole text at once."""
        self.access.check(request)
        if self.draining:
            raise RefusalError("server_draining", "the server is stopping.", status=503)
        asked = completions.read_request(messages.parse_object(await self._body(request)))
        outbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        send, pool = self.thread.sender(outbox.put_nowait), self.thread.pool

        # In the pool's thread, so that no failure falls between.
        def start() -> completions.ChatStream:
            stream = completions.ChatStream(pool, asked, self.limits, send)
            stream.on_answer = self.measures.answers.observe
            self._completions.add(stream)
            return stream

        stream = await self.thread.ask(start)
        head = completions.head_of(self.model, streamed=asked.streamed)
        if asked.streamed:
            lines = completions.chunks(outbox, head, with_usage=asked.with_usage)
            return _Lines(lines, lambda: self._release(stream))
        try:
            return JSONResponse(await _unless_gone(request, completions.whole(outbox, head)))
        finally:
            self._release(stream)

    def _release(self, stream: completions.ChatStream) -> None:
        self._completions.discard(stream)
        self.thread.post(stream.close)

    async def _body(self, request: Request) -> str:
        most, body = self.limits.max_frame_bytes, b""
        encoding = request.headers.get("content-encoding", "")
        if encoding.lower() not in ("", "identity"):
            reason = f"Content-Encoding: got {encoding[:40]!r}; send the body without compression."
            raise RefusalError("unsupported_encoding", reason, status=415)
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise RefusalError("body_too_large", f"{most} bytes are the most.", status=413)
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise RefusalError("invalid_json", "the body is not UTF-8.") from None


class _Lines(StreamingResponse):
    """Server-sent events; ``release`` is called at their end, also where the client has gone."""

    def __init__(self, lines: AsyncIterator[str], release: Callable[[], None]) -> None:
        # Proxies such as nginx would keep the parts until there are many.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(lines, media_type="text/event-stream", headers=headers)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


async def _unless_gone(request: Request, whole: Coroutine[Any, Any, Answer]) -> Answer:
    """A whole completion; ClientDisconnect if its client has gone, so that nothing is written for nobody."""
    writing = asyncio.ensure_future(whole)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            raise ClientDisconnect
        return writing.result()
    finally:
        for task in (writing, leaving):
            task.cancel()
        await asyncio.gather(writing, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_form(websocket: WebSocket) -> None:
    """Refuse clients of the beta, as OpenAI does: they would wait for events under its old names."""
    offers = (websocket.headers.get("openai-beta", ""), *protocols(websocket))
    if any("realtime=v1" in offer or "realtime-v1" in offer for offer in offers):
        reason = "events have the names of the GA form, such as response.output_text.delta; leave out OpenAI-Beta."
        raise RefusalError("beta_api_shape_disabled", reason)
