"""One client's session of the Realtime protocol: client events in, server events out.

    >>> session = RealtimeSession(pool, send=print, later=calls.append, model="demo", limits=Limits())
    >>> session.receive({"type": "session.update", "session": {"instructions": "How many coins does Tom have?"}})
    >>> session.receive({"type": "input_text.append", "text": "Tom has 5 coins. "})
    >>> session.receive({"type": "response.create"})
    >>> while pool.step():
    ...     pass

A plain object without threads: all of it runs in the pool's thread. Input that comes while an answer is written waits
for its end.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending
from adasr_trl.engines import Sampling
from adasr_trl.live.pool import PoolFullError, StreamPool
from adasr_trl.live.stream import EARLY_ENDS, Event, EventKind, LiveStream
from adasr_trl.serving import messages
from adasr_trl.serving.conversation import Conversation
from adasr_trl.serving.limits import Limits, RefusalError
from adasr_trl.serving.messages import Message, new_id, object_field, text_field
from adasr_trl.serving.response import Response, early_end

logger = logging.getLogger(__name__)
Send = Callable[[dict[str, Any]], None]
BUFFERS = ("input_text", "input_text_buffer")
AUDIO_BUFFER = "input_audio_buffer"
PHASES = {EventKind.THOUGHT: "stream", EventKind.DEEP: "deep"}


class RealtimeSession:
    """See the module.

    Attributes:
        responding: Whether a response is in progress.
        on_answer: Called with the answer latency in seconds.
        on_refusal: Called with the code of each refusal.
    """

    def __init__(
        self,
        pool: StreamPool,
        send: Send,
        later: Callable[[Callable[[], None]], None],
        model: str,
        limits: Limits,
    ) -> None:
        self._pool, self._send, self._later, self._limits = pool, send, later, limits
        self._conversation = Conversation(self._open, pool.close, limits)
        self._response: Response | None = None
        self._held: deque[Message] = deque()
        self._held_characters = 0
        self._sampling: Sampling | None = None
        self._seed = 0
        self._half = ""  # of a character whose other half is still to come
        self._wants_thoughts = True
        self._drafted: dict[EventKind, str] = {}  # of the thought at hand, as far as it was sent
        self._written = 0  # tokens of thoughts since the last response
        self._started = time.monotonic()
        self._conversation_id = new_id("conv")
        self._session = {
            "id": new_id("sess"),
            "object": "realtime.session",
            "type": "realtime",
            "model": model,
            "output_modalities": ["text"],
            "instructions": "",
            "thoughts": True,
        }
        self.on_answer: Callable[[float], None] = lambda _: None
        self.on_refusal: Callable[[str], None] = lambda _: None
        self._handlers: dict[str, Callable[[Message], None]] = {
            "session.update": self._update,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.retrieve": self._retrieve_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }
        for name in BUFFERS:
            self._handlers[f"{name}.append"] = self._append
            self._handlers[f"{name}.commit"] = self._commit
            self._handlers[f"{name}.clear"] = self._clear
        for name in ("append", "commit", "clear"):
            self._handlers[f"{AUDIO_BUFFER}.{name}"] = self._refuse_audio
        self._begin()

    def _begin(self) -> None:
        self._emit("session.created", session=dict(self._session))

    @property
    def responding(self) -> bool:
        """See the class."""
        return self._response is not None

    def receive(self, message: Message) -> None:
        """Take a client event; what it causes is sent now, or with later steps of the pool."""
        try:
            event_id = messages.id_field(message, "event_id", messages.MAX_EVENT_ID)
        except RefusalError as error:
            self.refuse(error)
        else:
            self.guarded(lambda: self._receive(message), event_id)

    def guarded(self, call: Callable[[], None], event_id: str | None = None) -> None:
        """Do something for the client, who hears why it was not done."""
        try:
            call()
        except PoolFullError as error:
            self.refuse(RefusalError("too_many_streams", str(error)), event_id)
        except UserError as error:
            self.refuse(RefusalError("invalid_input", str(error)), event_id)
        except RefusalError as error:
            self.refuse(error, event_id)
        except Exception as error:  # a fault with one client's event is that client's alone
            logger.exception("an event of a session failed")
            self.fail(f"{type(error).__name__}: {error}")

    def _receive(self, message: Message) -> None:
        kind = message["type"]
        if kind not in self._handlers:
            raise RefusalError("unknown_event", f"{kind[:80]!r} is no event of here.", "type")
        if self._must_wait(kind):
            self._hold(message)
        else:
            self._handlers[kind](message)

    def refuse(self, error: RefusalError, event_id: str | None = None) -> None:
        """Say why something is not done."""
        self.on_refusal(error.code)
        self._emit("error", error=error.body(event_id))

    def fail(self, reason: str) -> None:
        """Say that the server has failed; the stream is gone, and a response in progress is over."""
        error = RefusalError("server_failed", reason, status=500)
        self.refuse(error)
        self._conversation.close()
        self._drafted.clear()
        if self._response:
            self._response.failed(error, self._written)
            self._release()

    def close(self) -> None:
        """Forget the session, wherever it is."""
        self._response = None
        self._conversation.close()

    # ---- client events

    def _must_wait(self, kind: str) -> bool:
        """Whether an event is taken later."""
        return self._is_busy and not (self.responding and kind.startswith("response."))

    @property
    def _is_busy(self) -> bool:
        return self.responding

    def _refuse_audio(self, message: Message) -> None:
        reason = f"{message['type']}: the server has no recogniser; start it with --recogniser."
        raise RefusalError("unsupported_audio", reason, "type")

    def _update(self, message: Message) -> None:
        change = object_field(message, "session")
        if (change.get("type") or "realtime") != "realtime":
            reason = "session.type: only realtime is served."
            raise RefusalError("unsupported_session", reason, "session.type")
        if change.get("tools"):
            raise RefusalError("unsupported_tools", "the model calls no tools.", "session.tools")
        temperature = messages.temperature_field(change)
        seed = messages.whole_field(change, "seed", 0, 2**53)
        thoughts = messages.flag_field(change, "thoughts", default=self._wants_thoughts)
        instructions = text_field(change, "instructions", self._conversation.question)
        self._update_sound(change)  # all or nothing: the last one that may refuse
        self._wants_thoughts, self._conversation.question = thoughts, instructions.strip()
        if temperature is not None:
            self._sampling = Sampling(temperature)
            self._session["temperature"] = temperature
        if seed is not None:
            self._seed = self._session["seed"] = seed
        self._session |= {"instructions": instructions, "thoughts": thoughts}
        self._emit("session.updated", session=dict(self._session))

    def _update_sound(self, change: Message) -> None:
        """Change how sound is read, where it is."""

    def _append(self, message: Message) -> None:
        half, self._half = self._half, ""
        text, self._half = messages.piece_field(message, "text", half)
        self._conversation.append(text)

    def _commit(self, message: Message) -> None:
        self._committed(message["type"].partition(".")[0])

    def _committed(self, family: str, item_id: str | None = None) -> None:
        if self._half:
            self._half = ""
            raise RefusalError("invalid_value", "text: ended in half a character.", "text")
        items = self._conversation.items
        before = items[-1].id if items else None
        item = self._conversation.commit(item_id or new_id("item"))
        self._emit(f"{family}.committed", item_id=item.id, previous_item_id=before)
        self._added(item.id, item.text, before)

    def _clear(self, message: Message) -> None:
        self._half = ""
        self._conversation.clear()
        stream = self._conversation.stream
        kept = stream.tokens[1] if stream else 0
        self._emit(f"{message['type'].partition('.')[0]}.cleared", kept_tokens=kept)

    def _create_item(self, message: Message) -> None:
        item = object_field(message, "item")
        text = messages.user_text(item)
        item_id = messages.id_field(item, "id") or new_id("item")
        after = messages.id_field(message, "previous_item_id")
        self._conversation.put(item_id, text, after)
        at = self._conversation.index(item_id)
        before = self._conversation.items[at - 1].id if at else None
        self._added(item_id, text, before)

    def _added(self, item_id: str, text: str, before: str | None) -> None:
        item = messages.user_item(item_id, text)
        self._emit("conversation.item.added", previous_item_id=before, item=item)
        self._emit("conversation.item.done", previous_item_id=before, item=item)

    def _delete_item(self, message: Message) -> None:
        item_id = text_field(message, "item_id")
        self._conversation.delete(item_id)
        self._emit("conversation.item.deleted", item_id=item_id)

    def _retrieve_item(self, message: Message) -> None:
        at = self._conversation.index(text_field(message, "item_id"))
        item = self._conversation.items[at]
        self._emit("conversation.item.retrieved", item=messages.user_item(item.id, item.text))

    def _create_response(self, message: Message) -> None:
        if self.responding:
            code = "conversation_already_has_active_response"
            raise RefusalError(code, "a response is in progress; wait, or cancel it.")
        options = object_field(message, "response")
        own = options.get("conversation") in (None, "auto", self._conversation_id)
        if options.get("tools") or options.get("input") is not None or not own:
            reason = "a response reads the session's own conversation, without tools."
            raise RefusalError("unsupported_response", reason, "response")
        question = text_field(options, "instructions", "").strip()
        metadata = messages.metadata_field(options)
        asked_at = time.monotonic()
        if self._conversation.buffer.strip() or self._half:
            self._committed(BUFFERS[0])
        # Drafts and events of the end may come at once, so the response is there before it is asked for.
        stream = self._conversation.finish(question)
        parts = (self._emit, self._conversation_id, metadata, asked_at)
        self._response = Response(stream, *parts)
        self._conversation.note_answer(self._response.item_id)
        self._drafted.clear()
        if stream.answered:  # it had ended before
            self._later(self._end_early)

    def _cancel_response(self, message: Message) -> None:
        named = messages.id_field(message, "response_id")
        response, stream = self._response, self._conversation.stream
        if response is None or stream is None or named not in (None, response.id):
            raise RefusalError("response_cancel_not_active", "no such response is in progress.")
        stream.rewind(len(stream.chunks))
        response.cancelled(self._written)
        self._release()

    # ---- events of the stream

    def _open(self, question: str) -> LiveStream:
        options: dict[str, Any] = {"seed": self._seed, "sampling": self._sampling}
        stream = self._pool.open(question, on_event=self._take, **options)
        stream.on_draft = self._draft
        return stream

    def _take(self, event: Event) -> None:
        if event.kind is EventKind.READ:
            self._tell("input_text.read", event, text=event.text)
        elif event.kind is EventKind.THOUGHT:
            self._written += event.tokens
            self._think(event)
        elif event.kind is EventKind.DEEP:
            if self._response:
                self._think(event)
        elif event.kind is EventKind.ANSWER:
            self._answer(event)
        elif event.kind in EARLY_ENDS:
            self.refuse(early_end(event))

    def _draft(self, kind: EventKind, text: str) -> None:
        if kind is not EventKind.ANSWER:
            self._send_thought(kind, text)
        elif self._response:
            self._response.draft(text)

    def _send_thought(self, kind: EventKind, text: str) -> None:
        sent = self._drafted.get(kind, "")
        if self._wants_thoughts and len(text) > len(sent):
            stream = self._conversation.stream
            chunk = stream.thought_index if stream else 0
            fields = {"chunk_index": chunk, "phase": PHASES[kind], "delta": text[len(sent) :]}
            self._emit("response.thought.delta", response_id=self._response_id, **fields)
            self._drafted[kind] = text

    def _think(self, event: Event) -> None:
        self._send_thought(event.kind, event.text)
        self._drafted.pop(event.kind, None)
        if self._wants_thoughts:
            self._tell(
                "response.thought.done",
                event,
                response_id=self._response_id,
                phase=PHASES[event.kind],
                text=event.text,
                skip=event.ending is Ending.SKIP,
                ending=event.ending.value if event.ending else None,
                tokens=event.tokens,
            )

    def _answer(self, event: Event) -> None:
        stream, response = self._conversation.stream, self._response
        if response is None or stream is None:
            return
        response.done(event, self._written + stream.deep_tokens)
        if event.ending is Ending.ANSWERED:
            self.on_answer(event.at - response.asked_at)
        self._later(self._release)

    def _end_early(self) -> None:
        stream, response = self._conversation.stream, self._response
        if response and stream:
            ending = Event(EventKind.ANSWER, "", Ending.OUT_OF_TOKENS, len(stream.chunks))
            response.done(ending, self._written)
            self._release()

    def _release(self) -> None:
        """The response is over: take the events that waited for it."""
        self._response, self._written = None, 0
        self._take_held()

    def _take_held(self) -> None:
        while self._held and not self._is_busy:
            message = self._held.popleft()
            self._held_characters -= len(str(message))
            self.receive(message)

    def _hold(self, message: Message) -> None:
        size = len(str(message))
        if self._held_characters + size > self._limits.max_text_characters:
            raise RefusalError("input_too_long", "too much input while a response is in progress.")
        self._held.append(message)
        self._held_characters += size

    @property
    def _response_id(self) -> str | None:
        return self._response.id if self._response else None

    def _tell(self, kind: str, event: Event, **fields: object) -> None:
        """An event of ours, with its chunk and its seconds since the session began."""
        seconds = round(event.at - self._started, 4)
        self._emit(kind, chunk_index=event.chunk, seconds=seconds, **fields)

    def _emit(self, kind: str, **fields: object) -> None:
        self._send({"type": kind, "event_id": new_id("event"), **fields})
