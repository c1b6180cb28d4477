"""Client events as they are read from untrusted frames, and server events as they are written.

    >>> message = parse('{"type": "input_text.append", "text": "Tom has 5 coins."}')
    >>> text_field(message, "text")
    'Tom has 5 coins.'

The forms are those of OpenAI's Realtime API (GA, text only); ``input_text.*`` are NVIDIA Dynamo's, ``input_text_buffer.*``
their alias elsewhere. ``input_text.read`` and ``response.thought.*`` are ours.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from adasr_trl.serving.limits import RefusalError

MAX_ID = 64  # characters of a client's own id
Message = Mapping[str, Any]


def parse(frame: str) -> Message:
    """A client event: a JSON object with a ``type``; RefusalError for anything else."""
    message = parse_object(frame)
    if not isinstance(message.get("type"), str):
        raise RefusalError("invalid_event", "the event has no type.", "type")
    return message


def parse_object(text: str) -> Message:
    """A JSON object; RefusalError for anything else."""
    try:
        message = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RefusalError("invalid_json", "this is not JSON; send one object.") from None
    if not isinstance(message, dict):
        raise RefusalError("invalid_event", "this is no JSON object.")
    return message


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def text_field(message: Message, name: str, default: str | None = None) -> str:
    """A text of an event; UTF-16 halves without their partner are refused, for no tokenizer takes them."""
    value = message.get(name, default)
    if not isinstance(value, str):
        raise RefusalError("invalid_value", f"{name}: expected a text.", name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefusalError("invalid_value", f"{name}: has half a character.", name) from None
    return value


def object_field(message: Message, name: str) -> Message:
    """An object of an event; {} where it is missing."""
    value = message.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusalError("invalid_value", f"{name}: expected an object.", name)
    return value


def id_field(message: Message, name: str) -> str | None:
    """An id of the client's choice, or None."""
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        raise RefusalError("invalid_value", f"{name}: expected an id of {MAX_ID} characters.", name)
    return value


def number_field(message: Message, name: str, least: float, most: float) -> float | None:
    """A number within bounds, or None where it is missing."""
    value = message.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        expected = f"{name}: expected a number from {least:g} to {most:g}."
        raise RefusalError("invalid_value", expected, name)
    return value


def user_text(item: Message) -> str:
    """The text of a user's message.

    Raises:
        RefusalError: Another kind of item, or content that is no text.
    """
    if item.get("type", "message") != "message" or item.get("role") != "user":
        reason = "only messages of the user are read; the question is session.instructions."
        raise RefusalError("unsupported_item", reason, "item")
    parts = item.get("content")
    if isinstance(parts, str):
        parts = [{"type": "input_text", "text": parts}]
    if not isinstance(parts, list) or not parts:
        raise RefusalError("invalid_value", "item.content: expected a list.", "item.content")
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") not in ("input_text", "text"):
            reason = "only content of type input_text is read."
            raise RefusalError("unsupported_content", reason, "item.content")
        texts.append(text_field(part, "text"))
    text = "".join(texts)
    if not text.strip():
        raise RefusalError("empty_text", "item.content: has no text.", "item.content")
    return text


def new_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return f"{prefix}_{secrets.token_hex(12)}"


def user_item(item_id: str, text: str) -> dict[str, Any]:
    """A user's message as an item."""
    return _item(item_id, "user", "completed", [{"type": "input_text", "text": text}])


def assistant_item(item_id: str, text: str | None, status: str) -> dict[str, Any]:
    """The model's message as an item; without content where it has none yet."""
    content = [] if text is None else [{"type": "output_text", "text": text}]
    return _item(item_id, "assistant", status, content)


def _item(item_id: str, role: str, status: str, content: list[Any]) -> dict[str, Any]:
    head = {"id": item_id, "object": "realtime.item", "type": "message"}
    return {**head, "role": role, "status": status, "content": content}
