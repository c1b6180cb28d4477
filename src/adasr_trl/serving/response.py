"""One response as OpenAI's Realtime API tells it: its events in order, and the object that all of them repeat.

response.created, output_item.added, (response.thought.*), content_part.added, output_text.delta ..., output_text.done,
content_part.done, output_item.done, response.done
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adasr_trl.core.protocol import Ending
from adasr_trl.live.stream import Event, EventKind, LiveStream
from adasr_trl.serving.limits import RefusalError
from adasr_trl.serving.messages import assistant_item, new_id

Emit = Callable[..., None]  # called with a type and its fields


class Response:
    """A response from its start to its last event.

    Attributes:
        id: Its id.
        asked_at: When it was asked for, in seconds of ``time.monotonic``.
    """

    def __init__(
        self, stream: LiveStream, emit: Emit, conversation_id: str, metadata: Any, asked_at: float
    ) -> None:
        self.id, self.item_id = new_id("resp"), new_id("item")
        self.asked_at = asked_at
        self._stream, self._emit = stream, emit
        self._conversation_id, self._metadata = conversation_id, metadata
        self._cached = stream.given_tokens[1]
        self._text: str | None = None  # of the answer, as far as it was sent
        emit("response.created", response=self._object("in_progress"))
        item = assistant_item(self.item_id, None, "in_progress")
        self._event("response.output_item.added", output_index=0, item=item)
        emit("conversation.item.added", previous_item_id=None, item=item)

    def draft(self, text: str) -> None:
        """The answer so far."""
        self._begin_text()
        sent = self._text or ""
        if delta := text[len(sent) :]:
            self._part("response.output_text.delta", delta=delta)
            self._text = text

    def done(self, answer: Event, written: int) -> dict[str, Any]:
        """The answer is complete, or will never be; returns the response."""
        self.draft(answer.text)
        if answer.ending is Ending.ANSWERED:
            return self._finish("completed", None, written, answer)
        if answer.ending is Ending.OUT_OF_TOKENS and not self._stream.ended_early:
            details = {"type": "incomplete", "reason": "max_output_tokens"}
            return self._finish("incomplete", details, written, answer)
        failure = self._stream.failure or ""
        return self.failed(RefusalError("no_answer", failure, status=500), written)

    def cancelled(self, written: int) -> dict[str, Any]:
        """The client has taken it back; returns the response."""
        details = {"type": "cancelled", "reason": "client_cancelled"}
        return self._finish("cancelled", details, written, None)

    def failed(self, error: RefusalError, written: int) -> dict[str, Any]:
        """There will be no answer; returns the response."""
        return self._finish("failed", {"type": "failed", "error": error.body()}, written, None)

    def _begin_text(self) -> None:
        if self._text is None:
            self._text = ""
            self._part("response.content_part.added", part={"type": "text", "text": ""})

    def _finish(
        self, status: str, details: object, written: int, answer: Event | None
    ) -> dict[str, Any]:
        self._begin_text()
        text = self._text or ""
        self._part("response.output_text.done", text=text)
        self._part("response.content_part.done", part={"type": "text", "text": text})
        item = assistant_item(
            self.item_id, text, "completed" if status == "completed" else "incomplete"
        )
        self._event("response.output_item.done", output_index=0, item=item)
        self._emit("conversation.item.done", previous_item_id=None, item=item)
        response = self._object(status)
        response |= {"output": [item], "status_details": details}
        response["usage"] = self._usage(written, answer)
        self._emit("response.done", response=response)
        return response

    def _usage(self, written: int, answer: Event | None) -> dict[str, Any]:
        given = self._stream.given_tokens[0]
        answered = answer_tokens(self._stream, answer) if answer else 0
        return {
            "total_tokens": given + written,
            "input_tokens": given,
            "output_tokens": written,
            "input_token_details": {
                "text_tokens": given,
                "audio_tokens": 0,
                "cached_tokens": min(self._cached, given),
            },
            "output_token_details": {
                "text_tokens": answered,
                "audio_tokens": 0,
                "reasoning_tokens": written - answered,
            },
        }

    def _object(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": self._conversation_id,
            "output_modalities": ["text"],
            "max_output_tokens": "inf",
            "metadata": self._metadata,
            "usage": None,
        }

    def _part(self, kind: str, **fields: object) -> None:
        self._event(kind, item_id=self.item_id, output_index=0, content_index=0, **fields)

    def _event(self, kind: str, **fields: object) -> None:
        self._emit(kind, response_id=self.id, **fields)


def early_end(event: Event) -> RefusalError:
    """Why a stream ended before its text did; the backend's failures are the server's."""
    status = 502 if event.kind is EventKind.FAILED else 400
    return RefusalError(event.kind.value, event.text, status=status)


def answer_tokens(stream: LiveStream, answer: Event) -> int:
    """Written tokens of the answer itself, up to the end of its value; 0 without one."""
    return max(answer.tokens - (stream.reasoning_tokens or answer.tokens), 0)
