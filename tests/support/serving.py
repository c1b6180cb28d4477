"""A server on a loopback port in a thread of its own, and a client that speaks frames."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adasr_trl.serving.access import Access
from adasr_trl.serving.command import DrainingServer, config
from adasr_trl.serving.limits import Limits
from adasr_trl.serving.pool_thread import PoolThread
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from adasr_trl.serving.service import Service
from adasr_trl.serving.session import RealtimeSession
from adasr_trl.serving.spoken_session import SpokenSession


@dataclass
class Served:
    """A running server."""

    service: Service
    server: DrainingServer
    port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def connect(self, **options: Any) -> Any:
        from websockets.sync.client import connect

        return connect(self.socket, open_timeout=60, close_timeout=60, **options)


@contextlib.contextmanager
def serving(
    pool: Any,
    *,
    key: str | None = None,
    limits: Limits | None = None,
    recogniser: RecogniserDesk | None = None,
) -> Iterator[Served]:
    access = Access(key, is_loopback=True)
    service = Service(PoolThread(pool), "tiny", access, limits or Limits(), recogniser)
    server = DrainingServer(config(service, "127.0.0.1", 0), service)
    thread = threading.Thread(target=server.run, name="adasr-test-server")
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(service, server, port)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def get(url: str, body: object = None, key: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and text of a reply; with a body, of a POST."""
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def send(socket: Any, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def until(socket: Any, kind: str) -> list[dict[str, Any]]:
    """All events up to the first of a kind."""
    events = []
    while not events or events[-1]["type"] != kind:
        events.append(json.loads(socket.recv(timeout=60)))
    return events


class Desk:
    """A session without a network: client events in, server events in a list."""

    def __init__(
        self, pool: Any, limits: Limits | None = None, recogniser: RecogniserDesk | None = None
    ) -> None:
        self.pool, self.events, self._later = pool, [], []
        parts = (pool, self.events.append, self._later.append, "tiny", limits or Limits())
        self.session = SpokenSession(*parts, recogniser) if recogniser else RealtimeSession(*parts)

    def send(self, kind: str, **fields: Any) -> None:
        self.session.receive({"type": kind, **fields})

    def run(self, steps: int = 100_000) -> None:
        for _ in range(steps):
            while self._later:
                self._later.pop(0)()
            if not self.pool.step() and not self._later:
                return

    def wait(self, kind: str, count: int = 1, seconds: float = 20.0) -> None:
        """Run until so many events of a kind have come from other threads, too."""
        end = time.monotonic() + seconds
        while len(self.of(kind)) < count:
            assert time.monotonic() < end, [event["type"] for event in self.events]
            self.run()
            time.sleep(0.005)
        self.run()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def answer(self) -> dict[str, Any]:
        """The last response."""
        return self.of("response.done")[-1]["response"]

    def text(self) -> str:
        return self.answer()["output"][0]["content"][0]["text"]

    def errors(self) -> list[str]:
        return [event["error"]["code"] for event in self.of("error")]
