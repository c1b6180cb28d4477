"""A WebSocket of ``/v1/realtime``: frames to a session and its events to frames, within the limits.

Two tasks: one reads frames, one writes events. Both end with the connection, at a limit, or when the server drains.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from adasr_trl.serving import messages
from adasr_trl.serving.limits import Limits, RateLimiter, RefusalError
from adasr_trl.serving.pool_thread import PoolThread
from adasr_trl.serving.session import AUDIO_BUFFER, RealtimeSession

logger = logging.getLogger(__name__)
NORMAL, GOING_AWAY, TOO_BUSY = 1000, 1001, 1013  # close codes of RFC 6455
BETA_FORM = 4000  # OpenAI's own
DRAIN_SECONDS = 0.05  # between looks at a response in progress
CLOSE_SECONDS = 5.0  # longest wait for a client that reads nothing
APPEND_SOUND = f"{AUDIO_BUFFER}.append"
_END = None  # the last thing in an outbox


class SessionSocket:
    """See the module.

    Attributes:
        session: Lives in the pool's thread.
    """

    def __init__(
        self, websocket: WebSocket, thread: PoolThread, limits: Limits, *, hears: bool
    ) -> None:
        self._websocket, self._thread, self._limits = websocket, thread, limits
        self._hears = hears
        self._outbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._send = thread.sender(self._put)
        self._close_code = NORMAL
        self._is_draining, self._is_too_slow = asyncio.Event(), asyncio.Event()
        self.session: RealtimeSession | None = None

    async def run(self, start: Callable[[Callable[[Any], None]], RealtimeSession]) -> None:
        """Serve until the end; ``start`` makes the session, in the pool's thread."""
        self.session = session = await self._thread.ask(lambda: start(self._send))
        writing = asyncio.create_task(self._write())
        reading = asyncio.create_task(self._read(session))
        draining = asyncio.create_task(self._drain(session))
        slow = asyncio.create_task(self._is_too_slow.wait())
        tasks = (writing, reading, draining, slow)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not (writing.done() or slow.done()):  # what was said already is still sent
                self._outbox.put_nowait(_END)
                await asyncio.wait({writing}, timeout=self._limits.drain_seconds)
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    logger.error("a task of a session failed", exc_info=result)
            self._thread.post(session.close)
            await self._close()

    def drain(self) -> None:
        """End the session as soon as no response is in progress."""
        self._is_draining.set()

    async def _read(self, session: RealtimeSession) -> None:
        rate = RateLimiter(self._limits.events_per_second, self._limits.event_burst)
        while True:
            try:
                frame = await asyncio.wait_for(self._websocket.receive(), self._limits.idle_seconds)
            except TimeoutError:
                if session.responding:
                    continue
                reason = f"nothing came for {self._limits.idle_seconds:g} seconds."
                await self._refuse(session, RefusalError("session_idle", reason))
                return
            if frame["type"] == "websocket.disconnect":
                return
            try:
                message = self._parsed(frame, rate)
            except RefusalError as error:
                await self._refuse(session, error)
                continue
            self._thread.post(lambda message=message: session.receive(message))  # type: ignore[misc]

    def _parsed(self, frame: Any, rate: RateLimiter) -> messages.Message:
        if not rate.take():
            most = f"{self._limits.events_per_second:g} events a second are the most; "
            raise RefusalError("rate_limit_exceeded", f"{most}this one was dropped.", status=429)
        text = frame.get("text")
        if text is None:
            raise RefusalError("binary_frame", "frames are text; send JSON.")
        is_large = len(text) > self._limits.max_frame_bytes
        if is_large and not (self._hears and len(text) <= self._limits.max_sound_frame_bytes):
            self._refuse_size()
        message = messages.parse(text)
        if is_large and message["type"] != APPEND_SOUND:
            self._refuse_size()
        return message

    def _refuse_size(self) -> NoReturn:
        most = f"a frame has {self._limits.max_frame_bytes} bytes at most"
        sound = f", one with sound {self._limits.max_sound_frame_bytes}" if self._hears else ""
        raise RefusalError("frame_too_large", f"{most}{sound}.")

    def _put(self, event: dict[str, Any]) -> None:
        if self._outbox.qsize() < self._limits.max_unsent_events:
            self._outbox.put_nowait(event)
        else:  # the client reads too slowly
            self._close_code = TOO_BUSY
            self._is_too_slow.set()

    async def _write(self) -> None:
        while (event := await self._outbox.get()) is not _END:
            try:
                await self._websocket.send_text(json.dumps(event, ensure_ascii=False))
            except (WebSocketDisconnect, RuntimeError):  # it has gone
                return

    async def _drain(self, session: RealtimeSession) -> None:
        await self._is_draining.wait()
        while session.responding:
            await asyncio.sleep(DRAIN_SECONDS)
        self._close_code = GOING_AWAY
        await self._refuse(session, RefusalError("server_draining", "the server is stopping."))

    async def _refuse(self, session: RealtimeSession, error: RefusalError) -> None:
        await self._thread.ask(lambda: session.refuse(error))

    async def _close(self) -> None:
        if self._websocket.client_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                await asyncio.wait_for(self._websocket.close(self._close_code), CLOSE_SECONDS)
