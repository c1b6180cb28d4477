"""``POST /v1/chat/completions`` for clients that know no streaming input: a whole text, its thoughts, and the answer.

The system's message is the question and the user's messages are the text; without one, the question ends the text.
Thoughts are ``reasoning_content``, as servers of reasoning models have it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending
from adasr_trl.engines import Sampling
from adasr_trl.live.pool import PoolFullError, StreamPool
from adasr_trl.live.stream import EARLY_ENDS, Event, EventKind, LiveStream
from adasr_trl.serving import messages
from adasr_trl.serving.conversation import Conversation
from adasr_trl.serving.limits import Limits, RefusalError
from adasr_trl.serving.messages import Message
from adasr_trl.serving.response import answer_tokens

_KINDS = {EventKind.ANSWER: "content"}


@dataclass(frozen=True)
class ChatRequest:
    """A checked request."""

    question: str
    texts: tuple[str, ...]
    sampling: Sampling | None
    seed: int
    streamed: bool
    with_usage: bool


def read_request(body: Message) -> ChatRequest:
    """A request's body.

    Raises:
        RefusalError: It asks for what is not served.
    """
    turns = body.get("messages")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise RefusalError("invalid_value", "messages: expected a list of objects.", "messages")
    if body.get("tools") or body.get("n", 1) != 1:
        raise RefusalError("unsupported", "no tools, and one choice, are served.")
    question, texts = "", []
    for turn in turns:
        if turn.get("role") in ("system", "developer"):
            question = f"{question} {text_of(turn)}".strip()
        else:
            texts.append(messages.user_text({**turn, "content": text_of(turn)}))
    temperature = messages.number_field(body, "temperature", 0.0, 2.0)
    top_p = messages.number_field(body, "top_p", 1e-6, 1.0)
    options = messages.object_field(body, "stream_options")
    return ChatRequest(
        question=question,
        texts=tuple(texts),
        sampling=Sampling(temperature, top_p=top_p or 1.0) if temperature is not None else None,
        seed=int(messages.number_field(body, "seed", 0, 2**53) or 0),
        streamed=body.get("stream") is True,
        with_usage=options.get("include_usage") is True,
    )


def text_of(turn: Message) -> str:
    """The text of a message, whole or in parts."""
    content = turn.get("content")
    if isinstance(content, str):
        return messages.text_field(turn, "content")
    if not isinstance(content, list):
        raise RefusalError("invalid_value", "content: expected a text.", "messages")
    return "".join(messages.text_field(part, "text") for part in content if isinstance(part, dict))


class ChatStream:
    """One completion; all but ``deltas`` runs in the pool's thread."""

    def __init__(
        self, pool: StreamPool, request: ChatRequest, limits: Limits, send: Callable[[Any], None]
    ) -> None:
        """Start it; refusals are RefusalErrors."""
        self._pool, self._request, self._send = pool, request, send
        self._sent: dict[EventKind, str] = {}
        self._conversation = Conversation(self._open, pool.close, limits)
        try:
            self._conversation.question = request.question
            for number, text in enumerate(request.texts):
                self._conversation.put(str(number), text, None)
            self._stream = self._conversation.finish("")
        except PoolFullError as error:
            raise RefusalError("too_many_streams", str(error), status=429) from error
        except UserError as error:
            raise RefusalError("invalid_input", str(error)) from error
        if self._stream.answered:
            self._take(Event(EventKind.ANSWER, "", Ending.OUT_OF_TOKENS))

    def close(self) -> None:
        """Forget the stream."""
        self._conversation.close()

    def _open(self, question: str) -> LiveStream:
        options: dict[str, Any] = {"seed": self._request.seed, "sampling": self._request.sampling}
        stream = self._pool.open(question, on_event=self._take, **options)
        stream.on_draft = self._draft
        return stream

    def _draft(self, kind: EventKind, text: str) -> None:
        sent = self._sent.get(kind, "")
        if len(text) > len(sent):
            self._send((_KINDS.get(kind, "reasoning_content"), text[len(sent) :]))
            self._sent[kind] = text

    def _take(self, event: Event) -> None:
        if event.kind in (EventKind.THOUGHT, EventKind.DEEP, EventKind.ANSWER):
            self._draft(event.kind, event.text)
            if event.text and event.kind is not EventKind.ANSWER:
                self._send(("reasoning_content", "\n"))
            self._sent.pop(event.kind, None)
        if event.kind is EventKind.ANSWER and self._conversation.stream:
            self._send(("done", self._result(self._conversation.stream, event)))
        elif event.kind in EARLY_ENDS:
            self._send(("failed", RefusalError(event.kind.value, event.text)))

    def _result(self, stream: LiveStream, answer: Event) -> dict[str, Any]:
        given, written = stream.given_tokens[0], len(stream.token_seconds)
        usage = {
            "prompt_tokens": given,
            "completion_tokens": written,
            "total_tokens": given + written,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": written - answer_tokens(stream, answer)
            },
        }
        return {"reason": "stop" if answer.ending is Ending.ANSWERED else "length", "usage": usage}


async def chunks(
    outbox: asyncio.Queue[tuple[str, Any]], head: dict[str, Any], *, with_usage: bool
) -> AsyncIterator[str]:
    """A streamed completion as server-sent events."""

    def line(delta: dict[str, str], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _sent({**head, "choices": [choice]})

    yield line({"role": "assistant", "content": ""})
    while True:
        kind, value = await outbox.get()
        if kind == "failed":
            yield _sent({"error": value.body()})
            return
        if kind == "done":
            yield line({}, value["reason"])
            if with_usage:
                yield _sent({**head, "choices": [], "usage": value["usage"]})
            yield "data: [DONE]\n\n"
            return
        yield line({kind: value})


async def whole(outbox: asyncio.Queue[tuple[str, Any]], head: dict[str, Any]) -> dict[str, Any]:
    """A completion at once; a RefusalError if the stream ended early."""
    texts = {"content": "", "reasoning_content": ""}
    while True:
        kind, value = await outbox.get()
        if kind == "failed":
            raise value
        if kind == "done":
            message = {"role": "assistant", **{name: text.strip() for name, text in texts.items()}}
            choice = {"index": 0, "message": message, "finish_reason": value["reason"]}
            choice["logprobs"] = None
            return {**head, "choices": [choice], "usage": value["usage"]}
        texts[kind] += value


def head_of(model: str, *, streamed: bool) -> dict[str, Any]:
    """The fields that all parts of a completion share."""
    kind = "chat.completion.chunk" if streamed else "chat.completion"
    return {
        "id": messages.new_id("chatcmpl"),
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _sent(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
