"""Answer latency of a running server as its clients see it: wall seconds over WebSockets.

    adasr serve demo &
    python -m benchmarks.serve_sockets --episodes data/demo/test.jsonl --streams 1 4 16 32 64

Streams play stories word by word and ask for the answer behind the last word; the latency runs until ``response.done`` is
there. ``--wpm 0`` sends each story at once. Every row has the same stories, some of them twice where there are more streams.
``--pid`` adds the CPU seconds of the server's process (Linux), which a busy machine leaves as they are. Left out: a network. ``benchmarks.serve`` measures the model alone, in CPU seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from adasr_trl.core.episode import Episode, read_episodes


@dataclass(frozen=True)
class Answered:
    """One story's end; ``tokens`` were written for it."""

    seconds: float
    tokens: int
    is_right: bool


async def play(url: str, episode: Episode, pause: float, begin: float) -> Answered:
    """One session; words come every ``pause`` seconds from ``begin`` on, in seconds of the loop's clock."""
    async with connect(url, max_size=None, open_timeout=60) as socket:
        session = {"type": "realtime", "instructions": episode.question, "thoughts": False}
        await _send(socket, "session.update", session=session)
        reading = asyncio.create_task(_response(socket))
        words = "".join(episode.chunks).split(" ")
        pieces = [" ".join(words)] if not pause else [f"{word} " for word in words]
        for number, piece in enumerate(pieces):
            await asyncio.sleep(begin + number * pause - asyncio.get_running_loop().time())
            await _send(socket, "input_text.append", text=piece)
        asked_at = time.monotonic()
        await _send(socket, "response.create")
        response = await reading
        seconds = time.monotonic() - asked_at
    text = "".join(part["text"] for item in response["output"] for part in item["content"])
    tokens = response["usage"]["output_tokens"]
    return Answered(seconds, tokens, text.strip() == episode.answer)


async def _send(socket: ClientConnection, kind: str, **fields: object) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def _response(socket: ClientConnection) -> dict[str, Any]:
    async for frame in socket:
        event = json.loads(frame)
        if event["type"] == "error":
            raise RuntimeError(event["error"]["message"])
        if event["type"] == "response.done":
            response: dict[str, Any] = event["response"]
            return response
    raise RuntimeError("the session ended before its answer")


async def play_all(
    url: str, episodes: Sequence[Episode], streams: int, pause: float
) -> tuple[list[Answered], float]:
    """All stories, ``streams`` at a time, each one a sentence's share later than the one before; and the seconds."""
    stories = list(itertools.islice(itertools.cycle(episodes), max(streams, len(episodes))))
    answered, start = [], time.monotonic()
    for first in range(0, len(stories), streams):
        group, now = stories[first : first + streams], asyncio.get_running_loop().time()
        begins = [now + 10 * pause * n / len(group) for n in range(len(group))]
        plays = [play(url, *each) for each in zip(group, [pause] * len(group), begins, strict=True)]
        answered += await asyncio.gather(*plays)
    return answered, time.monotonic() - start


def cpu_seconds(pid: int | None) -> float:
    """CPU time of a process so far, all threads; 0 without one."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="ws://127.0.0.1:8080/v1/realtime")
    parser.add_argument("--episodes", required=True, help="JSON Lines of episodes")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16, 32, 64])
    parser.add_argument("--wpm", type=float, default=150.0, help="words a minute (150); 0: at once")
    parser.add_argument("--count", type=int, default=32, help="stories (32)")
    parser.add_argument("--pid", type=int, help="process of the server")
    options = parser.parse_args()
    episodes = list(itertools.islice(read_episodes(Path(options.episodes)), options.count))
    pause = 60.0 / options.wpm if options.wpm else 0.0
    asyncio.run(play_all(options.url, episodes[:2], 2, 0.0))  # the first answers are slow
    print("| streams | latency p50, s | p95, s | tokens/s | seconds | server CPU, s | right |")
    print("|---|---|---|---|---|---|---|")
    for streams in options.streams:
        before = cpu_seconds(options.pid)
        answered, seconds = asyncio.run(play_all(options.url, episodes, streams, pause))
        spent = cpu_seconds(options.pid) - before
        ordered = sorted(each.seconds for each in answered)
        p50, p95 = (ordered[min(int(s * len(ordered)), len(ordered) - 1)] for s in (0.5, 0.95))
        rate = sum(each.tokens for each in answered) / seconds
        right = sum(each.is_right for each in answered) / len(answered)
        row = f"{streams} | {p50:.3f} | {p95:.3f} | {rate:.0f} | {seconds:.1f} | {spent:.1f} | {right:.2f}"
        print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
