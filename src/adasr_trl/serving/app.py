"""The server's routes: the page, ``/v1/realtime``, completions, models, health and figures.

>>> app = build_app(Service(thread, model="demo", access=Access(None, is_loopback=True), limits=Limits()))
>>> uvicorn.run(app)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from adasr_trl.serving.limits import RefusalError
from adasr_trl.serving.service import Service

PATHS = (
    "/v1/realtime (WebSocket)",
    "POST /v1/chat/completions",
    "/v1/models",
    "/health",
    "/metrics",
)
CLIENT_GONE = 499  # nginx's status
# With a key, pages of other sites may ask; browsers send a request without the key first.
OTHER_SITES = Middleware(
    CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"]
)


def build_app(service: Service) -> Starlette:
    """The application, for any ASGI server."""

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        service.measures.refusals.labels(error.code).inc()
        return JSONResponse({"error": error.body()}, error.status)

    async def missed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        service.measures.refusals.labels(code).inc()
        reason = (
            f"{request.method} {request.url.path}: {error.detail}; served are {', '.join(PATHS)}."
        )
        body = {"error": RefusalError(code, reason, status=error.status_code).body()}
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)  # nobody gets it

    async def failed(_request: Request, error: Exception) -> Response:
        reason = f"{type(error).__name__}; the server's log says more."
        return JSONResponse(
            {"error": RefusalError("server_failed", reason, status=500).body()}, 500
        )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.thread.close)

    async def upgrade(_request: Request) -> Response:
        reason = "/v1/realtime is a WebSocket; connect with ws:// and a client of WebSockets."
        raise RefusalError("websocket_only", reason, status=426)

    def route(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str) -> Route:
        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route("/", service.page, "GET"),
            route("/health", service.health, "GET"),
            route("/metrics", service.metrics, "GET"),
            route("/v1/models", service.models, "GET"),
            route("/v1/models/{name:path}", service.models, "GET"),
            route("/v1/chat/completions", service.chat, "POST"),
            route("/v1/chat/completions/", service.chat, "POST"),  # not redirected
            WebSocketRoute("/v1/realtime", service.realtime),
            route("/v1/realtime", upgrade, "GET"),
        ],
        middleware=[OTHER_SITES] if service.access.has_key else [],
        exception_handlers={
            RefusalError: refused,
            HTTPException: missed,
            ClientDisconnect: gone,
            Exception: failed,
        },
        lifespan=lifespan,
    )
