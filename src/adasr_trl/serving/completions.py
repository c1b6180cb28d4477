"""``POST /v1/chat/completions`` for clients that know no streaming input: a whole text, its thoughts, and the answer.

The system's message is the question and the user's messages are the text; without one, the question ends the text.
The assistant's are earlier answers, which are not read. Thoughts are ``reasoning_content``, as servers of reasoning
models have it.
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
from adasr_trl.serving.response import answer_tokens, early_end

_KINDS = {EventKind.ANSWER: "content"}
# What other values would ask for is not served; clients send these, or null, where they do not mind.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "stop": ([], ""),
    "tools": ([],),
    "functions": ([],),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tool_choice": ("auto", "none"),
    "function_call": ("auto", "none"),
    # What vLLM, llama.cpp and others have besides.
    "best_of": (1,),
    "echo": (False,),
    "ignore_eos": (False,),
    "min_tokens": (0,),
    "stop_token_ids": ([],),
    "bad_words": ([],),
    "use_beam_search": (False,),
    "continue_final_message": (False,),
    "prompt_logprobs": (),
    **dict.fromkeys(("guided_json", "guided_regex", "guided_choice", "guided_grammar"), ()),
    **dict.fromkeys(("structured_outputs", "json_schema"), ()),
    "grammar": ("",),
}
# The same of sampled answers; greedy ones do not depend on them.
_NEUTRAL_IN_SAMPLING: dict[str, tuple[object, ...]] = {
    "top_k": (-1, 0),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "repeat_penalty": (1,),
    "typical_p": (1,),
    "tfs_z": (1,),
    "mirostat": (0,),
}
_MOST_TOKENS = 2**31


@dataclass(frozen=True)
class ChatRequest:
    """A checked request.

    Attributes:
        question: What the model knows first; "" if it ends the texts.
        texts: The user's messages.
        sampling: None for the server's own.
        seed: Of the sampling.
        max_tokens: Tokens that are written at most, thoughts among them; None for the model's own caps.
        streamed: Whether the answer comes in parts.
        with_usage: Whether a streamed one ends with the counts.
    """

    question: str
    texts: tuple[str, ...]
    sampling: Sampling | None
    seed: int
    max_tokens: int | None
    streamed: bool
    with_usage: bool


def read_request(body: Message) -> ChatRequest:
    """A request's body.

    Raises:
        RefusalError: It asks for what is not served.
    """
    temperature = messages.temperature_field(body)
    for name, served in (_NEUTRAL | (_NEUTRAL_IN_SAMPLING if temperature else {})).items():
        value = body.get(name)
        if value is not None and value not in served:
            expected = (
                f"only {served[0]!r} is served" if served else "it is not served; leave it out"
            )
            reason = f"{name}: got {repr(value)[:80]}; {expected}."
            raise RefusalError("unsupported_value", reason, name)
    question, texts = _read_messages(body)
    top_p = messages.number_field(body, "top_p", 1e-6, 1.0)
    caps = [
        messages.whole_field(body, name, 1, _MOST_TOKENS)
        for name in ("max_tokens", "max_completion_tokens")
    ]
    options = messages.object_field(body, "stream_options")
    return ChatRequest(
        question=question,
        texts=texts,
        sampling=Sampling(temperature, top_p=top_p or 1.0) if temperature is not None else None,
        seed=messages.whole_field(body, "seed", 0, 2**53) or 0,
        max_tokens=min((cap for cap in caps if cap is not None), default=None),
        streamed=messages.flag_field(body, "stream", default=False),
        with_usage=messages.flag_field(options, "include_usage", default=False),
    )


def _read_messages(body: Message) -> tuple[str, tuple[str, ...]]:
    """The question and the texts. Earlier answers are left out, as in a session, whose text goes on behind them."""
    turns = body.get("messages")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise RefusalError("invalid_value", "messages: expected a list of objects.", "messages")
    question, texts = "", []
    for turn in turns:
        role = turn.get("role")
        if role in ("system", "developer"):
            question = f"{question} {messages.content_text(turn, 'messages')}".strip()
        elif role == "user":
            texts.append(messages.user_text(turn))
        elif role != "assistant" or turn.get("tool_calls") or turn.get("function_call"):
            reason = f"messages: got the role {str(role)[:80]!r}; system, developer, user and assistant are served, without tools."
            raise RefusalError("unsupported_role", reason, "messages")
    return question, tuple(texts)


class ChatStream:
    """One completion; all of it runs in the pool's thread."""

    def __init__(
        self, pool: StreamPool, request: ChatRequest, limits: Limits, send: Callable[[Any], None]
    ) -> None:
        """Start it; refusals are RefusalErrors, and leave nothing behind."""
        self._pool, self._request, self._send = pool, request, send
        self._sent: dict[EventKind, str] = {}
        self._asked_at = time.monotonic()
        self._has_ended = False
        self.on_answer: Callable[[float], None] = lambda _: None
        self._conversation = Conversation(self._open, pool.close, limits)
        try:
            self._start(request)
        except PoolFullError as error:
            raise RefusalError("too_many_streams", str(error), status=429) from error
        except UserError as error:
            self.close()
            raise RefusalError("invalid_input", str(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the stream."""
        self._has_ended = True
        self._conversation.close()

    def fail(self, reason: str) -> None:
        """Say that the server has failed, if the completion is not over."""
        self._end("failed", RefusalError("server_failed", reason, status=500))

    def _start(self, request: ChatRequest) -> None:
        self._conversation.question = request.question
        for number, text in enumerate(request.texts):
            self._conversation.put(str(number), text, None)
        stream = self._conversation.finish("")
        if stream.answered:  # it had ended before
            self._take(Event(EventKind.ANSWER, "", Ending.OUT_OF_TOKENS))

    def _open(self, question: str) -> LiveStream:
        options: dict[str, Any] = {"seed": self._request.seed, "sampling": self._request.sampling}
        stream = self._pool.open(question, on_event=self._take, **options)
        stream.on_draft = self._draft
        return stream

    def _draft(self, kind: EventKind, text: str) -> None:
        sent = self._sent.get(kind, "")
        if not self._is_cut() and len(text) > len(sent):
            self._send((_KINDS.get(kind, "reasoning_content"), text[len(sent) :]))
            self._sent[kind] = text

    def _take(self, event: Event) -> None:
        if self._is_cut():
            return
        if event.kind in (EventKind.THOUGHT, EventKind.DEEP, EventKind.ANSWER):
            self._draft(event.kind, event.text)
            if event.text and event.kind is not EventKind.ANSWER:
                self._send(("reasoning_content", "\n"))
            self._sent.pop(event.kind, None)
        stream = self._conversation.stream
        if event.kind is EventKind.ANSWER and stream:
            is_answered = event.ending is Ending.ANSWERED
            self._end("done", self._result(stream, answer_tokens(stream, event), is_answered))
            if is_answered:
                self.on_answer(event.at - self._asked_at)
        elif event.kind in EARLY_ENDS:
            self._end("failed", early_end(event))

    def _is_cut(self) -> bool:
        """Whether it is over; it ends here at the first token beyond the request's bound."""
        stream, most = self._conversation.stream, self._request.max_tokens
        if not self._has_ended and stream and most and len(stream.token_seconds) > most:
            reasoning = stream.reasoning_tokens
            answered = 0 if reasoning is None else max(stream.deep_tokens - 1 - reasoning, 0)
            self._end("done", self._result(stream, answered, is_answered=False))
        return self._has_ended

    def _end(self, kind: str, value: object) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._send((kind, value))

    def _result(self, stream: LiveStream, answered: int, is_answered: bool) -> dict[str, Any]:
        given, written = stream.given_tokens[0], len(stream.token_seconds)
        written = min(written, self._request.max_tokens or written)
        usage = {
            "prompt_tokens": given,
            "completion_tokens": written,
            "total_tokens": given + written,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": written - answered},
        }
        return {"reason": "stop" if is_answered else "length", "usage": usage}


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
