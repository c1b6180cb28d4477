"""Who may come in: an API key, and for a server without one only programs and pages of this machine."""

from __future__ import annotations

import hmac
import os
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from adasr_trl.core.errors import UserError
from adasr_trl.serving.limits import RefusalError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
REALTIME = "realtime"  # OpenAI's subprotocol, and the one that carries a browser's key
KEY_PROTOCOL = "openai-insecure-api-key."


def read_key(name: str | None, host: str) -> str | None:
    """The key in an environment variable, or None without one.

    Raises:
        UserError: The variable is blank or beyond ASCII, or a host that other machines reach has no key.
    """
    key = os.environ.get(name, "").strip() if name else None
    if name and not key:
        raise UserError(f"--api-key-env {name}: the variable is not set, or is blank.")
    if key and not key.isascii():
        raise UserError(
            f"--api-key-env {name}: the key has characters beyond ASCII; no header holds them."
        )
    if key is None and host not in LOOPBACK:
        raise UserError(
            f"--host {host}: other machines reach it; name the variable that holds a key with --api-key-env."
        )
    return key


class Access:
    """Checks of a connection; ``api_key`` None lets everybody on this machine in.

    Attributes:
        has_key: Whether there is a key, so that pages of other sites may come with it.
    """

    def __init__(self, api_key: str | None, *, is_loopback: bool) -> None:
        self._key, self._is_loopback = api_key, is_loopback
        self.has_key = api_key is not None

    def check(self, connection: HTTPConnection) -> None:
        """Refuse a wrong key, and pages of other sites (RefusalError)."""
        host = connection.headers.get("host", "")
        if self._key is None:
            # A name that was bent to this machine.
            if self._is_loopback and _name(f"//{host}") not in LOOPBACK:
                reason = "the server answers to localhost only; start it with --api-key-env."
                raise RefusalError("host_not_allowed", reason, status=403)
            origin = connection.headers.get("origin")
            if origin and origin.partition("://")[2].lower() != host.lower():
                reason = "pages of other sites need a key; start the server with --api-key-env."
                raise RefusalError("origin_not_allowed", reason, status=403)
        elif not hmac.compare_digest(_key_of(connection).encode(), self._key.encode()):
            raise RefusalError("invalid_api_key", "the API key is wrong or missing.", status=401)


def protocols(connection: HTTPConnection) -> list[str]:
    """The WebSocket subprotocols that a client offers."""
    offered = connection.headers.get("sec-websocket-protocol", "")
    return [each.strip() for each in offered.split(",")]


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # such as "//["
        return ""


def _key_of(connection: HTTPConnection) -> str:
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    offered = [each for each in protocols(connection) if each.startswith(KEY_PROTOCOL)]
    return offered[0].removeprefix(KEY_PROTOCOL) if offered else ""
