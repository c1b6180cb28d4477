"""Client of an OpenAI-compatible chat endpoint: a rate limit, retries, and a cache by the content of the request.

    async with Endpoint(EndpointSettings("http://localhost:8000/v1", "qwen3-8b", cache=Path("cache"))) as endpoint:
        reply = await endpoint.ask("Think aloud ...")
    endpoint.spent.dollars

A cached reply costs nothing (``replies``). Replies that were cut off are kept and say so.
The key is read from the environment, and is in no file. Left out: streaming and tools.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_builders.errors import BuildError
from data_builders.tools.replies import Reply, ReplyCache, Spent

MILLION = 1_000_000
MAX_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class EndpointSettings:
    """Address, model and limits of an endpoint."""

    url: str  # the API's root, such as https://api.openai.com/v1
    model: str  # the endpoint's name of the model
    cache: Path  # folder of the replies
    # Environment variable of the key; without a value none is sent.
    key_variable: str = "OPENAI_API_KEY"
    temperature: float = 0.7  # sampling temperature
    max_tokens: int = 2048  # longest reply
    concurrency: int = 8  # requests at once
    requests_per_minute: float = 0.0  # rate; 0 for no limit
    retries: int = 6  # new attempts after a full or failing server
    timeout_seconds: float = 300.0  # longest wait for one request
    input_price: float = 0.0  # dollars a million tokens of requests
    output_price: float = 0.0  # dollars a million tokens of replies
    max_cost: float | None = None  # dollars after which nothing more is sent, or None


@dataclass
class Endpoint:
    """A client for several tasks at once."""

    settings: EndpointSettings  # address, model and limits
    transport: Any = None  # a stand-in for the network in tests, or None
    spent: Spent = field(default_factory=Spent)  # costs so far
    _next_slot: float = 0.0

    def __post_init__(self) -> None:
        """Open the cache."""
        self._cache = ReplyCache(self.settings.cache, self.settings.url)

    @property
    def parallel(self) -> int:
        """Requests at once."""
        return self.settings.concurrency

    async def __aenter__(self) -> Endpoint:
        import httpx2

        key = os.environ.get(self.settings.key_variable, "")
        self._client = httpx2.AsyncClient(
            transport=self.transport,
            timeout=self.settings.timeout_seconds,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def ask(self, prompt: str, attempt: int = 0) -> Reply:
        """The reply to a prompt, from the cache or the endpoint.

        Args:
            prompt: The user's message.
            attempt: Seed of the request; another number gives another reply.
        """
        body = {
            "model": self.settings.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": self.settings.temperature,
            "max_tokens": self.settings.max_tokens,
            "seed": attempt,
        }
        if cached := self._cache.read(body):
            self.spent.cached += 1
            return cached
        async with self._slots:
            reply = _reply_of(await self._send(body), self.settings.url)
        self._cache.write(body, reply)
        self._count(reply)
        return reply

    def describe(self) -> dict[str, Any]:
        """The model, for the manifest."""
        return {"model": self.settings.model}

    def _count(self, reply: Reply) -> None:
        self.spent.count(reply)
        cost = reply.input_tokens * self.settings.input_price
        cost += reply.output_tokens * self.settings.output_price
        self.spent.dollars += cost / MILLION

    async def _send(self, body: dict[str, Any]) -> str:
        """The endpoint's answer; a full or failing server is asked again."""
        import httpx2

        url = f"{self.settings.url.rstrip('/')}/chat/completions"
        attempts, trouble = self.settings.retries + 1, ""
        for attempt in range(attempts):
            self._refuse_cost()
            await self._wait_for_slot()
            asked_wait = None
            try:
                response = await self._client.post(url, json=body)
            except httpx2.TransportError as error:
                trouble = str(error) or type(error).__name__
            else:
                if response.status_code == 200:
                    return str(response.text)
                trouble = f"HTTP {response.status_code}: {response.text.strip()[:200]}"
                if response.status_code != 429 and response.status_code < 500:
                    raise BuildError(f"--endpoint {url}: {trouble}; correct the request's options.")
                asked_wait = response.headers.get("retry-after")
            if attempt < self.settings.retries:
                await asyncio.sleep(_backoff(attempt, asked_wait))
        raise BuildError(
            f"--endpoint {url}: no reply after {attempts} attempts ({trouble}); all replies so far are cached: "
            f"run the same command again later."
        )

    def _refuse_cost(self) -> None:
        limit = self.settings.max_cost
        if limit is not None and self.spent.dollars >= limit:
            raise BuildError(
                f"--max-cost {limit:g}: ${self.spent.dollars:.2f} are spent; all replies so far are cached: run the "
                f"same command with a higher limit."
            )

    async def _wait_for_slot(self) -> None:
        if not self.settings.requests_per_minute:
            return
        now = time.monotonic()
        slot = max(now, self._next_slot)  # seconds on the monotonic clock
        self._next_slot = slot + 60.0 / self.settings.requests_per_minute
        await asyncio.sleep(slot - now)


def _backoff(attempt: int, asked: str | None) -> float:
    """Seconds before the next attempt: the server's wish, else twice as long each time."""
    wait = float(asked) if asked and asked.replace(".", "", 1).isdecimal() else 2.0**attempt / 2
    return min(wait, MAX_WAIT_SECONDS)


def _reply_of(text: str, url: str) -> Reply:
    try:
        answer = json.loads(text)
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        return Reply(
            text=str(choice["message"]["content"] or ""),
            is_whole=choice.get("finish_reason") != "length",
            input_tokens=int(usage.get("prompt_tokens") or 0),
            output_tokens=int(usage.get("completion_tokens") or 0),
        )
    except json.JSONDecodeError:
        raise BuildError(f"--endpoint {url}: answered no JSON ({text.strip()[:80]!r}).") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise BuildError(
            f"--endpoint {url}: the answer has no choices[0].message.content; is it OpenAI-compatible?"
        ) from None
