"""``adasr serve``: a run, its pool, and uvicorn around them; SIGTERM drains, a second one ends at once."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from adasr_trl.live.chosen_source import LANGUAGE, recogniser_threads
from adasr_trl.live.command import load
from adasr_trl.serving.access import LOOPBACK, Access
from adasr_trl.serving.app import build_app
from adasr_trl.serving.limits import Limits
from adasr_trl.serving.pool_thread import PoolThread
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from adasr_trl.serving.service import Service
from adasr_trl.speech.process import load_recogniser

logger = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Uvicorn that lets the service finish what is in progress before it closes connections."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where the page is, once it is there."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            logger.info("page: http://%s/", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; end at the second one.

        Uvicorn would send itself that one again when all is closed, and asyncio answers with a traceback.
        """
        del sig, frame
        if self._service.draining:
            self.should_exit = True
            return
        self._service.draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(self._start_draining)

    def _start_draining(self) -> None:
        logger.info("draining: responses in progress are finished, nothing new is taken")
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        await self._service.drain()
        self.should_exit = True


def run(options: argparse.Namespace, key: str | None) -> int:
    """Serve until a signal ends it; returns the exit status."""
    limits = Limits(idle_seconds=options.idle_seconds, drain_seconds=options.drain_seconds)
    with ExitStack() as stack:
        desk = None
        if options.recogniser:
            desk = stack.enter_context(closing(_desk(options, limits)))
        return _serve(options, key, limits, desk)


def _desk(options: argparse.Namespace, limits: Limits) -> RecogniserDesk:
    language, threads = options.language or LANGUAGE, recogniser_threads()
    load_it = partial(load_recogniser, options.recogniser, language, threads)
    logger.info("loading the recogniser %s", options.recogniser)
    return RecogniserDesk(load_it, Path(options.recogniser).name, limits)


def _serve(
    options: argparse.Namespace, key: str | None, limits: Limits, desk: RecogniserDesk | None
) -> int:
    reasoner = load(options)
    pool = reasoner.pool(options.max_streams, options.max_cache_gib)
    access = Access(key, is_loopback=options.host in LOOPBACK)
    name = options.model_name or Path(str(options.run)).name
    service = Service(PoolThread(pool), name, access, limits, desk)
    server = DrainingServer(config(service, options.host, options.port), service)
    server.run()
    return 0 if server.started else 1


def config(service: Service, host: str, port: int) -> uvicorn.Config:
    """Uvicorn's settings."""
    return uvicorn.Config(
        build_app(service),
        host=host,
        port=port,
        # Frames above the limit are refused by an event; those far above end the connection.
        ws_max_size=service.max_frame_bytes,
        ws_per_message_deflate=False,  # small frames gain nothing, and wait for it
        timeout_graceful_shutdown=5,
        access_log=False,
        log_level="warning",
    )
