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

from adasr_trl.config.sections import MIN_TEMPERATURE
from adasr_trl.serving.limits import RefusalError

MAX_ID, MAX_EVENT_ID = 64, 512  # characters of a client's own ids
_MAX_TEMPERATURE = 2.0  # OpenAI's
MAX_METADATA = 16  # pairs, of texts with as many characters as these
MAX_METADATA_KEY, MAX_METADATA_VALUE = 64, 512
Message = Mapping[str, Any]


def parse(frame: str) -> Message:
    """A client event: a JSON object with a ``type``; RefusalError for anything else."""
    message = parse_object(frame)
    if not isinstance(message.get("type"), str):
        raise RefusalError("invalid_event", "the event has no type.", "type")
    return message


def parse_object(text: str) -> Message:
    """A JSON object; RefusalError for anything else. A byte order mark, as .NET writes it, is left out."""
    try:
        message = json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RefusalError("invalid_json", "this is not JSON; send one object.") from None
    if not isinstance(message, dict):
        raise RefusalError("invalid_event", "this is no JSON object.")
    return message


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def text_field(message: Message, name: str, default: str | None = None) -> str:
    """A text of an event; UTF-16 halves without their partner are refused, for no tokenizer takes them.

    Clients write null for a field that they do not set, so null is the default here and below.
    """
    value = message.get(name)
    value = default if value is None else value
    if not isinstance(value, str):
        raise RefusalError("invalid_value", f"{name}: expected a text.", name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefusalError("invalid_value", f"{name}: has half a character.", name) from None
    return value


def piece_field(message: Message, name: str, half: str) -> tuple[str, str]:
    """A piece of a text, and the half character at its end: JavaScript cuts texts by UTF-16 halves.

    ``half`` is that of the piece before.
    """
    value = message.get(name)
    if not isinstance(value, str):
        raise RefusalError("invalid_value", f"{name}: expected a text.", name)
    text = (half + value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    rest = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    return text_field({name: text.removesuffix(rest)}, name), rest


def object_field(message: Message, name: str) -> Message:
    """An object of an event; {} where it is missing."""
    value = message.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusalError("invalid_value", f"{name}: expected an object.", name)
    return value


def flag_field(message: Message, name: str, *, default: bool) -> bool:
    """True or false."""
    value = message.get(name)
    value = default if value is None else value
    if not isinstance(value, bool):
        raise RefusalError("invalid_value", f"{name}: expected true or false.", name)
    return value


def id_field(message: Message, name: str, most: int = MAX_ID) -> str | None:
    """An id of the client's choice, or None where it is missing or empty."""
    value = message.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise RefusalError("invalid_value", f"{name}: expected an id of {most} characters.", name)
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


def temperature_field(message: Message) -> float | None:
    """A sampling temperature, 0 for greedy decoding, or None where it is missing."""
    value = number_field(message, "temperature", 0.0, _MAX_TEMPERATURE)
    if value and value < MIN_TEMPERATURE:
        expected = f"temperature: expected 0 (greedy), or a number from {MIN_TEMPERATURE:g} to {_MAX_TEMPERATURE:g}."
        raise RefusalError("invalid_value", expected, "temperature")
    return value


def whole_field(message: Message, name: str, least: int, most: int) -> int | None:
    """A whole number within bounds, or None where it is missing."""
    value = number_field(message, name, least, most)
    if value is None or value == int(value):
        return None if value is None else int(value)
    raise RefusalError("invalid_value", f"{name}: expected a whole number.", name)


def metadata_field(message: Message) -> Message | None:
    """A response's metadata, which its events repeat: pairs of texts, within OpenAI's bounds."""
    pairs = object_field(message, "metadata")
    for key, value in pairs.items():
        text_field({"metadata": key}, "metadata")
        if len(pairs) > MAX_METADATA or len(key) > MAX_METADATA_KEY:
            reason = f"metadata: expected {MAX_METADATA} pairs at most, keys of {MAX_METADATA_KEY} characters."
            raise RefusalError("invalid_value", reason, "metadata")
        if len(text_field({"metadata": value}, "metadata")) > MAX_METADATA_VALUE:
            reason = f"metadata: expected texts of {MAX_METADATA_VALUE} characters at most."
            raise RefusalError("invalid_value", reason, "metadata")
    return pairs or None


def user_text(item: Message) -> str:
    """The text of a user's message.

    Raises:
        RefusalError: Another kind of item, or content that is no text.
    """
    if (item.get("type") or "message") != "message" or item.get("role") != "user":
        reason = "only messages of the user are read; the question is session.instructions."
        raise RefusalError("unsupported_item", reason, "item")
    text = content_text(item, "content")
    if not text.strip():
        raise RefusalError("empty_text", "content: has no text.", "content")
    return text


def content_text(message: Message, param: str) -> str:
    """The text of a message: a text, or parts, which white space sets off."""
    content = message.get("content")
    if not isinstance(content, str | list) or content == []:
        raise RefusalError("invalid_value", f"{param}: expected a text, or a list of parts.", param)
    text = ""
    for part in [content] if isinstance(content, str) else content:
        one = {"type": "text", "text": part} if isinstance(part, str) else part
        if not isinstance(one, dict) or one.get("type") not in ("input_text", "text"):
            reason = f"{param}: only parts of type text or input_text are read."
            raise RefusalError("unsupported_content", reason, param)
        more = text_field(one, "text")
        between = "" if not text or text[-1:].isspace() or more[:1].isspace() else "\n"
        text += between + more
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
