"""What a teacher of any kind gives: replies, their cost, and a cache by the content of each request.

    cache = ReplyCache(Path("replies"), "http://localhost:8000/v1")
    cache.read(request) or cache.write(request, reply)

An interrupted run goes on where it was: a cached reply is never asked for again. ``endpoint`` and ``local_model`` are the
two kinds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from adasr_trl.core.files import write_text
from data_builders.errors import BuildError


class PromptLengthError(BuildError):
    """A prompt beyond the model's positions; other prompts may fit."""


@dataclass(frozen=True)
class Reply:
    """A reply of the model."""

    text: str  # the reply
    is_whole: bool  # whether it ended by itself, not at the limit of tokens
    input_tokens: int  # tokens of the request, in the model's count
    output_tokens: int  # tokens of the reply


@dataclass
class Spent:
    """Costs of this run; cached replies are free."""

    requests: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0

    def count(self, reply: Reply) -> None:
        """Add a reply that was not cached."""
        self.requests += 1
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens


class TeacherModel(Protocol):
    """A model that answers prompts, several at once, inside ``async with``."""

    spent: Spent

    @property
    def parallel(self) -> int:
        """Prompts that it works on at once."""

    async def __aenter__(self) -> Self:
        """Get ready."""

    async def __aexit__(self, *error: object) -> None:
        """Stop what is under way."""

    async def ask(self, prompt: str, attempt: int = 0) -> Reply:
        """The reply to a prompt; another ``attempt`` gives another reply.

        Raises:
            PromptLengthError: The prompt does not fit.
            BuildError: The model cannot go on.
        """

    def describe(self) -> dict[str, Any]:
        """The model, for the manifest."""


@dataclass(frozen=True)
class ReplyCache:
    """Replies in files named by the content of their request."""

    folder: Path
    scope: object  # what answers: part of the name, and never written, since a URL may hold a key

    def read(self, request: object) -> Reply | None:
        """The reply to a request, or None; a damaged file counts as none."""
        try:
            text = self._path(request).read_text(encoding="utf-8")
            return Reply(**json.loads(text)["reply"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, request: object, reply: Reply) -> None:
        """Keep a reply, with the request that it answers."""
        content = {"request": request, "reply": vars(reply)}
        write_text(self._path(request), json.dumps(content, ensure_ascii=False))

    def _path(self, request: object) -> Path:
        content = json.dumps([self.scope, request], sort_keys=True)
        key = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
        return self.folder / key[:2] / f"{key}.json"
