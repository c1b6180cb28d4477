"""Bounds of a server on what clients may ask of it, and refusals with a code.

    >>> raise RefusalError("no_question", "session.instructions is empty; send session.update with the question.")

A refusal becomes an ``error`` event or body in OpenAI's form; the connection stays, unless the limit ends it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds; ours.

    Attributes:
        max_frame_bytes: Size of one event, and of an HTTP body.
        max_sound_frame_bytes: Size of an event with sound; OpenAI's API takes 15 MiB of samples.
        max_text_characters: Input of one session.
        max_items: Items of one conversation.
        events_per_second: Sustained rate of a session's events; ``event_burst`` may come at once.
        event_burst: See above.
        idle_seconds: Longest silence of a client before its session ends.
        max_unsent_events: Events that wait for a slow client before its session ends.
        max_listeners: Sessions whose sound is recognised at once.
        max_waiting_sound_seconds: Sound of one session that waits for the recogniser.
        drain_seconds: Time for responses in progress once the server is told to stop.
    """

    max_frame_bytes: int = 256 * 1024
    max_sound_frame_bytes: int = 16 * 1024 * 1024
    max_text_characters: int = 200_000
    max_items: int = 10_000
    events_per_second: float = 200.0
    event_burst: int = 2_000
    idle_seconds: float = 300.0
    max_unsent_events: int = 20_000
    max_listeners: int = 8
    max_waiting_sound_seconds: float = 120.0
    drain_seconds: float = 30.0


class RefusalError(Exception):
    """A request that is not served.

    Attributes:
        code: Machine-readable reason.
        param: The field at fault, or None.
        status: HTTP status where there is one.
    """

    def __init__(self, code: str, message: str, param: str | None = None, status: int = 400):
        super().__init__(message)
        self.code, self.param, self.status = code, param, status

    def body(self, event_id: str | None = None) -> dict[str, object]:
        """The error in OpenAI's form; ``event_id`` is the client's."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {
            "type": kind,
            "code": self.code,
            "message": str(self),
            "param": self.param,
            "event_id": event_id,
        }


class RateLimiter:
    """A token bucket."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._left, self._at = float(burst), time.monotonic()

    def take(self) -> bool:
        """Whether one more event is within the rate."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
