"""The clock against an event-driven simulation of one device, on random episodes, in both layouts.

The simulation knows nothing of ``clock``: a heap of events, tokens that become ready when their chunk has arrived, and
a writer. Interleaved, one worker does everything in order. Parallel, a reader encodes the input beside the writer.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest

from adasr_trl.core.clock import Clock, timeline
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.evaluation.clocks import Pace, paced
from adasr_trl.evaluation.lagging import second_delays
from support.timelines import beside, build

EPISODES = 1000


@dataclass
class Device:
    """Workers that each do their own queue of (name, chunk, seconds) in order.

    A piece of work begins when its worker is free and all that it needs has happened.
    """

    done: dict[object, float] = field(default_factory=dict)
    written: list[float] = field(default_factory=list)

    def run(self, arrivals, queues):
        """Play events: arrivals, and a worker's piece being over."""
        count = itertools.count()
        events = [(time, next(count), ("arrived", k), None) for k, time in enumerate(arrivals)]
        heapq.heapify(events)
        busy = dict.fromkeys(queues, False)
        while events:
            now, _, name, worker = heapq.heappop(events)
            self.done[name] = now
            if worker is not None:
                busy[worker] = False
                if name[0] == "wrote":
                    self.written.append(now)
            if events and events[0][0] == now:
                continue
            for each, queue in queues.items():
                if not busy[each] and queue and all(need in self.done for need in queue[0][1]):
                    piece, _, seconds = queue.pop(0)
                    busy[each] = True
                    heapq.heappush(events, (now + seconds, next(count), piece, each))
        assert not any(queues.values())


def pieces(rollout: Rollout, chunks: int, clock: Clock):
    """Every token behind the prompt as (kind, chunk, number within the rollout, seconds)."""
    seen_written = set()
    for n, (phase, chunk) in enumerate(zip(rollout.phases, rollout.chunk_of_token, strict=True)):
        if chunk < 0:
            continue
        if phase is Phase.READ:
            kind = "forced" if chunk in seen_written else "read"
            yield kind, chunk, n, clock.prefill_seconds_per_token
        else:
            seen_written.add(chunk)
            yield "wrote", chunk, n, clock.seconds_per_token


def simulate(rollout: Rollout, arrivals: tuple[float, ...], clock: Clock) -> Device:
    """Every token at its time."""
    chunks, device = len(arrivals), Device()
    tokens = list(pieces(rollout, chunks, clock))
    here = [("arrived", min(chunk, chunks - 1)) for chunk in range(chunks + 1)]
    if rollout.reads_beside:
        reading = [t for t in tokens if t[0] == "read"]
        last_read = {chunk: (kind, chunk, n) for kind, chunk, n, _ in reading}
        queues = {
            "reader": [((k, c, n), [here[c]], s) for k, c, n, s in reading],
            "writer": [
                ((k, c, n), [last_read.get(c, here[c])], s) for k, c, n, s in tokens if k != "read"
            ],
        }
    else:
        queues = {"worker": [((k, c, n), [here[c]], s) for k, c, n, s in tokens]}
    device.run(arrivals, queues)
    return device


def random_case(seed: int):
    """A rollout with forced markers here and there, an episode, a clock and a pace."""
    draw = random.Random(seed)
    chunks = draw.randint(1, 6)
    read = [draw.randint(1, 9) for _ in range(chunks + 1)]
    written = [draw.choice([0, 1, 1, draw.randint(2, 20)]) for _ in range(chunks)]
    written.append(draw.randint(1, 12))
    rollout = build(read, written, answer_tokens=draw.randint(1, written[-1]))
    rollout = with_forced(rollout, draw)
    if seed % 2:
        rollout = beside(rollout) if not has_forced(rollout) else forced_beside(rollout)
    words = [draw.randint(1, 9) for _ in range(chunks)]
    episode = Episode(
        id=f"e{seed}",
        group="e",
        question="How many?",
        chunks=tuple(" ".join(["word"] * n) for n in words),
        answer="8",
        answer_type=AnswerType.NUMBER,
        source=Source("test", "1", "Apache-2.0", "test"),
    )
    clock = Clock(
        words_per_minute=draw.choice([80.0, 150.0, 600.0, 1500.0]),
        seconds_per_token=draw.uniform(0.005, 0.3),
        prefill_seconds_per_token=draw.choice([0.0, draw.uniform(0.0, 0.1)]),
    )
    pace = Pace(jitter=draw.choice([0.0, 0.4, 1.0]), burst=draw.choice([1, 1, 2, 3]), seed=seed)
    return rollout, paced(episode, clock, pace), clock


def with_forced(rollout: Rollout, draw: random.Random) -> Rollout:
    """Two forced tokens behind some of the thoughts that wrote anything."""
    deep = max(rollout.chunk_of_token)
    tokens = []
    for chunk, group in itertools.groupby(
        zip(rollout.phases, rollout.chunk_of_token, strict=True), key=lambda token: token[1]
    ):
        tokens += list(group)
        wrote = tokens[-1][0] is not Phase.READ
        if 0 <= chunk < deep and wrote and draw.random() < 0.2:
            tokens += [(Phase.READ, chunk)] * 2
    return dataclasses.replace(
        rollout,
        token_ids=tuple(range(len(tokens))),
        phases=tuple(phase for phase, _ in tokens),
        chunk_of_token=tuple(chunk for _, chunk in tokens),
    )


def has_forced(rollout: Rollout) -> bool:
    return any(kind == "forced" for kind, *_ in pieces(rollout, 0, Clock()))


def forced_beside(rollout: Rollout) -> Rollout:
    """The parallel layout: what was read goes first, what was forced stays behind its thought."""
    kinds = {n: kind for kind, _, n, _ in pieces(rollout, 0, Clock())}
    order = sorted(range(len(rollout.phases)), key=lambda n: kinds.get(n, "read") != "read")
    return dataclasses.replace(
        rollout,
        prompt_length=sum(kinds.get(n, "read") == "read" for n in order),
        phases=tuple(rollout.phases[n] for n in order),
        chunk_of_token=tuple(rollout.chunk_of_token[n] for n in order),
    )


def test_a_thousand_random_episodes_take_as_long_as_their_events() -> None:
    seen = {"parallel": 0, "backlog": 0, "forced": 0, "hidden": 0}
    for seed in range(EPISODES):
        rollout, arrived, clock = random_case(seed)
        line = timeline(rollout, arrived, clock)
        device = simulate(rollout, arrived, clock)
        last, deep, times = arrived[-1], rollout.tokens_in(Phase.DEEP), device.written
        answered = times[len(times) - deep + rollout.answer_tokens - 1]
        work = [(name, at) for name, at in device.done.items() if name[0] != "arrived"]
        finish = max(at for (_, chunk, _), at in work if chunk < len(arrived))
        assert line.backlog_seconds == pytest.approx(finish - last, abs=1e-9), seed
        assert line.answer_latency_seconds == pytest.approx(answered - last), seed
        assert line.end_latency_seconds == pytest.approx(times[-1] - last), seed
        rates = {"wrote": clock.seconds_per_token, "forced": clock.prefill_seconds_per_token}
        thinking = [(at - rates[kind], at) for (kind, *_), at in work if kind != "read"]
        hidden = sum(min(end, last) - min(start, last) for start, end in thinking)
        assert line.hidden_seconds == pytest.approx(hidden, abs=1e-9), seed
        assert line.thinking_seconds == pytest.approx(sum(b - a for a, b in thinking)), seed
        if not has_forced(rollout):
            assert second_delays(rollout, line, clock) == pytest.approx(times), seed
        seen["parallel"] += rollout.reads_beside
        seen["backlog"] += line.backlog_seconds > 0
        seen["forced"] += has_forced(rollout)
        seen["hidden"] += 0 < line.overlap < 1
    assert min(seen.values()) > 100, seen
