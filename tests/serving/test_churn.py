"""Sessions that come and go at any point leave nothing behind, and see nothing of each other."""

from __future__ import annotations

import gc
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from support.live_use import QUESTION, pieces, threads_left
from support.serving import send, serving, until


def one_session(served, number: int, texts: dict[str, list[str]]) -> str | None:
    """Drop a session somewhere, or finish it: None, or what is wrong."""
    rng = random.Random(number)
    text = rng.choice(list(texts))
    events = []
    with served.connect() as socket:
        if rng.random() < 0.05:
            return None
        send(socket, "session.update", session={"instructions": QUESTION})
        for piece in pieces(text, rng.randrange(3, 30)):
            send(socket, "input_text.append", text=piece)
            if rng.random() < 0.08:  # in the middle of a chunk, or of a thought
                if rng.random() < 0.5:
                    socket.socket.close()  # without a word
                return None
        send(socket, "response.create")
        if rng.random() < 0.3:  # in the middle of the answer
            return None
        events = until(socket, "response.done")
    thoughts = [
        each["text"]
        for each in events
        if each["type"] == "response.thought.done" and each["phase"] == "stream"
    ]
    answer = events[-1]["response"]["output"][0]["content"][0]["text"]
    expected = texts[text]
    return None if [*thoughts, answer] == expected else f"{number}: {json.dumps(events)[-500:]}"


def churn(served, numbers, texts) -> list[str]:
    with ThreadPoolExecutor(6) as threads:
        found = threads.map(lambda number: one_session(served, number, texts), numbers)
        return [wrong for wrong in found if wrong]


@pytest.mark.parametrize(
    "count", [pytest.param(30, id="some"), pytest.param(1000, id="all", marks=pytest.mark.slow)]
)
def test_sessions_dropped_at_random_points_leave_nothing_behind(reasoner, count):
    texts = {}
    for n in range(2, 10):
        text = f"Tom has {n} coins. He sings. Ann finds {n + 1} pens. Tom finds 3 coins."
        stream = reasoner.start(QUESTION)
        events = stream.feed(text) + stream.finish()
        texts[text] = [e.text for e in events if e.kind.value in ("thought", "answer")]
    pool, before = reasoner.pool(64), threading.active_count()
    with serving(pool) as served:
        start = pool.engine.cache_bytes
        assert churn(served, range(count // 3), texts) == []  # pages and arenas fill up
        gc.collect()
        memory = psutil.Process().memory_info().rss
        assert churn(served, range(count // 3, count), texts) == []
        while served.service.sessions or len(pool):
            threading.Event().wait(0.02)
        assert pool.engine.cache_bytes == start
        gc.collect()
        if count >= 1000:  # fewer prove nothing
            assert psutil.Process().memory_info().rss < 1.05 * memory
    assert threads_left() == []
    assert threading.active_count() <= before
